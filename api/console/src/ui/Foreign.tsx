import type { VNode } from "preact";
import { visible } from "./bytes";

/**
 * A text that somebody else wrote: a tag, a key, a property, the name of a client. What would turn the writing around or
 * cannot be seen is spelt out, it does not reach beyond its place, and a long one ends early.
 */
export function Foreign(props: { text: string; max?: number }): VNode {
  const max = props.max ?? 200;
  const cut = props.text.length > max;
  return <bdi class="foreign" title={cut ? visible(props.text.slice(0, 2_000)) : undefined}>{visible(props.text.slice(0, max))}{cut && " …"}</bdi>;
}
