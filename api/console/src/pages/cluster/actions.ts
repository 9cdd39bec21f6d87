import type { ClusterStatusResponse } from "../../api/types";
import { setQuery, usePlace } from "../../router";

/** What can be done with the cluster; in the address while its dialog is open. */
export type Action = "transfer" | "vote" | "move" | "add-groups" | "remove-node" | "rebalance" | "feature-level";

/** Opens the dialog of an action. */
export function openAction(what: Action, of: { group?: string; node?: number } = {}): void {
  setQuery({ do: what, of: of.group, node: of.node }, { push: true });
}

/** Closes it. */
export function closeAction(): void {
  setQuery({ do: null, of: null, node: null });
}

/** What the address says that is being done, and with what. */
export function useAction(): { what: string; group: string; node: number } {
  const { query } = usePlace();
  return { what: query.get("do") ?? "", group: query.get("of") ?? "", node: Number(query.get("node") ?? 0) };
}

/** What every dialog gets. */
export interface ActionProps {
  status: ClusterStatusResponse;
}
