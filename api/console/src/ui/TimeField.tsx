import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { zone } from "../time";
import { Field, type FieldProps } from "./Field";

/** What a datetime-local control holds, in the viewer's zone. */
function localText(ms: number | null): string {
  if (ms === null) return "";
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "";
  const local = new Date(ms - at.getTimezoneOffset() * 60_000).toISOString();
  return local.slice(0, 19);
}

/** A moment in the viewer's zone, to the second; null while it is not whole. */
export function TimeField(props: FieldProps & { value: number | null; onChange: (ms: number | null) => void }): VNode {
  // While somebody types, the control has parts that are no moment yet: it is only told what it did not say itself.
  const [said, setSaid] = useState<{ ms: number | null; text: string }>({ ms: props.value, text: localText(props.value) });
  const text = said.ms === props.value ? said.text : localText(props.value);
  const change = (typed: string) => {
    const ms = typed ? new Date(typed).getTime() : Number.NaN;
    const value = Number.isNaN(ms) ? null : ms;
    setSaid({ ms: value, text: typed });
    props.onChange(value);
  };
  return (
    <Field {...props} hint={props.hint ?? zone()}>
      {(control) => (
        <input {...control} type="datetime-local" step={1} value={text} onInput={(event) => change(event.currentTarget.value)} />
      )}
    </Field>
  );
}
