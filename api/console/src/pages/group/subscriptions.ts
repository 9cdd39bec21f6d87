// Whether the clients of a consumer group subscribe to the same. They have to: they share its messages.
import type { Client, Subscription } from "../../api/types";

/** Clients that have the same subscription to a topic; without one they do not read it. */
export interface Faction {
  topic: string;
  subscription: Subscription | null;
  clients: string[];
}

export interface Consistency {
  /** Of the topics about which clients do not agree. */
  factions: Faction[];
  /** So many have not told what they subscribe to. */
  unknown: number;
}

/** "b||a" and "a || b" are the same, and so are "" and "*". */
function meaning(subscription: Subscription): string {
  const text = subscription.expression.trim();
  if (subscription.type === "sql") return `sql:${text}`;
  const tags = [...new Set(text.split("||").map((tag) => tag.trim()).filter(Boolean))].sort();
  return `tag:${tags.length === 0 || tags.includes("*") ? "*" : tags.join("||")}`;
}

/** Who subscribes to what, where it is not the same for all. */
export function consistencyOf(clients: readonly Client[]): Consistency {
  const told = clients.filter((client) => client.subscriptions.length > 0);
  const topics = [...new Set(told.flatMap((client) => client.subscriptions.map((s) => s.topic)))].sort();
  const factions: Faction[] = [];
  for (const topic of topics) {
    const found = new Map<string, Faction>();
    for (const client of told) {
      const subscription = client.subscriptions.find((s) => s.topic === topic) ?? null;
      const key = subscription ? meaning(subscription) : "";
      const faction = found.get(key);
      if (faction) faction.clients.push(client.client_id);
      else found.set(key, { topic, subscription, clients: [client.client_id] });
    }
    if (found.size > 1) factions.push(...[...found.values()].sort((a, b) => b.clients.length - a.clients.length));
  }
  return { factions, unknown: clients.length - told.length };
}
