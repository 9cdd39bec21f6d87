// How fast topics grow: their ends are looked at again and again, for those only that are on the screen.
import { useEffect } from "preact/hooks";
import { topics } from "../../api/calls";
import { background } from "../../api/client";
import { createStore, useStore, type Store } from "../../store";

const EVERY_MS = 5_000;
const AT_ONCE = 2;
/** Topics of more queues are not looked at: each look asks for all of them. */
export const QUEUES_MAX = 256;

interface Watched {
  rate: Store<number | null>;
  watchers: number;
  /** Where the ends of its queues were, together, at the last two looks. */
  last: { ms: number; ends: number } | null;
}

const watched = new Map<string, Watched>();
let timer = 0;
const control = new AbortController();

function watch(name: string): Watched {
  let topic = watched.get(name);
  if (!topic) watched.set(name, (topic = { rate: createStore<number | null>(null), watchers: 0, last: null }));
  return topic;
}

async function look(name: string): Promise<void> {
  const { queues } = await topics.describe(name, background(control.signal));
  const topic = watched.get(name);
  if (!topic) return;
  const now = { ms: performance.now(), ends: queues.reduce((sum, queue) => sum + queue.next_offset, 0) };
  if (topic.last) topic.rate.set((Math.max(0, now.ends - topic.last.ends) * 1_000) / (now.ms - topic.last.ms));
  topic.last = now;
}

async function round(): Promise<void> {
  for (const [name, topic] of watched) if (topic.watchers === 0) watched.delete(name);
  const names = [...watched.keys()];
  const next = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      // One that fails (it was deleted, or a leader is missing) has no rate for now.
      const of = name;
      await look(of).catch(() => watched.get(of)?.rate.set(null));
    }
  };
  if (!document.hidden) await Promise.all(Array.from({ length: AT_ONCE }, next));
  if (watched.size) timer = window.setTimeout(() => void round(), EVERY_MS);
  else timer = 0;
}

function begin(name: string): () => void {
  const topic = watch(name);
  topic.watchers += 1;
  // All rows of a page begin together.
  if (!timer) timer = window.setTimeout(() => void round(), 50);
  return () => {
    topic.watchers -= 1;
  };
}

/** Messages per second that come into a topic, while somebody looks; null: not known yet. */
export function useTopicRate(name: string): number | null {
  const { rate } = watch(name);
  useEffect(() => begin(name), [name]);
  return useStore(rate);
}
