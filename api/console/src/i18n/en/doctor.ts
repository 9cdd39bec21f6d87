import { number } from "../../format";
import { plural } from "../plural";

const doctor = {
  title: "Doctor",
  lead: "What the node finds when it examines the cluster. It looks again every 10 seconds.",
  findings: "Findings",
  worst: { ok: "All is well", warn: "Something needs attention", bad: "Something is wrong" },
  summary: (bad: number, warn: number, ok: number) => `${number(bad)} critical, ${plural(warn, "warning", "warnings")}, ${number(ok)} in order`,
  level: "Level",
  check: "Check",
  place: "Place",
  found: "Found",
  advice: "Advice",
  show: "Show",
  all: "all",
  alertsOnly: "only what needs attention",
  empty: "Nothing was examined yet.",
  emptyAlerts: "Nothing needs attention.",
  showAll: "Show all findings",
  now: "Examine now",
  // As the doctor calls them.
  checks: {} as Readonly<Record<string, string>>,
  places: {
    cluster: "cluster",
    topic: (name: string) => `topic ${name}`,
    replica: (group: string, node: string) => `${group} of ${node}`,
  },
  go: {
    group: (name: string) => `Look at group ${name}`,
    nodes: (_name: string) => "Look at the nodes",
    topic: (name: string) => `Look at topic ${name}`,
    rebalance: (_name: string) => "Rebalance …",
    level: (_name: string) => "Raise the feature level …",
  },
};

export default doctor;
