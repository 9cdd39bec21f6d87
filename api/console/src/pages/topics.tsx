import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { observe, topics as calls } from "../api/calls";
import { useLoad } from "../api/load";
import type { Topic } from "../api/types";
import { number, rate } from "../format";
import { useText } from "../i18n";
import { useQueryState } from "../router";
import { Await, Badge, Button, CheckField, Empty, Link, Page, Table, type Column } from "../ui";
import { isCounted } from "./topic/parts";
import { CreateTopic } from "./topics/create";
import { lagsBy, type LagSum } from "./topics/lags";
import { QUEUES_MAX, useTopicRate } from "./topics/rates";

const LAGS_MS = 10_000;
const READERS_SHOWN = 3;

export default function TopicsPage(): VNode {
  const t = useText().topics;
  const [doing, act] = useQueryState("do");
  const [all, setAll] = useQueryState("all");
  const listed = useLoad((signal) => calls.list({ all: all === "1" }, signal), [all]);
  const create = <Button kind="primary" need="operate" onClick={() => act("create")}>{t.create}</Button>;
  return (
    <Page title={t.title} actions={create}>
      <Await of={listed}>
        {({ topics }) => <TopicTable topics={topics} all={all === "1"} setAll={(on) => setAll(on ? "1" : "")} create={create} />}
      </Await>
      {doing === "create" && <CreateTopic onClose={() => act("")} />}
    </Page>
  );
}

interface Row {
  topic: Topic;
  lag: LagSum | undefined;
}

function TopicTable(props: { topics: Topic[]; all: boolean; setAll: (all: boolean) => void; create: VNode }): VNode {
  const t = useText().topics;
  const lags = useLoad((signal) => observe.lags({}, signal), [], LAGS_MS);
  const rows = useMemo<Row[]>(() => {
    const sums = lagsBy("topic", lags.data?.lags ?? []);
    return props.topics.map((topic) => ({ topic, lag: sums.get(topic.name) }));
  }, [props.topics, lags.data]);
  const columns: Column<Row>[] = [
    { key: "name", title: t.name, cell: ({ topic }) => <Link to="topics/:name" params={{ name: topic.name }}>{topic.name}</Link>, value: ({ topic }) => topic.name },
    { key: "type", title: t.type, cell: ({ topic }) => <Badge tone="neutral">{t.types[topic.type]}</Badge>, value: ({ topic }) => t.types[topic.type] },
    { key: "queues", title: t.queues, cell: ({ topic }) => number(topic.queues), value: ({ topic }) => topic.queues, text: () => "", end: true },
    { key: "rate", title: t.rate, cell: ({ topic }) => (topic.queues <= QUEUES_MAX && isCounted(topic.type) ? <Rate name={topic.name} /> : "–"), end: true },
    { key: "lag", title: t.lag, cell: ({ lag }) => (lag ? number(lag.messages) : "–"), value: ({ lag }) => lag?.messages, text: () => "", end: true },
    { key: "readers", title: t.readers, cell: ({ lag }) => <Readers names={lag?.names ?? []} />, value: ({ lag }) => lag?.names.length ?? 0, text: ({ lag }) => lag?.names.join(" ") ?? "" },
  ];
  return (
    <>
      {lags.error ? <p class="muted" role="status">{t.lagsFailed}</p> : null}
      <Table
        caption={t.title}
        rows={rows}
        columns={columns}
        rowKey={({ topic }) => topic.name}
        sort="name"
        filter
        cards
        empty={<Empty title={t.empty} hint={t.emptyHint} action={props.create} />}
        tools={<CheckField label={t.all} value={props.all} onChange={props.setAll} />}
      />
    </>
  );
}

function Rate(props: { name: string }): VNode {
  const t = useText().topics;
  const now = useTopicRate(props.name);
  return <span title={t.rateHint}>{now === null ? t.measuring : rate(now)}</span>;
}

function Readers(props: { names: readonly string[] }): VNode {
  const t = useText().topics;
  const { names } = props;
  if (names.length === 0) return <span class="muted">{t.nobody}</span>;
  return (
    <span>
      {names.slice(0, READERS_SHOWN).map((name, i) => (
        <span key={name}>
          {i > 0 && ", "}
          <Link to="groups/:name" params={{ name }}>{name}</Link>
        </span>
      ))}
      {names.length > READERS_SHOWN && <span class="muted"> {t.more(names.length - READERS_SHOWN)}</span>}
    </span>
  );
}
