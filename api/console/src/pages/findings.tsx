import type { VNode } from "preact";
import type { Finding, Level } from "../api/types";
import { useText } from "../i18n";
import type { Query } from "../router";
import { Link } from "../ui";

/** The worst first. */
export const SEVERITY: Record<Level, number> = { bad: 0, warn: 1, ok: 2 };

/** What needs attention, the worst first. */
export function alertsOf(findings: readonly Finding[]): Finding[] {
  return findings.filter((f) => f.level !== "ok").sort((a, b) => SEVERITY[a.level] - SEVERITY[b.level]);
}

/** How many there are of each level. */
export function countLevels(findings: readonly Finding[]): Record<Level, number> {
  const counts: Record<Level, number> = { bad: 0, warn: 0, ok: 0 };
  for (const finding of findings) counts[finding.level] += 1;
  return counts;
}

/** Tells findings apart, and knows them again when only figures in them have changed. */
export function findingKeys(findings: readonly Finding[]): Map<Finding, string> {
  const seen = new Map<string, number>();
  return new Map(findings.map((finding) => {
    const name = JSON.stringify([finding.check, finding.place]);
    const nth = seen.get(name) ?? 0;
    seen.set(name, nth + 1);
    return [finding, `${name} ${nth}`];
  }));
}

// "topic orders"
const TOPIC = /^topic (.+)$/;
// "g1", or "g1 of node2 (2)"
const GROUP = /^(meta|g\d+)(?: of (.*))?$/;

/** What a finding is about, for people. */
export function usePlaceOf(): (finding: Finding) => string {
  const t = useText().doctor.places;
  return ({ place }) => {
    if (place === "cluster") return t.cluster;
    const topic = TOPIC.exec(place)?.[1];
    if (topic) return t.topic(topic);
    const [, group, node] = GROUP.exec(place) ?? [];
    return group && node ? t.replica(group, node) : place;
  };
}

type Where = "group" | "nodes" | "topic" | "rebalance" | "level";

interface Target {
  where: Where;
  to: string;
  params?: Record<string, string>;
  query?: Query;
}

const NODE_CHECKS = ["nodes", "disk", "clocks", "versions", "fsync", "certificate", "memory", "open files", "file system", "retention"];

/** The page on which one can look closer or do something, if there is one. */
export function targetOf(finding: Finding): Target | null {
  const { check, place } = finding;
  if (check === "spread") return { where: "rebalance", to: "cluster", query: { do: "rebalance" } };
  if (check === "feature level") return { where: "level", to: "cluster", query: { do: "feature-level" } };
  const topic = TOPIC.exec(place)?.[1];
  if (topic) return { where: "topic", to: "topics/:name", params: { name: topic } };
  const group = GROUP.exec(place)?.[1];
  if (group) return { where: "group", to: "cluster/groups/:group", params: { group } };
  return NODE_CHECKS.includes(check) ? { where: "nodes", to: "cluster" } : null;
}

/** A link to where one can act on a finding. Nothing if there is no such place. */
export function FindingLink(props: { finding: Finding }): VNode | null {
  const t = useText().doctor.go;
  const target = targetOf(props.finding);
  if (!target) return null;
  return <Link to={target.to} params={target.params} query={target.query}>{t[target.where](target.params?.["group"] ?? target.params?.["name"] ?? "")}</Link>;
}

/** What the doctor writes, with commands set apart. */
export function Prose(props: { text: string }): VNode {
  // Every other part stands between backquotes.
  return <>{props.text.split("`").map((part, i) => (i % 2 ? <code key={i}>{part}</code> : part))}</>;
}
