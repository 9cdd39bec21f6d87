import { useEffect, useReducer } from "preact/hooks";

/** A value that components can watch. */
export interface Store<T> {
  get(): T;
  set(value: T): void;
  /** Calls `listener` on every change, until the function that is returned is called. */
  subscribe(listener: () => unknown): () => void;
}

/** Makes a store. Setting what is there already tells nobody. */
export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => unknown>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The value of a store; renders again when it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const seen = store.get();
  useEffect(() => {
    // It may have changed between rendering and subscribing.
    if (!Object.is(store.get(), seen)) again(0);
    return store.subscribe(() => again(0));
  }, [store]);
  return seen;
}
