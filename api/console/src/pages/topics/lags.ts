// What the lags say of a topic, or of a consumer group, together.
import type { Lag } from "../../api/types";

/** The lags of one topic (or one consumer group) added up. */
export interface LagSum {
  messages: number;
  in_flight: number;
  ready: number;
  oldest_unix_ms: number | null;
  /** The consumer groups (or topics), those farthest behind first. */
  names: string[];
}

/** Lags by their topic or group. They come farthest behind first. */
export function lagsBy(key: "topic" | "group", lags: readonly Lag[]): Map<string, LagSum> {
  const other = key === "topic" ? "group" : "topic";
  const sums = new Map<string, LagSum>();
  for (const lag of lags) {
    let sum = sums.get(lag[key]);
    if (!sum) sums.set(lag[key], (sum = { messages: 0, in_flight: 0, ready: 0, oldest_unix_ms: null, names: [] }));
    sum.messages += lag.messages;
    sum.in_flight += lag.in_flight;
    sum.ready += lag.ready;
    const oldest = lag.oldest_unix_ms ?? null;
    if (oldest !== null) sum.oldest_unix_ms = Math.min(sum.oldest_unix_ms ?? oldest, oldest);
    sum.names.push(lag[other]);
  }
  return sums;
}
