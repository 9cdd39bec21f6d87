import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import type { Loaded } from "../../api/load";
import type { Client, Group, ListClientsResponse } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { Await, Card, Empty, Foreign, Icon, Link, Notice, Table, type Column } from "../../ui";
import { ClientTable, FilterText } from "../clients-table";
import { consistencyOf, type Faction } from "./subscriptions";

const SHOWN = 5;

/** Who belongs to a consumer group now, and whether they agree about what they read. */
export function GroupClients(props: { group: Group; clients: Loaded<ListClientsResponse> }): VNode {
  const t = useText().group;
  return (
    <Await of={props.clients}>
      {({ clients }) => (
        <>
          <Agreement clients={clients} />
          <Card title={t.clients} lead={props.group.fifo ? undefined : t.assigned}>
            <ClientTable caption={t.clients} name="clients" clients={clients} empty={<Empty title={t.clientsEmpty} hint={t.clientsHint} />} />
          </Card>
        </>
      )}
    </Await>
  );
}

/** Says on other pages that clients do not agree. */
export function Disagreement(props: { group: string; clients: readonly Client[] }): VNode | null {
  const t = useText().group.consistency;
  const { factions } = useMemo(() => consistencyOf(props.clients), [props.clients]);
  if (factions.length === 0) return null;
  const look = <Link to="groups/:name" params={{ name: props.group }} query={{ tab: "clients" }}>{t.look}</Link>;
  return <Notice tone="bad" title={t.bad} actions={look} />;
}

function Agreement(props: { clients: Client[] }): VNode | null {
  const t = useText().group.consistency;
  const { factions, unknown } = useMemo(() => consistencyOf(props.clients), [props.clients]);
  if (props.clients.length === 0) return null;
  const note = unknown > 0 && <p class="muted">{t.unknown(unknown)}</p>;
  if (factions.length === 0) {
    return props.clients.length - unknown > 1 ? <div><p class="inline-list"><Icon name="ok" /> {t.good}</p>{note}</div> : <>{note}</>;
  }
  return (
    <>
      <Notice tone="bad" title={t.bad}><p>{t.badText}</p></Notice>
      <Card title={t.table}>
        <Factions factions={factions} />
        {note}
      </Card>
    </>
  );
}

function Factions(props: { factions: Faction[] }): VNode {
  const t = useText().group.consistency;
  const columns: Column<Faction>[] = [
    { key: "topic", title: t.topic, cell: (f) => <Link to="topics/:name" params={{ name: f.topic }}>{f.topic}</Link>, value: (f) => f.topic },
    { key: "filter", title: t.filter, cell: (f) => (f.subscription ? <FilterText subscription={f.subscription} /> : <em>{t.notRead}</em>) },
    { key: "count", title: t.count, cell: (f) => number(f.clients.length), value: (f) => f.clients.length, end: true },
    { key: "who", title: t.who, cell: (f) => <Who ids={f.clients} /> },
  ];
  return (
    <Table
      caption={t.table}
      name="differ"
      rows={props.factions}
      columns={columns}
      rowKey={(f) => `${f.topic} ${f.subscription?.type ?? ""} ${f.subscription?.expression ?? ""}`}
      cards
    />
  );
}

function Who(props: { ids: string[] }): VNode {
  const t = useText().group.consistency;
  const { ids } = props;
  return (
    <ul>
      {ids.slice(0, SHOWN).map((id) => <li key={id}><Foreign text={id} max={80} /></li>)}
      {ids.length > SHOWN && <li class="muted">{t.more(ids.length - SHOWN)}</li>}
    </ul>
  );
}
