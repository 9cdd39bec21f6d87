import type { VNode } from "preact";
import { useText } from "../../i18n";
import type { Preview } from "./preview";

/** The beginning of a body, in a cell of a table. */
export function PreviewText(props: { of: Preview }): VNode {
  const t = useText().messages;
  const { kind, text } = props.of;
  if (kind === "empty") return <span class="muted">{t.bodyEmpty}</span>;
  if (kind === "gzip") return <span class="muted">{t.bodyGzip}</span>;
  return <bdi class="preview">{kind === "hex" && <span class="muted">{t.bodyBinary} </span>}<code>{text}</code></bdi>;
}
