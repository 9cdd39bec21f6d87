import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { background, isAborted } from "./client";

/** What was loaded; `data` stays while it is loaded again. */
export interface Loaded<T> {
  data: T | null;
  error: unknown;
  loading: boolean;
  reload: () => void;
  /** The same, of the page's own accord: it does not keep the session alive. */
  refresh: () => void;
}

/** Loads when the component appears and whenever `deps` change, and every `everyMs` if that is given and the tab is seen. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[], everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ data: T | null; error: unknown; loading: boolean }>({ data: null, error: null, loading: true });
  const running = useRef<AbortController | null>(null);
  const busy = useRef(false);
  const latest = useRef(load);
  latest.current = load;

  const run = useCallback((fresh: boolean, unasked = false) => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    busy.current = true;
    setState((s) => ({ data: fresh ? null : s.data, error: fresh ? null : s.error, loading: true }));
    const end = (next: (s: { data: T | null }) => { data: T | null; error: unknown }) => {
      if (control.signal.aborted) return;
      busy.current = false;
      setState((s) => ({ ...next(s), loading: false }));
    };
    latest.current(unasked ? background(control.signal) : control.signal).then(
      (data) => end(() => ({ data, error: null })),
      (error: unknown) => !isAborted(error) && end((s) => ({ data: s.data, error })),
    );
  }, []);

  useEffect(() => {
    run(true);
    // What takes longer than the pause is waited for.
    const timer = everyMs ? window.setInterval(() => !document.hidden && !busy.current && run(false, true), everyMs) : 0;
    return () => {
      window.clearInterval(timer);
      running.current?.abort();
    };
  }, [...deps, everyMs]);

  const reload = useCallback(() => run(false), []);
  const refresh = useCallback(() => run(false, true), []);
  return { ...state, reload, refresh };
}

/** The last event, or what is loaded as long as there was none. */
export function useLatest<T>(event: T | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const loaded = useLoad<T | null>((signal) => (event === null ? load(signal) : Promise.resolve(null)), []);
  return event === null ? { ...loaded } : { ...loaded, data: event, error: null, loading: false };
}
