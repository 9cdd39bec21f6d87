export type TopicType =
  | "TOPIC_TYPE_UNSPECIFIED" | "TOPIC_TYPE_NORMAL" | "TOPIC_TYPE_FIFO" | "TOPIC_TYPE_DELAY"
  | "TOPIC_TYPE_TRANSACTION" | "TOPIC_TYPE_PRIORITY" | "TOPIC_TYPE_LITE" | "TOPIC_TYPE_MIXED";

/** Absent: not set. In an update, absent leaves it as it is, and 0 (or "") takes it away. */
export interface TopicSettings {
  retention_ms?: number | null;
  retention_bytes?: number | null;
  ttl_ms?: number | null;
  max_messages_per_s?: number | null;
  max_bytes_per_s?: number | null;
  dedup_window_ms?: number | null;
  dedup_property?: string | null;
  lite_idle_ms?: number | null;
}

export interface Spreading {
  from: number;
  to: number;
  begun_unix_ms: number;
  until_unix_ms: number;
}

export interface Topic {
  name: string;
  id: number;
  type: TopicType;
  queues: number;
  created_unix_ms: number;
  settings?: TopicSettings | null;
  /** Message groups are spread over so many of the first queues. */
  ordered_queues: number;
  spreading?: Spreading | null;
  spread_steps: number;
  /** Why spreading was given up the last time, if it was. */
  spread_given_up: string;
}

export interface CreateTopicRequest {
  name: string;
  type?: TopicType;
  queues?: number;
  if_not_exists?: boolean;
  settings?: TopicSettings;
}

export interface UpdateTopicRequest {
  type?: TopicType;
  queues?: number;
  settings?: TopicSettings;
}

export interface SpreadTopicRequest {
  /** 0: 10 seconds. */
  within_ms?: number;
  give_up?: boolean;
}

export interface TopicResponse {
  topic: Topic;
}

export interface QueueStatus {
  queue: number;
  broker_group: string;
  /** 0: none at the moment. */
  leader_node: number;
  first_offset: number;
  next_offset: number;
}

export interface GroupBehindSpread {
  group: string;
  messages: number;
}

export interface DescribeTopicResponse {
  topic: Topic;
  behind_spread: GroupBehindSpread[];
  queues: QueueStatus[];
}

export interface ListTopicsResponse {
  topics: Topic[];
}
