import type { Sentence } from "./observe";

export interface FoundMessage {
  /** The topic in whose queue it is. */
  topic: string;
  /** The topic that it was sent to: another one for a dead letter. */
  sent_to: string;
  message_id: string;
  tag?: string | null;
  keys: string[];
  message_group?: string | null;
  properties: Record<string, string>;
  /** Base64. */
  body: string;
  gzip: boolean;
  born_host: string;
  born_unix_ms: number;
  store_host: string;
  stored_unix_ms: number;
  broker_group: string;
  queue: number;
  offset?: number | null;
  due_unix_ms?: number | null;
  in_transaction: boolean;
  given_up: boolean;
}

/** `topic`, and one of: id, key, both times, queue with offset. */
export interface QueryMessagesRequest {
  topic: string;
  id?: string;
  key?: string;
  time?: { from_unix_ms: number; to_unix_ms: number };
  offset?: { queue: number; offset: number };
  limit?: number;
  continuation?: string;
  from_replica?: boolean;
}

export interface QueryMessagesResponse {
  messages: FoundMessage[];
  continuation: string;
  cut: boolean;
}

export type DeliveryEventKind = "leased" | "settled" | "dead_lettered" | "changed" | "given_back" | "released";

export interface DeliveryEvent {
  unix_ms: number;
  what: DeliveryEventKind;
  group: string;
  /** 0: not known. */
  attempt: number;
  client: string;
  until_unix_ms?: number | null;
}

export interface TracedMessage {
  message?: FoundMessage | null;
  term?: number | null;
  index?: number | null;
  leader_node?: number | null;
  committed_unix_ms?: number | null;
  events: DeliveryEvent[];
  events_since_unix_ms?: number | null;
}

export interface TraceMessageResponse {
  messages: TracedMessage[];
  cut: boolean;
}

export type WhyReason =
  | "not_found" | "not_due" | "in_transaction" | "transaction_given_up" | "acknowledged" | "dead_lettered" | "filtered"
  | "before_start" | "passed_over" | "expired" | "leased" | "behind_predecessor" | "behind_spread" | "group_paused"
  | "in_flight_limit" | "consumer_offline" | "not_subscribed" | "ready";

export interface ExplainDeliveryResponse {
  reason: WhyReason;
  sentence: string;
  said?: Sentence | null;
  message?: FoundMessage | null;
  attempt?: number | null;
  client?: string | null;
  unix_ms?: number | null;
  behind_offset?: number | null;
  behind_id?: string | null;
}

export interface SendMessageRequest {
  /** Base64. */
  body?: string;
  tag?: string;
  keys?: string[];
  message_group?: string;
  properties?: Record<string, string>;
  delay_ms?: number;
  priority?: number;
  lite_topic?: string;
}

export interface SendMessageResponse {
  message_id: string;
}

export interface ResendMessageRequest {
  topic: string;
}

export interface VerifyMessageRequest {
  group: string;
  topic: string;
  client_id: string;
}

export interface VerifyMessageResponse {
  /** As the protocol numbers it: 20000 is well. */
  code: number;
  message: string;
}
