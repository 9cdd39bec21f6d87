import type { VNode } from "preact";
import { observe } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { Lag } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { Time } from "../../time";
import { Await, Card, Empty, Link, Table, type Column } from "../../ui";
import { ClientTable } from "../clients-table";

const POLL_MS = 5_000;

/** Who sends to a topic, who reads it, and how far they are behind. */
export function TopicClients(props: { topic: string }): VNode {
  const t = useText().topic;
  const { topic } = props;
  const clients = useLoad((signal) => observe.clients({ topic }, signal), [topic], POLL_MS);
  const lags = useLoad((signal) => observe.lags({ topic }, signal), [topic], POLL_MS);
  return (
    <>
      <Card title={t.groups}>
        <Await of={lags}>{(data) => <GroupTable lags={data.lags} />}</Await>
      </Card>
      <Card title={t.consumers}>
        <Await of={clients}>
          {(data) => (
            <ClientTable
              caption={t.consumers}
              name="readers"
              clients={data.clients.filter((client) => client.kind !== "producer")}
              topic={topic}
              showGroup
              empty={<Empty title={t.consumersEmpty} hint={t.producersHint} />}
            />
          )}
        </Await>
      </Card>
      <Card title={t.producers}>
        <Await of={clients}>
          {(data) => (
            <ClientTable
              caption={t.producers}
              name="senders"
              clients={data.clients.filter((client) => client.kind === "producer")}
              empty={<Empty title={t.producersEmpty} hint={t.producersHint} />}
            />
          )}
        </Await>
      </Card>
    </>
  );
}

function GroupTable(props: { lags: Lag[] }): VNode {
  const t = useText().topic;
  const columns: Column<Lag>[] = [
    { key: "group", title: t.group, cell: (l) => <Link to="groups/:name" params={{ name: l.group }}>{l.group}</Link>, value: (l) => l.group },
    { key: "lag", title: t.lag, cell: (l) => number(l.messages), value: (l) => l.messages, end: true },
    { key: "flight", title: t.inFlight, cell: (l) => number(l.in_flight), value: (l) => l.in_flight, end: true },
    { key: "ready", title: t.ready, cell: (l) => number(l.ready), value: (l) => l.ready, end: true },
    { key: "oldest", title: t.oldest, cell: (l) => <Time ms={l.oldest_unix_ms} show="relative" />, value: (l) => l.oldest_unix_ms },
  ];
  return (
    <Table
      caption={t.groups}
      name="groups"
      rows={props.lags}
      columns={columns}
      rowKey={(l) => l.group}
      sort="-lag"
      filter={props.lags.length > 10}
      cards
      empty={<Empty title={t.groupsEmpty} />}
    />
  );
}
