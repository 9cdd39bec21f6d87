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
  /** Of all that the caller may see, together; `group` and `topic` are empty. */
  total: Lag;
}

export type ClientKind =
  | "producer" | "push_consumer" | "simple_consumer" | "pull_consumer" | "lite_push_consumer" | "unknown" | (string & {});

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

export interface NodeTraffic {
  node: number;
  /** One for each ten seconds, ascending. Events have none. */
  samples: TrafficSample[];
  /** The last two seconds or so. */
  now?: TrafficSample | null;
  /** How long syncs of the log took in the last ten seconds; 0: there were none. */
  sync_p50_us: number;
  sync_p99_us: number;
  /** Clients that the node heard of lately; others may know them too. */
  clients: number;
  connections: number;
}

/** The nodes that answered. */
export interface TrafficResponse {
  nodes: NodeTraffic[];
}

export type Level = "ok" | "warn" | "bad";

/** A sentence of a node, such that it can be said in another language. */
export interface Sentence {
  /** Empty: there are no other words for it. */
  code: string;
  /** In English, with {name} where a value stands. */
  template: string;
  /** One whose name ends with _unix_ms is a time. */
  values: Record<string, string>;
}

export interface Finding {
  level: Level;
  check: string;
  place: string;
  found: string;
  advice: string;
  found_said?: Sentence | null;
  advice_said?: Sentence | null;
}

export interface DoctorResponse {
  worst: Level;
  findings: Finding[];
}
