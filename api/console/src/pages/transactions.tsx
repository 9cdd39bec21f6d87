import type { VNode } from "preact";
import { timers } from "../api/calls";
import { useLoad } from "../api/load";
import type { Transaction } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { setQuery, useQueryState } from "../router";
import { Time } from "../time";
import { Await, Button, Card, Copy, Empty, Foreign, Link, Page, SelectField, Table, Tabs, type Column } from "../ui";

const LIMITS = ["100", "1000", "10000"] as const;

const isOpen = (one: Transaction): boolean => one.given_up_unix_ms === null || one.given_up_unix_ms === undefined;

export default function TransactionsPage(): VNode {
  const t = useText().transactions;
  const [limit] = useQueryState("limit", "100");
  const loaded = useLoad(async (signal) => (await timers.transactions({ limit: Number(limit) || 100 }, signal)).transactions, [limit]);
  return (
    <Page title={t.title} lead={t.lead} actions={<Button onClick={loaded.reload} busy={loaded.loading}>{t.reload}</Button>}>
      <Await of={loaded}>{(all) => <Both all={all} limit={limit} />}</Await>
    </Page>
  );
}

function Both(props: { all: Transaction[]; limit: string }): VNode {
  const t = useText().transactions;
  const open = props.all.filter(isOpen);
  const givenUp = props.all.filter((one) => !isOpen(one));
  const choice = <LimitField limit={props.limit} />;
  return (
    <Tabs
      label={t.title}
      tabs={[
        { id: "open", title: t.open, count: number(open.length), content: () => <Card title={t.open} lead={t.openLead} actions={choice}><Rows rows={open} open /></Card> },
        { id: "given-up", title: t.givenUp, count: number(givenUp.length), content: () => <Card title={t.givenUp} lead={t.givenUpLead} actions={choice}><Rows rows={givenUp} open={false} /></Card> },
      ]}
    />
  );
}

function LimitField(props: { limit: string }): VNode {
  const t = useText().transactions;
  return (
    <SelectField
      label={t.limit}
      bare
      value={props.limit}
      onChange={(limit) => setQuery({ limit: limit === "100" ? null : limit }, { push: true })}
      options={LIMITS.map((n) => ({ value: n as string, label: t.atMost(Number(n)) }))}
    />
  );
}

function Rows(props: { rows: Transaction[]; open: boolean }): VNode {
  const t = useText().transactions;
  const { open } = props;
  const columns: Column<Transaction>[] = [
    { key: "begun", title: t.begun, cell: (r) => <Time ms={r.stored_unix_ms} />, value: (r) => r.stored_unix_ms, text: () => "" },
    { key: "topic", title: t.topic, cell: (r) => <Link to="topics/:name" params={{ name: r.topic }}>{r.topic}</Link>, value: (r) => r.topic },
    {
      key: "id",
      title: t.id,
      cell: (r) => (
        <Link to="messages/:id" params={{ id: r.message_id }} query={{ topic: r.topic }} class="mono"><Foreign text={r.message_id} max={64} /></Link>
      ),
      text: (r) => r.message_id,
    },
    { key: "checks", title: t.checks, cell: (r) => number(r.checks), value: (r) => r.checks, text: () => "", end: true },
    open
      ? { key: "next", title: t.next, cell: (r) => <Time ms={r.next_check_unix_ms} show="relative" />, value: (r) => r.next_check_unix_ms, text: () => "" }
      : { key: "given-up", title: t.givenUpAt, cell: (r) => <Time ms={r.given_up_unix_ms} />, value: (r) => r.given_up_unix_ms, text: () => "" },
    {
      key: "transaction",
      title: t.transaction,
      cell: (r) => <span class="copyable"><code><Foreign text={r.transaction_id} max={16} /></code><Copy value={r.transaction_id} name={t.transaction} /></span>,
      text: (r) => r.transaction_id,
    },
  ];
  return (
    <>
      <Table
        caption={open ? t.open : t.givenUp}
        rows={props.rows}
        columns={columns}
        rowKey={(r) => r.transaction_id || r.message_id}
        sort={open ? "begun" : "-given-up"}
        filter
        cards
        empty={<Empty title={open ? t.noOpen : t.noGivenUp} hint={open ? t.noOpenHint : t.noGivenUpHint} />}
      />
      {open && props.rows.length > 0 && <p class="muted">{t.byHand} <code>ledgermq transaction commit</code>, <code>ledgermq transaction rollback</code></p>}
    </>
  );
}
