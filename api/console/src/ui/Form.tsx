import type { ComponentChildren, VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Role } from "../api/types";
import { useText } from "../i18n";
import { Button } from "./Button";
import { Icon } from "./Icon";
import { errorText } from "./States";

export interface FormProps {
  children: ComponentChildren;
  /** Does it. `false` means that a field is wrong: the first one gets the focus. What it throws is shown. */
  onSubmit: () => Promise<unknown>;
  /** The text of the button: what it does. */
  submit: string;
  kind?: "primary" | "danger";
  need?: Role;
  onCancel?: () => void;
}

/** A form that cannot be sent twice at a time, and says what went wrong. */
export function Form(props: FormProps): VNode {
  const t = useText();
  const form = useRef<HTMLFormElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      // The fields show their errors with the next frame.
      if ((await props.onSubmit()) === false) {
        requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form ref={form} class="form" onSubmit={send} noValidate>
      {props.children}
      <div role="alert">
        {error !== null && <p class="form-error"><Icon name="bad" />{errorText(error)}</p>}
      </div>
      <div class="form-actions">
        {props.onCancel && <Button onClick={props.onCancel}>{t.ui.cancel}</Button>}
        <Button type="submit" kind={props.kind ?? "primary"} need={props.need} busy={busy}>{props.submit}</Button>
      </div>
    </form>
  );
}
