import type { AccessAction } from "../../api/types";

export const KINDS = ["topic", "group", "namespace", "cluster", "*"] as const;
/** What a rule is about. */
export type Kind = (typeof KINDS)[number];

export const ACTIONS: readonly AccessAction[] = ["publish", "subscribe", "create", "update", "delete", "get", "list"];

export interface Resource {
  kind: Kind;
  name: string;
}

/** "topic:orders*" or "*" */
export function resourceText({ kind, name }: Resource): string {
  return kind === "*" ? "*" : `${kind}:${name}`;
}

export function readResource(text: string): Resource {
  if (text === "*") return { kind: "*", name: "" };
  const colon = text.indexOf(":");
  const kind = KINDS.find((one) => one === text.slice(0, colon));
  return kind ? { kind, name: text.slice(colon + 1) } : { kind: "topic", name: text };
}

/** Addresses and networks, however they are set apart. */
export function readSources(text: string): string[] {
  return text.split(/[\s,;]+/).filter(Boolean);
}
