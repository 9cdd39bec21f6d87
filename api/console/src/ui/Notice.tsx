import type { ComponentChildren, VNode } from "preact";
import { Icon } from "./Icon";

/** Something to know before one goes on. It is read out when it appears if it is bad. */
export function Notice(props: { tone: "info" | "warn" | "bad"; title: string; children?: ComponentChildren; actions?: ComponentChildren }): VNode {
  return (
    <div class={`notice ${props.tone}`} role={props.tone === "bad" ? "alert" : "note"}>
      <Icon name={props.tone} />
      <div>
        <strong>{props.title}</strong>
        {props.children}
        {props.actions && <div class="actions">{props.actions}</div>}
      </div>
    </div>
  );
}
