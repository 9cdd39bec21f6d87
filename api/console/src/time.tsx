import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { duration } from "./format";
import { language, useLanguage } from "./i18n/language";
import { text } from "./i18n";
import { createStore } from "./store";

const now = createStore(Date.now());
let watchers = 0;
let ticker = 0;

/** One clock for the whole page, which runs while somebody looks at it. */
function watchClock(listener: () => void): () => void {
  const stop = now.subscribe(listener);
  if (watchers++ === 0) ticker = window.setInterval(() => !document.hidden && now.set(Date.now()), 1_000);
  return () => {
    stop();
    if (--watchers === 0) window.clearInterval(ticker);
  };
}

/** What a function of the time gives; renders again only when that changes. */
export function useClock<T extends string | number | boolean>(of: (nowMs: number) => T): T {
  const value = of(Date.now());
  const [, setShown] = useState(value);
  useEffect(() => watchClock(() => setShown(of(now.get()))));
  return value;
}

function format(options: Intl.DateTimeFormatOptions, ms: number): string {
  return new Intl.DateTimeFormat(language.get(), { ...options, hourCycle: "h23" }).format(ms);
}

/** 2026-05-04 13:04:05 in the viewer's zone, the same in every language so that it can be compared and sorted by eye. */
export function absolute(ms: number, withMillis = false): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "–";
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${day} ${time}${withMillis ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : ""}`;
}

/** 13:04, or 13:04:05 */
export function clock(ms: number, seconds = false): string {
  return format({ hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) }, ms);
}

/** The viewer's time zone, for people. */
export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** "5 min ago", "in 2 hr": one unit below an hour, two above. */
export function relative(ms: number, nowMs: number): string {
  const distance = nowMs - ms;
  const t = text().common;
  // Clocks of nodes and browsers differ a little.
  if (Math.abs(distance) < 1_000) return t.justNow;
  const size = Math.abs(distance);
  const rounded = size < 60_000 ? floorTo(size, 1_000) : floorTo(size, 60_000);
  return distance > 0 ? t.ago(duration(rounded)) : t.in(duration(rounded));
}

const floorTo = (n: number, step: number): number => Math.floor(n / step) * step;

/** A time, absolute and relative, which stays up to date. `show` leaves one of them to the tooltip. */
export function Time(props: { ms: number | null | undefined; show?: "both" | "absolute" | "relative"; millis?: boolean }): VNode {
  useLanguage();
  const { ms, show = "both" } = props;
  const known = ms !== null && ms !== undefined && ms !== 0 && Number.isFinite(ms) && Math.abs(ms) < 8.64e15;
  const age = useClock((at) => (known ? relative(ms, at) : ""));
  if (!known) return <span class="muted">–</span>;
  const exact = absolute(ms, props.millis);
  return (
    <time class="time" dateTime={new Date(ms).toISOString()} title={`${absolute(ms, true)} ${zone()} (${age})`}>
      {show !== "relative" && <span>{exact}</span>}
      {show === "both" && " "}
      {show !== "absolute" && <span class={show === "both" ? "muted" : ""}>{age}</span>}
    </time>
  );
}
