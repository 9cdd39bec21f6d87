import type { QueueStatus } from "../../api/types";

/** Whether a topic is the cluster's own: retries and dead letters of a consumer group. */
export function isSystemTopic(name: string): boolean {
  return name.startsWith("%RETRY%") || name.startsWith("%DLQ%");
}

/** How many messages queues hold. */
export function messagesIn(queues: readonly QueueStatus[]): number {
  return queues.reduce((sum, queue) => sum + queue.next_offset - queue.first_offset, 0);
}
