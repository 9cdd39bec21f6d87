import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { useText } from "../i18n";
import { Icon } from "./Icon";
import { toast } from "./Toast";

/** Copies a text, which may be made when it is copied. `name` says what, for screen readers. */
export function Copy(props: { value: string | (() => string); name?: string; labelled?: boolean }): VNode {
  const t = useText();
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (!(await toClipboard(typeof props.value === "string" ? props.value : props.value()))) return toast.failed(t.ui.copyFailed);
    setDone(true);
    window.setTimeout(() => setDone(false), 1_500);
  };
  const label = done ? t.ui.copied : t.ui.copy;
  return (
    <button
      type="button"
      class="button plain small copy"
      onClick={copy}
      title={label}
      aria-label={props.name ? `${label}: ${props.name}` : label}
    >
      <Icon name={done ? "check" : "copy"} />
      {props.labelled && label}
    </button>
  );
}

/** A value in monospace with a button that copies it. */
export function Copyable(props: { value: string; name?: string }): VNode {
  return (
    <span class="copyable">
      <code>{props.value}</code>
      <Copy value={props.value} name={props.name} />
    </span>
  );
}

async function toClipboard(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    return oldWay(value);
  }
}

/** Over plain HTTP browsers have no clipboard API. */
function oldWay(value: string): boolean {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = value;
  area.className = "hidden";
  // In a modal dialog everything outside of it is inert.
  (focused?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}
