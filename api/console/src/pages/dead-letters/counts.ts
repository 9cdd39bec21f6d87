import { useEffect, useState } from "preact/hooks";
import { topics } from "../../api/calls";

/** Topics of dead letters are called so, and then like their consumer group. */
export const PREFIX = "%DLQ%";

/** How many dead letters consumer groups have. Absent: it is not known yet. null: it could not be found out. */
export type Counts = ReadonlyMap<string, number | null>;

const AT_ONCE = 4;
const TOLD_EVERY_MS = 200;

/** Counts the dead letters of consumer groups, a few groups at a time. Those that were sent again count as long as they are kept. */
export function useCounts(groups: readonly string[]): Counts {
  const [counts, setCounts] = useState<Counts>(new Map());
  useEffect(() => {
    const control = new AbortController();
    const found = new Map<string, number | null>();
    const waiting = [...groups];
    setCounts(new Map());
    const timer = window.setInterval(() => setCounts(new Map(found)), TOLD_EVERY_MS);
    const work = async () => {
      for (let group = waiting.shift(); group !== undefined && !control.signal.aborted; group = waiting.shift()) {
        found.set(group, await count(group, control.signal));
      }
    };
    void Promise.all(Array.from({ length: AT_ONCE }, work)).then(() => {
      window.clearInterval(timer);
      if (!control.signal.aborted) setCounts(found);
    });
    return () => {
      control.abort();
      window.clearInterval(timer);
    };
  }, [groups]);
  return counts;
}

async function count(group: string, signal: AbortSignal): Promise<number | null> {
  try {
    const { queues } = await topics.describe(PREFIX + group, signal);
    return queues.reduce((all, queue) => all + queue.next_offset - queue.first_offset, 0);
  } catch {
    return null;
  }
}
