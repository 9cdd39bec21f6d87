import type { VNode } from "preact";
import { duration } from "../../format";
import { useText } from "../../i18n";
import { Button, TimeField } from "../../ui";

/** A time from and a time to; null: not given. */
export interface Range {
  from: number | null;
  to: number | null;
}

const LAST = [5 * 60_000, 60 * 60_000, 24 * 60 * 60_000, 7 * 24 * 60 * 60_000];

/** Two moments in the viewer's zone, and quick choices for them. */
export function TimeRange(props: {
  value: Range;
  onChange: (range: Range) => void;
  fromError?: string;
  toError?: string;
  fromLabel?: string;
  toLabel?: string;
}): VNode {
  const t = useText().messages;
  const { value, onChange } = props;
  // To the whole second, as the fields show it, and not before now.
  const last = (ms: number) => onChange({ from: Math.floor((Date.now() - ms) / 1_000) * 1_000, to: Math.ceil(Date.now() / 1_000) * 1_000 });
  return (
    <div class="time-range">
      <div class="field-row">
        <TimeField label={props.fromLabel ?? t.from} value={value.from} error={props.fromError} onChange={(from) => onChange({ ...value, from })} />
        <TimeField label={props.toLabel ?? t.to} value={value.to} error={props.toError} onChange={(to) => onChange({ ...value, to })} />
      </div>
      <div class="quick" role="group" aria-label={t.quick}>
        {LAST.map((ms) => (
          <Button key={ms} size="small" onClick={() => last(ms)}>{t.last(duration(ms))}</Button>
        ))}
      </div>
    </div>
  );
}
