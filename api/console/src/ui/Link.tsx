import type { ComponentChildren, VNode } from "preact";
import { href, type Query } from "../router";

/** A link to a page of the console: `<Link to="topics/:name" params={{name}}>`. */
export function Link(props: {
  to: string;
  params?: Record<string, string | number>;
  query?: Query;
  class?: string;
  children: ComponentChildren;
}): VNode {
  return (
    <a href={href(props.to, props.params, props.query)} class={props.class}>
      {props.children}
    </a>
  );
}
