import type { VNode } from "preact";
import type { ResendKind } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { Badge, type Tone } from "../../ui";
import type { Outcome } from "./resend";

const TONES: Record<ResendKind, Tone> = {
  KIND_RESENT: "ok",
  KIND_ALREADY: "info",
  KIND_UNKNOWN: "warn",
  KIND_TOPIC_GONE: "bad",
  KIND_UNSPECIFIED: "neutral",
};

/** How many were sent again, and why the others were not. */
export function OutcomeView(props: { outcome: Outcome }): VNode | null {
  const t = useText().deadLettersGroup;
  const kinds = (Object.keys(TONES) as ResendKind[]).filter((kind) => props.outcome[kind]);
  if (kinds.length === 0) return null;
  return (
    <p class="outcome" role="status">
      {kinds.map((kind) => (
        <span key={kind}><Badge tone={TONES[kind]}>{number(props.outcome[kind] ?? 0)}</Badge> {t.outcome[kind]}</span>
      ))}
    </p>
  );
}
