export interface Timer {
  topic: string;
  message_id: string;
  born_unix_ms: number;
  due_unix_ms: number;
  recall_handle: string;
}

export interface ListTimersResponse {
  /** By ascending time. The next page begins at the last one's time; those of that time come again. */
  timers: Timer[];
  /** All that wait, of all topics. Not told to who may not list all of them. */
  total?: number | null;
  /** There may be some that are due later than these, or at the same time as the last. */
  more: boolean;
}

export interface RecallTimerRequest {
  topic: string;
  recall_handle: string;
}

export interface RecallTimerResponse {
  message_id: string;
}

export interface Transaction {
  topic: string;
  message_id: string;
  transaction_id: string;
  stored_unix_ms: number;
  /** How often a producer was asked. */
  checks: number;
  /** Absent: it was given up. */
  next_check_unix_ms?: number | null;
  given_up_unix_ms?: number | null;
}

export interface ListTransactionsResponse {
  transactions: Transaction[];
}
