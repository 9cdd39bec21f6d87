import type { VNode } from "preact";
import { useText } from "../../i18n";
import { DurationField, NumberField, SelectField, TextField } from "../../ui";
import type { RetryDraft, RetryErrors, RetryMode } from "./retry";

/** How long a message rests before it is delivered again. */
export function RetryFields(props: {
  draft: RetryDraft;
  onChange: (draft: RetryDraft) => void;
  errors: RetryErrors | null;
  modes: readonly RetryMode[];
}): VNode {
  const t = useText().groups.retry;
  const { draft, errors } = props;
  const change = (part: Partial<RetryDraft>) => props.onChange({ ...draft, ...part });
  return (
    <fieldset class="fields">
      <legend>{t.title}</legend>
      <SelectField
        label={t.mode}
        value={draft.mode}
        onChange={(mode) => change({ mode })}
        options={props.modes.map((mode) => ({ value: mode, label: t.modes[mode] }))}
      />
      {draft.mode === "levels" && (
        <TextField label={t.levels} required mono value={draft.levels} onChange={(levels) => change({ levels })} hint={t.levelsHint} error={errors?.levels ?? ""} />
      )}
      {draft.mode === "exponential" && (
        <div class="field-row">
          <DurationField label={t.initial} required value={draft.initial_ms} onChange={(initial_ms) => change({ initial_ms })} error={errors?.initial_ms ?? ""} />
          <DurationField label={t.max} required value={draft.max_ms} onChange={(max_ms) => change({ max_ms })} error={errors?.max_ms ?? ""} />
          <NumberField label={t.factor} required min={1} max={100} step={0.1} value={draft.factor} onChange={(factor) => change({ factor })} hint={t.factorHint} error={errors?.factor ?? ""} />
        </div>
      )}
    </fieldset>
  );
}
