// Retry policies as people type them, and as they are sent.
import type { RetryPolicy } from "../../api/types";
import { duration, number } from "../../format";
import type { Texts } from "../../i18n/en";

const PAUSE_MAX_MS = 12 * 3_600_000;
const LEVELS_MAX = 64;
const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** default: nothing is said, the node's own levels count. */
export type RetryMode = "default" | "levels" | "exponential";

export interface RetryDraft {
  mode: RetryMode;
  levels: string;
  initial_ms: number | null;
  max_ms: number | null;
  factor: number | null;
}

export interface RetryErrors {
  levels: string;
  initial_ms: string;
  max_ms: string;
  factor: string;
}

/** 90000 is "90s": the biggest unit in which it is whole. */
export function levelText(ms: number): string {
  const unit = ["h", "m", "s"].find((name) => ms > 0 && ms % (UNITS[name] ?? 1) === 0) ?? "ms";
  return `${ms / (UNITS[unit] ?? 1)}${unit}`;
}

/** A pause as it is typed; null if it is none. */
function levelOf(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)$/i.exec(text);
  const ms = Math.round(Number(found?.[1]) * (UNITS[found?.[2]?.toLowerCase() ?? ""] ?? Number.NaN));
  return Number.isNaN(ms) || ms > PAUSE_MAX_MS ? null : ms;
}

const words = (levels: string): string[] => levels.split(/[\s,，、]+/).filter(Boolean);

/** A policy as it is, to be changed. */
export function retryDraft(policy: RetryPolicy | null | undefined): RetryDraft {
  const exponential = policy?.exponential;
  return {
    mode: exponential ? "exponential" : policy ? "levels" : "default",
    levels: (policy?.levels_ms ?? []).map(levelText).join(" "),
    initial_ms: exponential?.initial_ms ?? 1_000,
    max_ms: exponential?.max_ms ?? 600_000,
    factor: exponential ? exponential.multiplier_percent / 100 : 2,
  };
}

/** What is sent; undefined: nothing. */
export function retryOf(draft: RetryDraft): RetryPolicy | undefined {
  if (draft.mode === "default") return undefined;
  if (draft.mode === "levels") return { levels_ms: words(draft.levels).map((word) => levelOf(word) ?? 0) };
  return {
    levels_ms: [],
    exponential: {
      initial_ms: draft.initial_ms ?? 0,
      max_ms: draft.max_ms ?? 0,
      multiplier_percent: Math.round((draft.factor ?? 0) * 100),
    },
  };
}

/** What is wrong with a policy, in words; "" where nothing is. */
export function retryErrors(draft: RetryDraft, t: Texts["groups"]["retry"]): RetryErrors {
  const none: RetryErrors = { levels: "", initial_ms: "", max_ms: "", factor: "" };
  if (draft.mode === "default") return none;
  if (draft.mode === "levels") {
    const typed = words(draft.levels);
    const wrong = typed.find((word) => levelOf(word) === null);
    const count = typed.length < 1 || typed.length > LEVELS_MAX ? t.levelsCount : "";
    return { ...none, levels: wrong === undefined ? count : t.levelsWrong(wrong) };
  }
  const { initial_ms, max_ms, factor } = draft;
  const max = max_ms ?? 0;
  return {
    ...none,
    initial_ms: initial_ms === null || initial_ms < 1 || initial_ms > max ? t.initialWrong : "",
    max_ms: max < 1 || max > PAUSE_MAX_MS ? t.maxWrong : "",
    factor: factor === null || factor < 1 || factor > 100 ? t.factorWrong : "",
  };
}

/** A policy for people. */
export function retryText(policy: RetryPolicy | null | undefined, t: Texts["groups"]["retry"]): string {
  const exponential = policy?.exponential;
  if (!exponential) return (policy?.levels_ms ?? []).map(levelText).join(" ") || t.modes.default;
  return t.exponential(duration(exponential.initial_ms), duration(exponential.max_ms), number(exponential.multiplier_percent / 100, 2));
}
