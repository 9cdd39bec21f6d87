export interface Lag {
  group: string;
  topic: string;
  messages: number;
  in_flight: number;
  ready: number;
  oldest_unix_ms?: number | null;
}

export interface ListLagsResponse {
  lags: Lag[];
  /** Those that are too many to be listed. */
  others: { messages: number; in_flight: number; ready: number } | null;
}

export type ClientKind =
  | "producer" | "push_consumer" | "simple_consumer" | "pull_consumer" | "lite_push_consumer" | (string & {});

export interface Subscription {
  topic: string;
  type: "tag" | "sql";
  expression: string;
}

export interface Client {
  client_id: string;
  language: string;
  version: string;
  address: string;
  kind: ClientKind;
  /** Empty for producers. */
  group: string;
  topics: string[];
  subscriptions: Subscription[];
  nodes: number[];
}

export interface ListClientsResponse {
  clients: Client[];
}

export interface TrafficSample {
  /** When it ends. */
  unix_ms: number;
  messages_in_per_s: number;
  bytes_in_per_s: number;
  messages_out_per_s: number;
  bytes_out_per_s: number;
  failed_per_s: number;
}

interface NodeState {
  node: number;
  sync_p50_us: number;
  sync_p99_us: number;
  clients: number;
  connections: number;
}

export interface NodeTraffic extends NodeState {
  samples: TrafficSample[];
}

export interface TrafficResponse {
  nodes: NodeTraffic[];
}

export interface NodeTrafficNow extends NodeState {
  sample: TrafficSample | null;
}

/** The data of the event `traffic`. */
export interface TrafficEvent {
  nodes: NodeTrafficNow[];
}

export type Level = "ok" | "warn" | "bad";

export interface Finding {
  level: Level;
  check: string;
  place: string;
  found: string;
  advice: string;
}

export interface DoctorResponse {
  worst: Level;
  findings: Finding[];
}
