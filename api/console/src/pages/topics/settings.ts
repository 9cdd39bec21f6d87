// The settings of a topic while they are typed, and what is sent of them.
import type { TopicSettings, TopicType } from "../../api/types";
import type { Texts } from "../../i18n/en";

/** null and "" are: not set. */
export interface SettingsDraft {
  retention_ms: number | null;
  retention_bytes: number | null;
  ttl_ms: number | null;
  max_messages_per_s: number | null;
  max_bytes_per_s: number | null;
  dedup_window_ms: number | null;
  dedup_property: string;
  lite_idle_ms: number | null;
}

type NumberKey = Exclude<keyof SettingsDraft, "dedup_property">;
const NUMBERS: readonly NumberKey[] = [
  "retention_ms", "retention_bytes", "ttl_ms", "max_messages_per_s", "max_bytes_per_s", "dedup_window_ms", "lite_idle_ms",
];

export type SettingsErrors = Partial<Record<keyof SettingsDraft, string>>;

/** Settings as they are, to be changed. */
export function draftOf(settings: TopicSettings | null | undefined): SettingsDraft {
  const number = (key: NumberKey) => settings?.[key] ?? null;
  return {
    retention_ms: number("retention_ms"),
    retention_bytes: number("retention_bytes"),
    ttl_ms: number("ttl_ms"),
    max_messages_per_s: number("max_messages_per_s"),
    max_bytes_per_s: number("max_bytes_per_s"),
    dedup_window_ms: number("dedup_window_ms"),
    dedup_property: settings?.dedup_property ?? "",
    lite_idle_ms: number("lite_idle_ms"),
  };
}

/** What of a draft is not as it was. What was taken away is 0 or "". */
export function changedSettings(before: SettingsDraft, draft: SettingsDraft): TopicSettings {
  const change: TopicSettings = {};
  for (const key of NUMBERS) if ((draft[key] ?? 0) !== (before[key] ?? 0)) change[key] = draft[key] ?? 0;
  if (draft.dedup_property.trim() !== before.dedup_property) change.dedup_property = draft.dedup_property.trim();
  return change;
}

/** What is wrong with a draft, in words. */
export function settingsErrors(draft: SettingsDraft, type: TopicType, t: Texts["topics"]["settings"]): SettingsErrors {
  const errors: SettingsErrors = {};
  for (const key of NUMBERS) {
    const value = draft[key];
    if (value !== null && (!Number.isSafeInteger(value) || value < 0)) errors[key] = t.wholeWrong;
  }
  if ((draft.max_messages_per_s ?? 0) > 4_294_967_295) errors.max_messages_per_s = t.messagesWrong;
  const window = draft.dedup_window_ms ?? 0;
  if (window !== 0 && (window < 10_000 || window > 600_000)) errors.dedup_window_ms = t.dedupWrong;
  const idle = draft.lite_idle_ms ?? 0;
  if (type === "TOPIC_TYPE_LITE" && idle !== 0 && idle < 1_000) errors.lite_idle_ms = t.liteWrong;
  return errors;
}
