export interface Timer {
  topic: string;
  message_id: string;
  due_unix_ms: number;
  stored_unix_ms: number;
  recall_handle: string;
}

export interface ListTimersResponse {
  timers: Timer[];
  total: number;
  cursor: string;
}

export interface RecallTimerRequest {
  topic: string;
  recall_handle: string;
}

export interface RecallTimerResponse {
  message_id?: string;
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
