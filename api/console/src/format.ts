import { language } from "./i18n/language";

const cache = new Map<string, Intl.NumberFormat>();

function formatter(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = language.get() + JSON.stringify(options);
  let found = cache.get(key);
  if (!found) cache.set(key, (found = new Intl.NumberFormat(language.get(), options)));
  return found;
}

/** 1,234,567 */
export function number(n: number, digits = 0): string {
  return formatter({ maximumFractionDigits: digits }).format(n);
}

/** 1.2M: where there is little space. */
export function compact(n: number): string {
  if (Math.abs(n) < 10_000) return number(n, Math.abs(n) < 100 ? 1 : 0);
  return formatter({ notation: "compact", maximumFractionDigits: 1 }).format(n);
}

/** 93% */
export function percent(n: number): string {
  return formatter({ style: "percent", maximumFractionDigits: 0 }).format(n / 100);
}

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1.5 GiB */
export function bytes(n: number): string {
  let unit = 0;
  let value = n;
  while (Math.abs(value) >= 1024 && unit < BYTES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value, unit === 0 || value >= 100 ? 0 : 1)} ${BYTES[unit]}`;
}

/** 1,234/s */
export function rate(perSecond: number): string {
  return `${compact(perSecond)}/s`;
}

/** 1.5 MiB/s */
export function byteRate(perSecond: number): string {
  return `${bytes(perSecond)}/s`;
}

const DURATIONS: readonly [Intl.NumberFormatOptions["unit"], number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
  ["millisecond", 1],
];

/** 2 hr 5 min: the two biggest units. */
export function duration(ms: number): string {
  const parts: string[] = [];
  let rest = Math.abs(ms);
  for (const [unit, size] of DURATIONS) {
    const whole = Math.floor(rest / size);
    if (whole === 0) {
      if (parts.length) break;
      continue;
    }
    parts.push(formatter({ style: "unit", unit, unitDisplay: "short" }).format(whole));
    rest -= whole * size;
    if (parts.length === 2) break;
  }
  return parts.length ? parts.join(" ") : formatter({ style: "unit", unit: "millisecond", unitDisplay: "short" }).format(0);
}

/** 850 µs, 12.4 ms */
export function micros(us: number): string {
  return us < 1_000 ? `${number(us)} µs` : `${number(us / 1_000, 1)} ms`;
}
