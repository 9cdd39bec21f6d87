// How fast the queues of a topic grow, by looks at their ends.
import { useMemo, useRef } from "preact/hooks";
import type { DescribeTopicResponse } from "../../api/types";

// Rates are over about so long: one look after the other would jump.
const WINDOW_MS = 9_000;

interface Look {
  ms: number;
  ends: Map<number, number>;
}

/** Messages per second; null: not known yet. */
export interface QueueRates {
  total: number | null;
  of: (queue: number) => number | null;
}

/** The rates as of the last look. Each new description is one. */
export function useQueueRates(data: DescribeTopicResponse | null): QueueRates {
  const looks = useRef<Look[]>([]);
  return useMemo(() => {
    if (!data) return { total: null, of: () => null };
    const now = { ms: performance.now(), ends: new Map(data.queues.map((queue) => [queue.queue, queue.next_offset])) };
    looks.current = [...looks.current.filter((look) => now.ms - look.ms < WINDOW_MS), now];
    const from = looks.current[0];
    const seconds = from ? (now.ms - from.ms) / 1_000 : 0;
    const of = (queue: number) => {
      const end = now.ends.get(queue) ?? 0;
      return seconds > 0 ? Math.max(0, end - (from?.ends.get(queue) ?? end)) / seconds : null;
    };
    return { of, total: seconds > 0 ? data.queues.reduce((sum, { queue }) => sum + (of(queue) ?? 0), 0) : null };
  }, [data]);
}
