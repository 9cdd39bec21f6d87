import type { VNode } from "preact";
import { messages } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { FoundMessage } from "../../api/types";
import { useText } from "../../i18n";
import { Time } from "../../time";
import { Await, Badge, Card, Empty, Link, Table } from "../../ui";

/** The message in all topics: what was sent, dead letters, and what was sent again under the same id. */
export function Copies(props: { id: string; topic: string }): VNode {
  const t = useText().message;
  const traced = useLoad((signal) => messages.trace(props.id, "", signal), [props.id]);
  return (
    <Card title={t.copies} lead={t.copiesLead}>
      <Await of={traced}>
        {(data) => (
          <>
            {data.cut && <p><Badge tone="warn">{t.cut}</Badge> {t.cutText}</p>}
            <CopyTable topic={props.topic} rows={data.messages.flatMap((one) => one.message ?? [])} />
          </>
        )}
      </Await>
    </Card>
  );
}

function CopyTable(props: { topic: string; rows: FoundMessage[] }): VNode {
  const t = useText().message;
  return (
    <Table
      caption={t.copies}
      name="copies"
      rows={props.rows}
      rowKey={(m) => `${m.topic} ${m.queue} ${m.offset ?? ""}`}
      cards
      empty={<Empty title={t.noCopies} />}
      columns={[
        {
          key: "topic",
          title: t.topic,
          cell: (m) => m.topic === props.topic
            ? <span>{m.topic} <span class="muted">{t.shownAbove}</span></span>
            : <Link to="messages/:id" params={{ id: m.message_id }} query={{ topic: m.topic }}>{m.topic}</Link>,
        },
        { key: "kind", title: t.kind, cell: (m) => (m.topic === m.sent_to ? t.kinds.original : m.topic.startsWith("%DLQ%") ? t.kinds.deadLetter : t.kinds.retry) },
        { key: "place", title: t.place, cell: (m) => `${m.queue} / ${m.offset ?? "–"}`, end: true },
        { key: "stored", title: t.stored, cell: (m) => <Time ms={m.due_unix_ms ? null : m.stored_unix_ms} /> },
      ]}
    />
  );
}
