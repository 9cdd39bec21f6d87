import type { QueueStatus, TopicType } from "../../api/types";

/** Whether a topic is the cluster's own: retries and dead letters of a consumer group. */
export function isSystemTopic(name: string): boolean {
  return name.startsWith("%RETRY%") || name.startsWith("%DLQ%");
}

/** Whether queues tell how many messages there are: those of lite topics are in none. */
export const isCounted = (type: TopicType): boolean => type !== "TOPIC_TYPE_LITE";

/** Whether messages of a topic may have a message group. */
export const hasMessageGroups = (type: TopicType): boolean => type === "TOPIC_TYPE_FIFO" || type === "TOPIC_TYPE_MIXED";

/** How many messages queues hold. */
export function messagesIn(queues: readonly QueueStatus[]): number {
  return queues.reduce((sum, queue) => sum + queue.next_offset - queue.first_offset, 0);
}
