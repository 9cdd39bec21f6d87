export interface ListDeadLettersRequest {
  limit?: number;
  cursor?: string;
  message_ids?: string[];
  from_unix_ms?: number;
  to_unix_ms?: number;
  resent?: boolean;
  places_only?: boolean;
}

export interface DeadLetter {
  /** Its place among the dead letters. */
  queue: number;
  offset: number;
  message_id: string;
  /** Where it came from. */
  topic: string;
  topic_queue: number;
  topic_offset: number;
  attempts: number;
  buried_unix_ms: number;
  resent_offset?: number | null;
  resent_unix_ms: number;
  tag: string;
  keys: string[];
  /** Base64. */
  body: string;
}

export interface ListDeadLettersResponse {
  letters: DeadLetter[];
  cursor: string;
}

export interface DeadLetterPlace {
  queue: number;
  offset: number;
}

export interface ResendDeadLettersRequest {
  /** At most 1024. */
  places: DeadLetterPlace[];
}

export type ResendKind = "KIND_UNSPECIFIED" | "KIND_RESENT" | "KIND_ALREADY" | "KIND_UNKNOWN" | "KIND_TOPIC_GONE";

export interface ResendResult {
  kind: ResendKind;
  queue: number;
  offset: number;
}

export interface ResendDeadLettersResponse {
  /** One for each place, in order. */
  results: ResendResult[];
}
