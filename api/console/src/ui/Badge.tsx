import type { ComponentChildren, VNode } from "preact";
import type { Level } from "../api/types";
import { useText } from "../i18n";
import { Icon, type IconName } from "./Icon";

/** How good or bad something is. */
export type Tone = "ok" | "warn" | "bad" | "info" | "neutral";

const ICONS: Record<Tone, IconName | null> = { ok: "ok", warn: "warn", bad: "bad", info: "info", neutral: null };

/** A short state. Each tone has its own shape, so that colour is not all that tells them apart. */
export function Badge(props: { tone: Tone; children: ComponentChildren; title?: string }): VNode {
  const icon = ICONS[props.tone];
  return (
    <span class={`badge ${props.tone}`} title={props.title}>
      {icon && <Icon name={icon} />}
      {props.children}
    </span>
  );
}

/** The badge of a level of the doctor. */
export function LevelBadge(props: { level: Level }): VNode {
  return <Badge tone={props.level}>{useText().common.level[props.level]}</Badge>;
}
