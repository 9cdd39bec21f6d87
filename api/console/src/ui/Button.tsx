import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import type { Role } from "../api/types";
import { useText } from "../i18n";
import { useCan } from "../session";
import { toast } from "./Toast";

export interface ButtonProps {
  children: ComponentChildren;
  /** While a promise that it gives is pending the button is busy; if it fails, a toast says why. */
  onClick?: () => unknown;
  kind?: "normal" | "primary" | "danger" | "plain";
  type?: "button" | "submit";
  size?: "normal" | "small";
  /** Without this role it can be reached, does nothing, and says why. */
  need?: Role;
  /** Why it cannot be used now; empty: it can. */
  unusable?: string;
  busy?: boolean;
  /** The name, where the content is not one. */
  label?: string;
}

/** A button. One that cannot be used stays reachable, and says why. */
export function Button(props: ButtonProps): VNode {
  const { kind = "normal", type = "button", need = "see" } = props;
  const t = useText();
  const can = useCan(need);
  const [running, setRunning] = useState(false);
  const busy = running || props.busy === true;
  const reason = props.unusable || (props.need && !can ? t.common.needs[props.need] : "");
  const click = (event: Event) => {
    if (busy || reason) return event.preventDefault();
    const result = props.onClick?.();
    if (!(result instanceof Promise)) return;
    setRunning(true);
    result.catch(toast.failed).finally(() => setRunning(false));
  };
  return (
    <button
      type={type}
      class={`button ${kind} ${props.size ?? ""}`}
      onClick={click}
      aria-disabled={busy || reason ? true : undefined}
      aria-busy={busy || undefined}
      aria-label={props.label}
      title={reason || props.label}
    >
      {props.children}
      {reason && <span class="hidden">({reason})</span>}
    </button>
  );
}
