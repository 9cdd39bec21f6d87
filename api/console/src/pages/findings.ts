import type { Finding, Level } from "../api/types";

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

/** Tells findings apart. */
export function findingKey(finding: Finding): string {
  return JSON.stringify([finding.check, finding.place, finding.found]);
}
