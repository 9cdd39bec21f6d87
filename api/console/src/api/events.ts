import { useEffect, useRef } from "preact/hooks";
import { createStore, useStore, type Store } from "../store";
import { session } from "./calls";
import { ApiError, background, refusedSessions } from "./client";
import type { ClusterStatusResponse, DoctorResponse, ListLagsResponse, TrafficResponse } from "./types";

/** Whether what is shown is what is. */
export type Live = { state: "connecting" } | { state: "live" } | { state: "reconnecting"; since: number };

/** The state of the one event stream. */
export const live = createStore<Live>({ state: "connecting" });
/** Counts how often events may have been missed: the stream was away, or closed while nobody looked. */
const gaps = createStore(0);
/** The last event of each kind; null before the first one. */
export const lastCluster = createStore<ClusterStatusResponse | null>(null);
export const lastTraffic = createStore<TrafficResponse | null>(null);
export const lastLags = createStore<ListLagsResponse | null>(null);
export const lastDoctor = createStore<DoctorResponse | null>(null);

// `cluster` comes every 2 s at least.
const SILENCE_MS = 6_000;
const PAUSES_MS = [0, 300, 700, 1_000, 2_000];
// The stream ends by itself every few minutes. As long as it is back within this, nobody has to know.
const UNNOTICED_MS = 1_500;
const ASK_MS = 4_000;
// A tab that nobody looks at gives its connection back: browsers open only six to a node.
const HIDDEN_MS = 60_000;

let source: EventSource | null = null;
let wanted = false;
let failures = 0;
let silence = 0;
let retry = 0;
let hidden = 0;
let telling = 0;
let missed = false;
let heard = 0;

/** Opens the stream, and keeps it open. */
export function startEvents(): void {
  if (wanted) return;
  wanted = true;
  document.addEventListener("visibilitychange", watchVisibility);
  open();
}

/** Closes the stream: nobody is logged in. */
export function stopEvents(): void {
  wanted = false;
  document.removeEventListener("visibilitychange", watchVisibility);
  window.clearTimeout(hidden);
  window.clearTimeout(telling);
  telling = 0;
  close();
  heard = 0;
  live.set({ state: "connecting" });
  for (const last of [lastCluster, lastTraffic, lastLags, lastDoctor] as Store<unknown>[]) last.set(null);
}

function open(): void {
  close();
  source = new EventSource("/api/v1/events");
  listen(source, "cluster", lastCluster);
  listen(source, "traffic", lastTraffic);
  listen(source, "lags", lastLags);
  listen(source, "doctor", lastDoctor);
  source.addEventListener("over", () => {
    close();
    refusedSessions.set(refusedSessions.get() + 1);
  });
  source.onerror = () => fail();
  watchSilence();
}

function close(): void {
  source?.close();
  source = null;
  window.clearTimeout(silence);
  window.clearTimeout(retry);
}

function listen<T>(from: EventSource, name: string, store: Store<T | null>): void {
  from.addEventListener(name, (event: MessageEvent<string>) => {
    const data = parse<T>(event.data);
    if (data === null) return;
    arrived();
    store.set(data);
  });
}

function arrived(): void {
  heard = Date.now();
  failures = 0;
  window.clearTimeout(telling);
  telling = 0;
  if (live.get().state !== "live") live.set({ state: "live" });
  if (missed) gaps.set(gaps.get() + 1);
  missed = false;
  watchSilence();
}

function parse<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

function watchSilence(): void {
  window.clearTimeout(silence);
  silence = window.setTimeout(fail, SILENCE_MS);
}

function fail(): void {
  close();
  if (!wanted) return;
  // What is shown is as old as the last that was heard.
  const since = heard || Date.now();
  // A stream that was fine and is no more has probably ended by itself.
  if (failures > 0 || live.get().state !== "live") tellAway(since);
  else telling = window.setTimeout(tellAway, UNNOTICED_MS, since);
  const pause = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)] ?? 2_000;
  failures += 1;
  retry = window.setTimeout(() => void reopen(), pause);
}

function tellAway(since: number): void {
  window.clearTimeout(telling);
  telling = 0;
  missed = true;
  if (live.get().state !== "reconnecting") live.set({ state: "reconnecting", since });
}

/** An EventSource does not say why it failed, so a plain call asks first whether the session is over. */
async function reopen(): Promise<void> {
  try {
    await session.get(background(AbortSignal.timeout(ASK_MS)));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) refusedSessions.set(refusedSessions.get() + 1);
    else fail();
    return;
  }
  if (wanted) open();
}

function watchVisibility(): void {
  window.clearTimeout(hidden);
  if (document.hidden) hidden = window.setTimeout(rest, HIDDEN_MS);
  else if (!source) void reopen();
}

function rest(): void {
  close();
  missed = true;
}

/** The state of the event stream. */
export const useLive = (): Live => useStore(live);
/** The cluster as of the last event, at most 2 s old. */
export const useCluster = (): ClusterStatusResponse | null => useStore(lastCluster);
/** The lags as of the last event, at most 5 s old. */
export const useLags = (): ListLagsResponse | null => useStore(lastLags);
/** The rates of the last 2 s. */
export const useTraffic = (): TrafficResponse | null => useStore(lastTraffic);
/** The findings as of the last event, at most 10 s old. */
export const useDoctor = (): DoctorResponse | null => useStore(lastDoctor);

/** Runs something whenever the stream is back after a gap, for pages that keep a history. */
export function useAfterGap(again: () => void): void {
  const count = useStore(gaps);
  const before = useRef(count);
  useEffect(() => {
    if (before.current !== count) again();
    before.current = count;
  }, [count]);
}
