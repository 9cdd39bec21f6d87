export type StartFrom = "START_FROM_UNSPECIFIED" | "START_FROM_FIRST" | "START_FROM_LAST" | "START_FROM_TIME";

export interface ExponentialRetry {
  initial_ms: number;
  max_ms: number;
  /** 200 doubles. */
  multiplier_percent: number;
}

/** One of the two. */
export interface RetryPolicy {
  levels_ms: number[];
  exponential?: ExponentialRetry | null;
}

export interface Group {
  name: string;
  id: number;
  fifo: boolean;
  max_attempts: number;
  start_from: StartFrom;
  start_unix_ms: number;
  created_unix_ms: number;
  retry?: RetryPolicy | null;
  paused: boolean;
  /** 0: no bound. */
  in_flight_max: number;
}

export interface CreateGroupRequest {
  name: string;
  fifo?: boolean;
  max_attempts?: number;
  start_from?: StartFrom;
  start_unix_ms?: number;
  if_not_exists?: boolean;
  retry?: Partial<RetryPolicy>;
  in_flight_max?: number;
}

/** What is absent stays as it is. */
export interface UpdateGroupRequest {
  max_attempts?: number;
  retry?: Partial<RetryPolicy>;
  paused?: boolean;
  in_flight_max?: number;
}

export interface GroupResponse {
  group: Group;
}

export interface GroupQueueStatus {
  topic: string;
  queue: number;
  /** Everything below is settled. */
  settled_offset: number;
  /** The first offset never delivered. */
  next_offset: number;
  end_offset: number;
  in_flight: number;
  lag: number;
  first_offset: number;
  /** Whether the consumer group has a place in the queue. */
  begun: boolean;
}

export interface GroupClient {
  client_id: string;
  language: string;
  version: string;
  address: string;
}

export interface DescribeGroupResponse {
  group: Group;
  queues: GroupQueueStatus[];
  clients: GroupClient[];
}

export interface ListGroupsResponse {
  groups: Group[];
}

export interface ResetOffsetRequest {
  topic: string;
  to?: StartFrom;
  unix_ms?: number;
  queue?: number;
  offset?: number;
  /** Nothing is reset: the answer says where each queue would be. */
  preview?: boolean;
}

export interface ResetOffsetResponse {
  queues: GroupQueueStatus[];
}

export interface GroupOffsetsResponse {
  queues: GroupQueueStatus[];
}
