import type { ComponentChildren, VNode } from "preact";
import { useId } from "preact/hooks";
import { useText } from "../i18n";
import { Icon } from "./Icon";

/** What a control needs to belong to its label, hint and error. */
export interface ControlProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
  "aria-required": boolean | undefined;
}

export interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  /** Empty: there is none. */
  error?: string;
  required?: boolean;
  /** The label is for screen readers only. */
  bare?: boolean;
}

/** A label with a control, a hint and an error which are read out with it. */
export function Field(props: FieldProps & { children: (control: ControlProps) => ComponentChildren }): VNode {
  const t = useText();
  const id = useId();
  const hint = props.hint ? `${id}-hint` : "";
  const error = props.error ? `${id}-error` : "";
  const control: ControlProps = {
    id,
    "aria-describedby": [hint, error].filter(Boolean).join(" ") || undefined,
    "aria-invalid": error ? true : undefined,
    "aria-required": props.required || undefined,
  };
  return (
    <div class="field">
      <label for={id} class={props.bare ? "hidden" : ""}>
        {props.label}
        {props.required && <span class="muted"> ({t.ui.required})</span>}
      </label>
      {props.children(control)}
      {hint && <p id={hint} class="hint">{props.hint}</p>}
      {error && <p id={error} class="field-error"><Icon name="bad" />{props.error}</p>}
    </div>
  );
}

type Control<T> = FieldProps & { value: T; onChange: (value: T) => void };

/** One line of text. */
export function TextField(
  props: Control<string> & { type?: "text" | "password" | "search"; mono?: boolean; placeholder?: string; autocomplete?: string; list?: string[] },
): VNode {
  const listId = useId();
  return (
    <Field {...props}>
      {(control) => (
        <>
          <input
            {...control}
            type={props.type ?? "text"}
            class={props.mono ? "mono" : ""}
            value={props.value}
            placeholder={props.placeholder}
            autocomplete={props.autocomplete ?? "off"}
            spellcheck={false}
            list={props.list ? listId : undefined}
            onInput={(event) => props.onChange(event.currentTarget.value)}
          />
          {props.list && <datalist id={listId}>{props.list.map((item) => <option key={item} value={item} />)}</datalist>}
        </>
      )}
    </Field>
  );
}

/** A number; null while the field is empty. */
export function NumberField(props: Control<number | null> & { min?: number; max?: number; step?: number }): VNode {
  return (
    <Field {...props}>
      {(control) => (
        <input
          {...control}
          type="number"
          inputMode="numeric"
          value={props.value ?? ""}
          min={props.min}
          max={props.max}
          step={props.step}
          onInput={(event) => {
            const value = event.currentTarget.valueAsNumber;
            props.onChange(Number.isNaN(value) ? null : value);
          }}
        />
      )}
    </Field>
  );
}

/** Several lines of text. */
export function AreaField(props: Control<string> & { rows?: number; mono?: boolean }): VNode {
  return (
    <Field {...props}>
      {(control) => (
        <textarea
          {...control}
          rows={props.rows ?? 6}
          class={props.mono ? "mono" : ""}
          spellcheck={false}
          value={props.value}
          onInput={(event) => props.onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** One of a few. */
export function SelectField<T extends string>(props: Control<T> & { options: readonly { value: T; label: string }[] }): VNode {
  return (
    <Field {...props}>
      {(control) => (
        <select {...control} value={props.value} onChange={(event) => props.onChange(event.currentTarget.value as T)}>
          {props.options.map((option) => (
            <option key={option.value} value={option.value} selected={option.value === props.value}>{option.label}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** Yes or no. */
export function CheckField(props: Control<boolean>): VNode {
  const id = useId();
  return (
    <div class="field check">
      <input
        id={id}
        type="checkbox"
        checked={props.value}
        aria-describedby={props.hint ? `${id}-hint` : undefined}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <label for={id}>{props.label}</label>
      {props.hint && <p id={`${id}-hint`} class="hint">{props.hint}</p>}
    </div>
  );
}
