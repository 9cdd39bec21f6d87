import type { VNode } from "preact";
import type { FoundMessage } from "../../api/types";
import { bytes, number } from "../../format";
import { useText } from "../../i18n";
import { Time } from "../../time";
import { base64Size, Badge, Empty, Foreign, Link, Table, type Column } from "../../ui";
import { previewOf, type Preview } from "../parts/preview";
import { PreviewText } from "../parts/PreviewText";

/** A message without its body, of which only the beginning and the size are kept. */
export interface Row {
  key: string;
  message: Omit<FoundMessage, "body">;
  size: number;
  preview: Preview;
}

export function rowOf({ body, ...message }: FoundMessage): Row {
  return {
    key: `${message.message_id} ${message.queue}/${message.offset ?? ""}`,
    message,
    size: base64Size(body),
    preview: previewOf(body, message.gzip),
  };
}

export function Results(props: { rows: Row[]; empty: VNode }): VNode {
  const t = useText().messages;
  const columns: Column<Row>[] = [
    { key: "time", title: t.time, cell: (r) => <Stored row={r} />, value: (r) => r.message.stored_unix_ms, text: () => "" },
    {
      key: "id",
      title: t.idAndBody,
      cell: (r) => <span class="stacked"><MessageLink row={r} /><PreviewText of={r.preview} /></span>,
      text: (r) => `${r.message.message_id} ${r.preview.text}`,
    },
    { key: "tag", title: t.tag, cell: (r) => (r.message.tag ? <Foreign text={r.message.tag} max={60} /> : <span class="muted">–</span>), value: (r) => r.message.tag },
    { key: "keys", title: t.keys, cell: (r) => <Keys keys={r.message.keys} />, text: (r) => r.message.keys.join(" ") },
    { key: "place", title: t.place, cell: (r) => <PlaceOf row={r} />, value: (r) => r.message.queue * 1e12 + (r.message.offset ?? 0), text: () => "", end: true },
    { key: "size", title: t.size, cell: (r) => bytes(r.size), value: (r) => r.size, text: () => "", end: true },
  ];
  return (
    <div class="wide">
      <Table caption={t.results} rows={props.rows} columns={columns} rowKey={(r) => r.key} filter cards pageSize={200} empty={props.empty} />
    </div>
  );
}

/** What waits is stored anew when it is due. */
function Stored(props: { row: Row }): VNode {
  const t = useText().messages;
  const { due_unix_ms: due, stored_unix_ms: stored } = props.row.message;
  return due ? <span><span class="muted">{t.due}</span> <Time ms={due} show="absolute" /></span> : <Time ms={stored} show="absolute" millis />;
}

function MessageLink(props: { row: Row }): VNode {
  const { message } = props.row;
  return (
    <Link to="messages/:id" params={{ id: message.message_id }} query={{ topic: message.topic }} class="mono">
      <Foreign text={message.message_id} max={64} />
    </Link>
  );
}

// More would fill the row.
const KEYS = 4;

export function Keys(props: { keys: readonly string[] }): VNode {
  if (props.keys.length === 0) return <span class="muted">–</span>;
  const more = props.keys.length - KEYS;
  return (
    <span class="keys">
      {props.keys.slice(0, KEYS).map((key, i) => <span key={i} class="key"><Foreign text={key} max={60} /></span>)}
      {more > 0 && <span class="muted">+{number(more)}</span>}
    </span>
  );
}

function PlaceOf(props: { row: Row }): VNode {
  const t = useText().messages;
  const { message: m } = props.row;
  if (m.given_up) return <Badge tone="warn">{t.givenUp}</Badge>;
  if (m.in_transaction) return <Badge tone="info">{t.inTransaction}</Badge>;
  if (m.due_unix_ms) return <Badge tone="info">{t.waits}</Badge>;
  return <>{m.queue} / {m.offset ?? "–"}</>;
}

export function NothingFound(props: { further: boolean; cut: boolean }): VNode {
  const t = useText().messages;
  if (props.further) return <Empty title={t.noMore} />;
  return <Empty title={t.nothing} hint={props.cut ? t.cutHint : t.nothingHint} />;
}
