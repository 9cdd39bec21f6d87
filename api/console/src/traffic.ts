// The traffic of the last hour, all nodes together: what the nodes remember, continued by events.
import { useEffect, useState } from "preact/hooks";
import { observe } from "./api/calls";
import { useAfterGap, useTraffic } from "./api/events";
import { useLoad } from "./api/load";
import type { TrafficSample } from "./api/types";

const BUCKET_MS = 10_000;
const HOUR_MS = 3_600_000;

/** The rates in a sample. */
export type Rates = Omit<TrafficSample, "unix_ms">;

const NONE: Rates = { messages_in_per_s: 0, bytes_in_per_s: 0, messages_out_per_s: 0, bytes_out_per_s: 0, failed_per_s: 0 };
const KEYS = Object.keys(NONE) as (keyof Rates)[];

/** The rates of several nodes together. */
export function sum(samples: readonly Rates[]): Rates {
  const all = { ...NONE };
  for (const sample of samples) for (const key of KEYS) all[key] += sample[key];
  return all;
}

function mean(samples: readonly Rates[]): Rates {
  const all = sum(samples);
  for (const key of KEYS) all[key] /= samples.length;
  return all;
}

/** Samples by the ten seconds that they end in, and by node: nodes sample at different moments, and live ones come faster. */
class History {
  private readonly buckets = new Map<number, Map<number, Rates[]>>();

  add(node: number, sample: TrafficSample): void {
    const bucket = Math.floor(sample.unix_ms / BUCKET_MS) * BUCKET_MS;
    let nodes = this.buckets.get(bucket);
    if (!nodes) this.buckets.set(bucket, (nodes = new Map()));
    const samples = nodes.get(node);
    if (samples) samples.push(sample);
    else nodes.set(node, [sample]);
  }

  forget(before: number): void {
    for (const bucket of this.buckets.keys()) if (bucket < before) this.buckets.delete(bucket);
  }

  points(): TrafficPoint[] {
    const times = [...this.buckets.keys()].sort((a, b) => a - b);
    const points: TrafficPoint[] = [];
    for (const ms of times) {
      const before = points.at(-1);
      // Nothing was measured in between: the line breaks.
      if (before && ms - before.ms > 3 * BUCKET_MS) points.push({ ms: before.ms + BUCKET_MS, rates: null });
      const nodes = this.buckets.get(ms) ?? new Map<number, Rates[]>();
      points.push({ ms, rates: sum([...nodes.values()].map(mean)) });
    }
    return points;
  }
}

/** All nodes together over ten seconds; null: not measured. */
export interface TrafficPoint {
  ms: number;
  rates: Rates | null;
}

/** The last hour, as it grows. */
export function useHistory(): { points: readonly TrafficPoint[]; error: unknown; loading: boolean; reload: () => void } {
  const loaded = useLoad((signal) => observe.traffic({ since_unix_ms: Date.now() - HOUR_MS }, signal), []);
  const event = useTraffic();
  const [history, setHistory] = useState(() => new History());
  const [points, setPoints] = useState<readonly TrafficPoint[]>([]);
  // After a gap the nodes know what was missed.
  useAfterGap(loaded.refresh);

  useEffect(() => {
    if (!loaded.data) return;
    const fresh = new History();
    for (const { node, samples } of loaded.data.nodes) for (const sample of samples) fresh.add(node, sample);
    setHistory(fresh);
    setPoints(fresh.points());
  }, [loaded.data]);

  useEffect(() => {
    if (!event || !loaded.data) return;
    for (const { node, now } of event.nodes) if (now) history.add(node, now);
    history.forget(Date.now() - HOUR_MS);
    setPoints(history.points());
  }, [event]);
  return { points, error: loaded.error, loading: loaded.loading && !loaded.data, reload: loaded.reload };
}
