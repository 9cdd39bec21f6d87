import type { ComponentChildren, VNode } from "preact";
import { useId } from "preact/hooks";
import { href } from "../router";
import { Icon } from "./Icon";
import type { Tone } from "./Badge";

/** A section with a heading (h2) on a surface of its own. */
export function Card(props: {
  title: string;
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}): VNode {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id}>
      <div class="card-head">
        <div>
          <h2 id={id}>{props.title}</h2>
          {props.lead && <p class="lead">{props.lead}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </div>
      {props.children}
    </section>
  );
}

/** A grid of Stat. */
export function Stats(props: { label: string; children: ComponentChildren }): VNode {
  return <dl class="stats" aria-label={props.label}>{props.children}</dl>;
}

/** One figure. With a tone other than ok its icon stands beside it; `to` is a page of the console. */
export function Stat(props: {
  label: string;
  value: ComponentChildren;
  hint?: ComponentChildren;
  tone?: Tone;
  to?: string;
}): VNode {
  const { tone } = props;
  return (
    <div class={`stat ${tone ?? ""}`}>
      <dt>{props.to === undefined ? props.label : <a href={href(props.to)}>{props.label}</a>}</dt>
      <dd>
        <span class="stat-value">
          {(tone === "warn" || tone === "bad") && <Icon name={tone} />}
          {props.value}
        </span>
        {props.hint && <span class="stat-hint">{props.hint}</span>}
      </dd>
    </div>
  );
}

/** Names with values: the details of one thing. */
export function Facts(props: { facts: [name: string, value: ComponentChildren][] }): VNode {
  return (
    <dl class="facts">
      {props.facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
