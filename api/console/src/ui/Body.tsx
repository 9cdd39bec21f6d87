import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { bytes as showBytes } from "../format";
import { useText } from "../i18n";
import { decodeBase64, hexLines, indentJson, textOf, unpack, visibleLines, type Unpacked } from "./bytes";
import { Button } from "./Button";
import { Copy } from "./Copy";

type View = "text" | "json" | "hex";

// So much of a body is laid out at a time.
const STEP = 64 * 1024;

/** The body of a message, as text, JSON or hex. It is hostile: it only ever becomes the text of an element. */
export function Body(props: { base64: string; gzip?: boolean; name?: string }): VNode {
  const t = useText();
  const body = useBody(props.base64, props.gzip ?? false);
  const plain = useMemo(() => (body ? textOf(body.bytes) : null), [body]);
  const json = useMemo(() => (plain === null ? null : indentJson(plain)), [plain]);
  const [chosen, choose] = useState<View | null>(null);
  const [limit, setLimit] = useState(STEP);
  useEffect(() => setLimit(STEP), [body, chosen]);
  if (!body) return <p class="muted">{t.ui.loading}</p>;
  if (body.bytes.length === 0) return <p class="muted">{t.ui.bodyEmpty}</p>;

  const best: View = json !== null ? "json" : plain !== null ? "text" : "hex";
  const view = chosen ?? best;
  const whole = view === "hex" ? null : view === "json" ? (json ?? "") : (plain ?? new TextDecoder().decode(body.bytes));
  const length = whole === null ? body.bytes.length : whole.length;
  // A row of hex is 16 bytes, and takes five times as many characters.
  const cut = whole === null ? Math.min(limit / 4, length) : Math.min(limit, length);
  const shown = whole === null ? hexLines(body.bytes, cut) : visibleLines(whole.slice(0, cut));
  return (
    <div class="body-view">
      <div class="body-tools">
        <div class="segments" role="group" aria-label={t.ui.body}>
          <ViewButton view="text" now={view} onChoose={choose} label={t.ui.bodyText} />
          {json !== null && <ViewButton view="json" now={view} onChoose={choose} label={t.ui.bodyJson} />}
          <ViewButton view="hex" now={view} onChoose={choose} label={t.ui.bodyHex} />
        </div>
        <span class="muted">{showBytes(body.bytes.length)}</span>
        <span class="muted">{notes(body, t.ui)}</span>
        <Copy value={whole ?? (() => hexLines(body.bytes, length))} name={t.ui.body} labelled />
        <Button size="small" kind="plain" onClick={() => save(body.bytes, props.name ?? "body")}>{t.ui.download}</Button>
      </div>
      <pre class="body" tabIndex={0} aria-label={t.ui.body} dir="auto">{shown}</pre>
      {cut < length && (
        <p class="muted">
          {t.ui.bodyCut(showBytes(cut), showBytes(length))}{" "}
          <Button size="small" onClick={() => setLimit(limit * 4)}>{t.ui.more}</Button>
        </p>
      )}
    </div>
  );
}

function notes(body: Unpacked, t: ReturnType<typeof useText>["ui"]): string {
  if (body.gzip === "failed") return t.bodyGzipFailed;
  if (body.gzip === "cut") return t.bodyTooBig(showBytes(body.bytes.length));
  return body.gzip === "done" ? t.bodyGzip : "";
}

function ViewButton(props: { view: View; now: View; label: string; onChoose: (view: View) => void }): VNode {
  return (
    <button type="button" aria-pressed={props.view === props.now} onClick={() => props.onChoose(props.view)}>
      {props.label}
    </button>
  );
}

function useBody(base64: string, gzip: boolean): Unpacked | null {
  const [body, setBody] = useState<Unpacked | null>(null);
  useEffect(() => {
    let wanted = true;
    setBody(null);
    const raw = decodeBase64(base64);
    if (!gzip) setBody({ bytes: raw, gzip: "none" });
    else void unpack(raw).then((done) => wanted && setBody(done));
    return () => {
      wanted = false;
    };
  }, [base64, gzip]);
  return body;
}

function save(data: Uint8Array<ArrayBuffer>, name: string): void {
  // Never a type that a browser would open as a page.
  const url = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name.replace(/[^\w.-]/g, "_")}.bin`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
