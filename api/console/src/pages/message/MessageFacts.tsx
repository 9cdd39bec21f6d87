import type { ComponentChildren, VNode } from "preact";
import { bytes, number } from "../../format";
import { useText } from "../../i18n";
import { useNodeName } from "../../session";
import { Time } from "../../time";
import { Badge, base64Size, Card, Copyable, Facts, Foreign, Link, Table } from "../../ui";
import { Keys } from "../messages/Results";
import type { Shown } from "../message";

export function MessageFacts(props: { shown: Shown }): VNode {
  const t = useText().message;
  const { message: m, traced } = props.shown;
  const node = useNodeName();
  const none = <span class="muted">–</span>;
  const facts: [string, ComponentChildren][] = [
    [t.id, <Copyable value={m.message_id} name={t.id} />],
    [t.state, <State shown={props.shown} />],
    [t.topic, <Link to="topics/:name" params={{ name: m.topic }}>{m.topic}</Link>],
    ...(m.sent_to !== m.topic
      ? [[t.sentTo, <Link to="topics/:name" params={{ name: m.sent_to }}>{m.sent_to}</Link>] satisfies [string, ComponentChildren]]
      : []),
    [t.place, m.offset === null || m.offset === undefined ? t.noPlace(m.queue) : <PlaceLink shown={props.shown} />],
    [t.tag, m.tag ? <Foreign text={m.tag} /> : none],
    [t.keys, <Keys keys={m.keys} />],
    [t.messageGroup, m.message_group ? <Foreign text={m.message_group} /> : none],
    [t.born, <><Time ms={m.born_unix_ms} show="absolute" millis /> <span class="muted">{t.at} <Foreign text={m.born_host} max={80} /></span></>],
    // Until it is due, the time of storage is not the one at which it came.
    ...(m.due_unix_ms
      ? [[t.due, <Time ms={m.due_unix_ms} />] satisfies [string, ComponentChildren]]
      : [[t.stored, <><Time ms={m.stored_unix_ms} show="absolute" millis /> <span class="muted">{t.at} <Foreign text={m.store_host} max={80} /></span></>] satisfies [string, ComponentChildren]]),
    [t.brokerGroup, <Link to="cluster/groups/:group" params={{ group: m.broker_group }}>{m.broker_group}</Link>],
    [t.logEntry, traced.index ? t.termIndex(traced.term ?? 0, traced.index) : <span class="muted">{t.logGone}</span>],
    [t.committed, traced.committed_unix_ms
      ? <><Time ms={traced.committed_unix_ms} show="absolute" millis /> {traced.leader_node ? <span class="muted">{t.by(node(traced.leader_node))}</span> : null}</>
      : none],
    [t.size, `${bytes(base64Size(m.body))}${m.gzip ? ` (${t.gzip})` : ""}`],
  ];
  return <Facts facts={facts} />;
}

function PlaceLink(props: { shown: Shown }): VNode {
  const t = useText().message;
  const { topic, queue, offset } = props.shown.message;
  const from = Math.max(0, (offset ?? 0) - 10);
  return (
    <>
      {t.queueOffset(queue, number(offset ?? 0))}{" "}
      <Link to="messages" query={{ topic, by: "offset", queue, offset: from }}>{t.around}</Link>
    </>
  );
}

function State(props: { shown: Shown }): VNode {
  const t = useText().message;
  const { message: m } = props.shown;
  if (m.given_up) return <Badge tone="warn">{t.states.givenUp}</Badge>;
  if (m.in_transaction) return <Badge tone="info">{t.states.inTransaction}</Badge>;
  if (m.due_unix_ms) return <Badge tone="info">{t.states.waits}</Badge>;
  if (m.topic !== m.sent_to) return <Badge tone="warn">{t.states.deadLetter}</Badge>;
  return <Badge tone="ok">{t.states.stored}</Badge>;
}

export function Properties(props: { properties: Record<string, string> }): VNode | null {
  const t = useText().message;
  const rows = Object.entries(props.properties);
  if (rows.length === 0) return null;
  return (
    <Card title={t.properties}>
      <Table
        caption={t.properties}
        name="properties"
        rows={rows}
        rowKey={([name]) => name}
        sort="name"
        pageSize={25}
        filter={rows.length > 10}
        cards
        columns={[
          { key: "name", title: t.name, cell: ([name]) => <Foreign text={name} />, value: ([name]) => name },
          { key: "value", title: t.value, cell: ([, value]) => <span class="prose"><Foreign text={value} max={2_000} /></span>, value: ([, value]) => value },
        ]}
      />
    </Card>
  );
}
