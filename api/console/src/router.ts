import { useCallback } from "preact/hooks";
import { createStore, useStore } from "./store";

/** Where the console is served. */
export const BASE = "/console/";

/** An address within the console. */
export interface Place {
  /** Without BASE, still percent-encoded. */
  path: string;
  query: URLSearchParams;
}

/** What goes into the query of an address; empty values are left out. */
export type Query = Record<string, string | number | boolean | null | undefined>;

function here(): Place {
  const at = window.location;
  const path = at.pathname.startsWith(BASE) ? at.pathname.slice(BASE.length) : "";
  return { path: path.replace(/\/+$/, ""), query: new URLSearchParams(at.search) };
}

/** The address that is shown. */
export const place = createStore<Place>(here());

/** The address of a page: `href("topics/:name", {name}, {tab: "queues"})`. Parameters are encoded. */
export function href(pattern: string, params: Record<string, string | number> = {}, query: Query = {}): string {
  const path = pattern.replace(/:([a-z_]+)/g, (_, name: string) => encodeURIComponent(String(params[name] ?? "")));
  return BASE + path + queryText(query);
}

/** `?a=1&b=2`, or nothing. */
export function queryText(query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "" && value !== false) search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

/** Goes to an address that `href` made. */
export function navigate(to: string, how: { replace?: boolean } = {}): void {
  if (how.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  const before = place.get().path;
  place.set(here());
  if (place.get().path !== before) window.scrollTo(0, 0);
}

/** Changes some keys of the query and leaves the others. By default it makes no step in the history. */
export function setQuery(change: Query, how: { push?: boolean } = {}): void {
  const query: Query = { ...Object.fromEntries(place.get().query), ...change };
  navigate(window.location.pathname + queryText(query), { replace: !how.push });
}

/** The current address; renders again when it changes. */
export function usePlace(): Place {
  return useStore(place);
}

/** One key of the query as a state: reading it, and setting it (the default leaves the address). */
export function useQueryState(key: string, initial = "", how: { push?: boolean } = {}): [string, (value: string) => void] {
  const value = usePlace().query.get(key) ?? initial;
  const { push } = how;
  const set = useCallback(
    (next: string) => setQuery({ [key]: next === initial ? null : next }, { push }),
    [key, initial, push],
  );
  return [value, set];
}

/** The parameters if a path fits a pattern such as `topics/:name`, else null. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const parts = path.split("/");
  if (wanted.length !== parts.length) return null;
  const params: Record<string, string> = {};
  for (let i = 0; i < wanted.length; i++) {
    const want = wanted[i] ?? "";
    const part = parts[i] ?? "";
    if (!want.startsWith(":")) {
      if (want !== part) return null;
      continue;
    }
    const value = decode(part);
    if (!value) return null;
    params[want.slice(1)] = value;
  }
  return params;
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** Follows links within the console without loading the page anew. Called once. */
export function startRouter(): void {
  window.addEventListener("popstate", () => place.set(here()));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href, window.location.href);
    if (url.origin !== window.location.origin || !url.pathname.startsWith(BASE)) return;
    // Jumps within the page are the browser's.
    if (url.hash) return;
    event.preventDefault();
    navigate(url.pathname + url.search);
  });
}
