import type { VNode } from "preact";
import type { TopicType } from "../../api/types";
import { useText } from "../../i18n";
import { BytesField, DurationField, NumberField, TextField } from "../../ui";
import type { SettingsDraft, SettingsErrors } from "./settings";

/** The fields of a topic's settings. Those of lite topics only where there can be any. */
export function SettingsFields(props: {
  draft: SettingsDraft;
  onChange: (draft: SettingsDraft) => void;
  errors: SettingsErrors;
  type: TopicType;
  lead: string;
}): VNode {
  const t = useText().topics.settings;
  const { draft, errors } = props;
  const field = <K extends keyof SettingsDraft>(key: K, label: string, hint: string) => ({
    label,
    hint,
    value: draft[key],
    onChange: (value: SettingsDraft[K]) => props.onChange({ ...draft, [key]: value }),
    error: errors[key] ?? "",
  });
  return (
    <fieldset class="fields">
      <legend>{t.title}</legend>
      <p class="hint">{props.lead}</p>
      <div class="field-row">
        <DurationField {...field("retention_ms", t.retention_ms, t.retention_msHint)} />
        <BytesField {...field("retention_bytes", t.retention_bytes, t.retention_bytesHint)} />
        <DurationField {...field("ttl_ms", t.ttl_ms, t.ttl_msHint)} />
        <NumberField {...field("max_messages_per_s", t.max_messages_per_s, t.max_messages_per_sHint)} min={0} />
        <BytesField {...field("max_bytes_per_s", t.max_bytes_per_s, t.max_bytes_per_sHint)} />
        <DurationField {...field("dedup_window_ms", t.dedup_window_ms, t.dedup_window_msHint)} />
        <TextField {...field("dedup_property", t.dedup_property, t.dedup_propertyHint)} mono />
        {props.type === "TOPIC_TYPE_LITE" && <DurationField {...field("lite_idle_ms", t.lite_idle_ms, t.lite_idle_msHint)} />}
      </div>
    </fieldset>
  );
}
