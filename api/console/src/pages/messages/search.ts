import type { QueryMessagesRequest } from "../../api/types";
import type { Query } from "../../router";

export const BYS = ["time", "key", "id", "offset"] as const;
/** What messages are looked for by. */
export type By = (typeof BYS)[number];

/** A search, as the address has it; it need not be whole. */
export interface Search {
  topic: string;
  by: By;
  id: string;
  key: string;
  from: number | null;
  to: number | null;
  queue: number | null;
  offset: number | null;
}

/** A field that is wrong. */
export type Wrong = Partial<Record<keyof Search, "missing" | "order" | "number">>;

/** What an address asks for. Links may leave `by` out. */
export function readSearch(query: URLSearchParams): Search {
  const text = (key: string) => query.get(key) ?? "";
  const given = BYS.find((by) => by === query.get("by"));
  const guessed: By = query.has("id") ? "id" : query.has("key") ? "key" : query.has("offset") ? "offset" : "time";
  return {
    topic: text("topic"),
    by: given ?? guessed,
    id: text("id"),
    key: text("key"),
    from: whole(query.get("from")),
    to: whole(query.get("to")),
    queue: whole(query.get("queue")) ?? (query.has("offset") ? 0 : null),
    offset: whole(query.get("offset")),
  };
}

function whole(text: string | null): number | null {
  return text !== null && /^\d{1,16}$/.test(text) ? Number(text) : null;
}

/** The address of a search: only what it is by. */
export function searchQuery(s: Search): Query {
  const own: Record<By, Query> = {
    id: { id: s.id },
    key: { key: s.key },
    time: { from: s.from, to: s.to },
    offset: { queue: s.queue, offset: s.offset },
  };
  return { topic: s.topic, by: s.by, ...own[s.by] };
}

/** The fields that keep a search from being asked. */
export function wrongIn(s: Search): Wrong {
  const wrong: Wrong = {};
  // An id alone is looked for everywhere.
  if (!s.topic && s.by !== "id") wrong.topic = "missing";
  if (s.by === "id" && !s.id) wrong.id = "missing";
  if (s.by === "key" && !s.key) wrong.key = "missing";
  if (s.by === "time") {
    if (s.from === null) wrong.from = "missing";
    if (s.to === null) wrong.to = "missing";
    if (s.from !== null && s.to !== null && s.from > s.to) wrong.to = "order";
  }
  if (s.by === "offset") for (const key of ["queue", "offset"] as const) if (!isPlace(s[key])) wrong[key] = "number";
  return wrong;
}

function isPlace(n: number | null): boolean {
  return n !== null && Number.isSafeInteger(n) && n >= 0;
}

/** What is asked of the node; null while the search is not whole. */
export function requestOf(s: Search): QueryMessagesRequest | null {
  if (!s.topic || Object.keys(wrongIn(s)).length > 0) return null;
  const { topic } = s;
  if (s.by === "id") return { topic, id: s.id };
  if (s.by === "key") return { topic, key: s.key };
  if (s.by === "time") return { topic, time: { from_unix_ms: s.from ?? 0, to_unix_ms: s.to ?? 0 } };
  return { topic, offset: { queue: s.queue ?? 0, offset: s.offset ?? 0 } };
}
