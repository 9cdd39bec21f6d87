import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { background, isAborted } from "./client";

/** What was loaded; `data` stays while it is loaded again. */
export interface Loaded<T> {
  data: T | null;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

/** Loads when the component appears and whenever `deps` change, and every `everyMs` if that is given and the tab is seen. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[], everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ data: T | null; error: unknown; loading: boolean }>({ data: null, error: null, loading: true });
  const running = useRef<AbortController | null>(null);
  const latest = useRef(load);
  latest.current = load;

  const run = useCallback((fresh: boolean, unasked = false) => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    setState((s) => ({ data: fresh ? null : s.data, error: fresh ? null : s.error, loading: true }));
    latest.current(unasked ? background(control.signal) : control.signal).then(
      (data) => !control.signal.aborted && setState({ data, error: null, loading: false }),
      (error: unknown) => !isAborted(error) && !control.signal.aborted && setState((s) => ({ data: s.data, error, loading: false })),
    );
  }, []);

  useEffect(() => {
    run(true);
    const timer = everyMs ? window.setInterval(() => !document.hidden && run(false, true), everyMs) : 0;
    return () => {
      window.clearInterval(timer);
      running.current?.abort();
    };
  }, [...deps, everyMs]);

  const reload = useCallback(() => run(false), []);
  return { ...state, reload };
}

/** The last event, or what is loaded as long as there was none. */
export function useLatest<T>(event: T | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const loaded = useLoad<T | null>((signal) => (event === null ? load(signal) : Promise.resolve(null)), []);
  return event === null ? { ...loaded } : { data: event, error: null, loading: false, reload: loaded.reload };
}
