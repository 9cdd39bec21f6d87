import type { VNode } from "preact";
import { percent } from "../format";

/** How far something is. Without `of` it only says that it goes on. */
export function Progress(props: { label: string; done: number; of?: number; detail?: string }): VNode {
  const share = props.of ? Math.min(1, props.done / props.of) : 0;
  return (
    <div class="progress">
      <div class="progress-text">
        <span>{props.label}</span>
        <span class="muted">{props.detail ?? (props.of ? percent(share * 100) : "")}</span>
      </div>
      <progress aria-label={props.label} max={1} value={props.of ? share : undefined} />
    </div>
  );
}
