import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { groups as calls, observe } from "../api/calls";
import { useLoad } from "../api/load";
import type { Client, Group } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { useQueryState } from "../router";
import { Time } from "../time";
import { Await, Badge, Button, Empty, Link, Page, Table, type Column } from "../ui";
import { CreateGroup } from "./groups/create";
import { lagsBy, type LagSum } from "./topics/lags";

const GROUPS_MS = 10_000;
const LAGS_MS = 5_000;
const CLIENTS_MS = 10_000;

export default function GroupsPage(): VNode {
  const t = useText().groups;
  const [doing, act] = useQueryState("do");
  const listed = useLoad((signal) => calls.list(signal), [], GROUPS_MS);
  const create = <Button kind="primary" need="operate" onClick={() => act("create")}>{t.create}</Button>;
  return (
    <Page title={t.title} actions={create}>
      <Await of={listed}>{({ groups }) => <GroupTable groups={groups} create={create} />}</Await>
      {doing === "create" && <CreateGroup onClose={() => act("")} />}
    </Page>
  );
}

interface Row {
  group: Group;
  lag: LagSum | undefined;
  /** null: not known. */
  clients: number | null;
}

function countByGroup(clients: readonly Client[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { group } of clients) if (group) counts.set(group, (counts.get(group) ?? 0) + 1);
  return counts;
}

function GroupTable(props: { groups: Group[]; create: VNode }): VNode {
  const t = useText().groups;
  const lags = useLoad((signal) => observe.lags({}, signal), [], LAGS_MS);
  const clients = useLoad((signal) => observe.clients({}, signal), [], CLIENTS_MS);
  const rows = useMemo<Row[]>(() => {
    const sums = lagsBy("group", lags.data?.lags ?? []);
    const counts = clients.data ? countByGroup(clients.data.clients) : null;
    return props.groups.map((group) => ({ group, lag: sums.get(group.name), clients: counts ? (counts.get(group.name) ?? 0) : null }));
  }, [props.groups, lags.data, clients.data]);
  const figure = (key: string, title: string, of: (row: Row) => number | null | undefined): Column<Row> => ({
    key,
    title,
    cell: (row) => { const n = of(row); return n === null || n === undefined ? "–" : number(n); },
    value: of,
    text: () => "",
    end: true,
  });
  const columns: Column<Row>[] = [
    { key: "name", title: t.name, cell: ({ group }) => <Link to="groups/:name" params={{ name: group.name }}>{group.name}</Link>, value: ({ group }) => group.name },
    { key: "order", title: t.order, cell: ({ group }) => (group.fifo ? <Badge tone="neutral">{t.fifo}</Badge> : <span class="muted">{t.unordered}</span>), value: ({ group }) => (group.fifo ? t.fifo : "") },
    { key: "state", title: t.state, cell: ({ group }) => (group.paused ? <Badge tone="warn">{t.paused}</Badge> : t.running), value: ({ group }) => (group.paused ? t.paused : t.running) },
    figure("lag", t.lag, ({ lag }) => lag?.messages),
    figure("flight", t.inFlight, ({ lag }) => lag?.in_flight),
    figure("ready", t.ready, ({ lag }) => lag?.ready),
    { key: "oldest", title: t.oldest, cell: ({ lag }) => <Time ms={lag?.oldest_unix_ms} show="relative" />, value: ({ lag }) => lag?.oldest_unix_ms, text: () => "" },
    figure("clients", t.clients, (row) => row.clients),
    figure("attempts", t.attempts, ({ group }) => group.max_attempts),
  ];
  return (
    <>
      {lags.error ? <p class="muted" role="status">{t.lagsFailed}</p> : null}
      {clients.error ? <p class="muted" role="status">{t.clientsFailed}</p> : null}
      <Table
        caption={t.title}
        rows={rows}
        columns={columns}
        rowKey={({ group }) => group.name}
        sort="name"
        filter
        cards
        empty={<Empty title={t.empty} hint={t.emptyHint} action={props.create} />}
      />
    </>
  );
}
