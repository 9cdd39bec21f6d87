import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { useText } from "../i18n";
import { Field, type FieldProps } from "./Field";

const TIMES = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

type Props = FieldProps & { value: number | null; onChange: (value: number | null) => void };

/** A duration in milliseconds, typed in any unit; null while the field is empty. */
export const DurationField = (props: Props): VNode => <UnitField {...props} units={TIMES} first="s" />;

/** A size in bytes, typed in any unit; null while the field is empty. */
export const BytesField = (props: Props): VNode => <UnitField {...props} units={SIZES} first="MiB" />;

/** The biggest unit in which a value is a whole number. */
function fitting<U extends string>(value: number | null, units: Record<U, number>, first: U): U {
  if (!value) return first;
  const names = Object.keys(units) as U[];
  return names.reverse().find((name) => value % units[name] === 0) ?? first;
}

function UnitField<U extends "ms" | "s" | "min" | "h" | "d" | "B" | "KiB" | "MiB" | "GiB" | "TiB">(
  props: Props & { units: Record<U, number>; first: U },
): VNode {
  const t = useText();
  const { units, value } = props;
  const [unit, setUnit] = useState<U>(() => fitting(value, units, props.first));
  const amount = value === null ? "" : String(Number((value / units[unit]).toPrecision(12)));
  const change = (text: string) => {
    const typed = Number(text);
    props.onChange(text === "" || Number.isNaN(typed) ? null : Math.round(typed * units[unit]));
  };
  const changeUnit = (next: U) => {
    // The figure stays, what it means changes.
    if (value !== null) props.onChange(Math.round((value / units[unit]) * units[next]));
    setUnit(next);
  };
  return (
    <Field {...props}>
      {(control) => (
        <div class="joined">
          <input {...control} type="number" min={0} step="any" value={amount} onInput={(event) => change(event.currentTarget.value)} />
          <select
            aria-label={t.ui.unitOf(props.label)}
            value={unit}
            onChange={(event) => changeUnit(event.currentTarget.value as U)}
          >
            {(Object.keys(units) as U[]).map((name) => (
              <option key={name} value={name} selected={name === unit}>{t.ui.unit[name]}</option>
            ))}
          </select>
        </div>
      )}
    </Field>
  );
}
