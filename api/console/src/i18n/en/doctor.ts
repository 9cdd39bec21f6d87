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
};

export default doctor;
