import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { timers } from "../api/calls";
import { useLoad } from "../api/load";
import type { Timer } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { setQuery, usePlace, useQueryState } from "../router";
import { Time } from "../time";
import { Await, Button, Card, Confirm, Empty, Foreign, Form, isRunning, Link, Page, runSteps, StepsView, Table, TimeField, toast, useSteps, type Column } from "../ui";
import { TopicField } from "./parts/names";
import { PageSteps } from "./parts/Steps";

const LIMIT = 100;
const LIMIT_MAX = 1_000;

interface Listed {
  timers: Timer[];
  total: number | null;
  next: string;
}

/** A page from a time on. If more than a page is due at the very same time, the page is longer. */
async function list(topic: string, from: number, signal: AbortSignal): Promise<Listed> {
  let answer = await timers.list({ topic, from_unix_ms: from, limit: LIMIT }, signal);
  if (answer.more && answer.timers.at(-1)?.due_unix_ms === answer.timers[0]?.due_unix_ms) {
    answer = await timers.list({ topic, from_unix_ms: from, limit: LIMIT_MAX }, signal);
  }
  const last = answer.timers.at(-1)?.due_unix_ms ?? 0;
  const stuck = answer.timers[0]?.due_unix_ms === last;
  const next = answer.more ? String(stuck ? last + 1 : last) : "";
  return { timers: answer.timers, total: answer.total ?? null, next };
}

export default function TimersPage(): VNode {
  const t = useText().timers;
  const { query } = usePlace();
  const topic = query.get("topic") ?? "";
  const from = /^\d{1,16}$/.test(query.get("from") ?? "") ? (query.get("from") ?? "") : "";
  const listed = useLoad((signal) => list(topic, Number(from) || 0, signal), [topic, from]);
  return (
    <Page title={t.title} lead={t.lead} actions={<Button onClick={listed.reload} busy={listed.loading}>{t.reload}</Button>}>
      <Card title={t.filters}><Filters key={`${topic} ${from}`} from={from} /></Card>
      <Await of={listed}>{(data) => <Waiting listed={data} from={from} onChanged={listed.reload} />}</Await>
    </Page>
  );
}

function Filters(props: { from: string }): VNode {
  const t = useText().timers;
  const [topic] = useQueryState("topic");
  const [typed, setTyped] = useState(topic);
  const [from, setFrom] = useState(props.from ? Number(props.from) : null);
  const submit = async () => setQuery({ topic: typed.trim(), from }, { push: true });
  return (
    <Form onSubmit={submit} submit={t.show}>
      <div class="field-row">
        <TopicField label={t.topic} value={typed} onChange={setTyped} hint={t.topicHint} />
        <TimeField label={t.from} value={from} onChange={setFrom} />
      </div>
    </Form>
  );
}

function Waiting(props: { listed: Listed; from: string; onChanged: () => void }): VNode {
  const t = useText().timers;
  const { listed, from } = props;
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const [asked, ask] = useState<Timer[]>([]);
  const steps = useSteps();
  useEffect(() => setKeys(new Set()), [listed]);
  const chosen = useMemo(() => listed.timers.filter((timer) => keys.has(timer.recall_handle)), [listed, keys]);
  const recall = (all: Timer[]) => async () => {
    const ended = steps.start((control) => runSteps(control, all, recallOne, (timer) => timer.message_id));
    void ended.then((how) => {
      if (how === "done") toast.done(t.recalled(all.length));
      props.onChanged();
    });
  };
  return (
    <Card
      title={listed.total === null ? t.waitingYours : t.waiting(number(listed.total))}
      lead={listed.total === null ? t.yoursHint : t.totalHint}
      actions={
        <Button
          need="operate"
          kind="danger"
          unusable={isRunning(steps) ? t.recalling : chosen.length === 0 ? t.selectFirst : ""}
          onClick={() => ask(chosen)}
        >
          {t.recallSelected(chosen.length)}
        </Button>
      }
    >
      <StepsView steps={steps} label={t.recalling} />
      <TimerTable timers={listed.timers} selection={{ keys, set: setKeys }} onRecall={(timer) => ask([timer])} further={from !== ""} />
      <PageSteps param="from" at={from} next={listed.next} />
      {asked.length > 0 && (
        <Confirm title={t.recallTitle(asked.length)} action={t.recall} onConfirm={recall(asked)} onClose={() => ask([])}>
          <p>{t.recallText}</p>
          {asked.length === 1 && <p class="mono"><Foreign text={asked[0]?.message_id ?? ""} /></p>}
        </Confirm>
      )}
    </Card>
  );
}

const recallOne = (timer: Timer) => timers.recall({ topic: timer.topic, recall_handle: timer.recall_handle });

function TimerTable(props: {
  timers: Timer[];
  selection: { keys: ReadonlySet<string>; set: (keys: ReadonlySet<string>) => void };
  onRecall: (timer: Timer) => void;
  further: boolean;
}): VNode {
  const t = useText().timers;
  const columns: Column<Timer>[] = [
    { key: "due", title: t.due, cell: (r) => <Time ms={r.due_unix_ms} />, value: (r) => r.due_unix_ms, text: () => "" },
    { key: "topic", title: t.topic, cell: (r) => <Link to="topics/:name" params={{ name: r.topic }}>{r.topic}</Link>, value: (r) => r.topic },
    {
      key: "id",
      title: t.id,
      cell: (r) => (
        <Link to="messages/:id" params={{ id: r.message_id }} query={{ topic: r.topic }} class="mono"><Foreign text={r.message_id} max={64} /></Link>
      ),
      text: (r) => r.message_id,
    },
    { key: "born", title: t.born, cell: (r) => <Time ms={r.born_unix_ms} show="absolute" />, value: (r) => r.born_unix_ms, text: () => "" },
    {
      key: "actions",
      title: t.actions,
      cell: (r) => <Button size="small" need="operate" label={t.recallOne(r.message_id)} onClick={() => props.onRecall(r)}>{t.recall}</Button>,
      text: () => "",
    },
  ];
  return (
    <Table
      caption={t.title}
      rows={props.timers}
      columns={columns}
      rowKey={(r) => r.recall_handle}
      selection={props.selection}
      filter={props.timers.length > 10}
      pageSize={200}
      cards
      empty={props.further ? <Empty title={t.noneFrom} hint={t.noneFromHint} /> : <Empty title={t.none} hint={t.noneHint} />}
    />
  );
}
