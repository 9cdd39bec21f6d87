import type { VNode } from "preact";
import type { Loaded } from "../../api/load";
import type { Group, Lag, ListLagsResponse } from "../../api/types";
import { compact, number } from "../../format";
import { useText } from "../../i18n";
import { useQueryState } from "../../router";
import { Time } from "../../time";
import { Await, Button, Card, Empty, Facts, Link, Stat, Stats, Table, type Column } from "../../ui";
import { retryText } from "../groups/retry";
import { ChangeGroup } from "./change";

/** How far a consumer group is behind, and what is set for it. */
export function GroupOverview(props: { group: Group; lags: Loaded<ListLagsResponse>; reload: () => void }): VNode {
  const t = useText().group;
  const { group } = props;
  const [doing, act] = useQueryState("do");
  const change = <Button need="operate" onClick={() => act("change")}>{t.change}</Button>;
  return (
    <>
      <Await of={props.lags}>
        {(lags) => (
          <>
            <Figures total={lags.total} />
            <Card title={t.byTopic}><ByTopic group={group.name} lags={lags.lags} /></Card>
          </>
        )}
      </Await>
      <Card title={t.settings} actions={change}>
        <Settings group={group} />
      </Card>
      {doing === "change" && <ChangeGroup group={group} onClose={() => act("")} onDone={props.reload} />}
    </>
  );
}

function Figures(props: { total: Lag }): VNode {
  const t = useText().group;
  const { total } = props;
  return (
    <Stats label={t.overview}>
      <Stat label={t.lag} value={compact(total.messages)} hint={t.lagHint} />
      <Stat label={t.inFlight} value={compact(total.in_flight)} hint={t.inFlightHint} />
      <Stat label={t.ready} value={compact(total.ready)} hint={t.readyHint} />
      <Stat
        label={t.oldest}
        value={total.oldest_unix_ms ? <Time ms={total.oldest_unix_ms} show="relative" /> : t.noOldest}
        hint={total.oldest_unix_ms ? <Time ms={total.oldest_unix_ms} show="absolute" /> : t.oldestHint}
      />
    </Stats>
  );
}

function ByTopic(props: { group: string; lags: Lag[] }): VNode {
  const t = useText().group;
  const columns: Column<Lag>[] = [
    { key: "topic", title: t.topic, cell: (l) => <Link to="topics/:name" params={{ name: l.topic }}>{l.topic}</Link>, value: (l) => l.topic },
    { key: "lag", title: t.lag, cell: (l) => number(l.messages), value: (l) => l.messages, end: true },
    { key: "flight", title: t.inFlight, cell: (l) => number(l.in_flight), value: (l) => l.in_flight, end: true },
    { key: "ready", title: t.ready, cell: (l) => number(l.ready), value: (l) => l.ready, end: true },
    { key: "oldest", title: t.oldest, cell: (l) => <Time ms={l.oldest_unix_ms} show="relative" />, value: (l) => l.oldest_unix_ms },
    {
      key: "reset",
      title: t.reset,
      cell: (l) => (
        <Link to="groups/:name" params={{ name: props.group }} query={{ tab: "reset", topic: l.topic }}>
          {t.resetTopic}<span class="hidden">: {l.topic}</span>
        </Link>
      ),
    },
  ];
  return (
    <Table
      caption={t.byTopic}
      rows={props.lags}
      columns={columns}
      rowKey={(l) => l.topic}
      sort="-lag"
      filter={props.lags.length > 10}
      cards
      empty={<Empty title={t.noTopics} hint={t.noTopicsHint} />}
    />
  );
}

function Settings(props: { group: Group }): VNode {
  const t = useText();
  const g = t.group;
  const { group } = props;
  const start = t.groups.starts[group.start_from];
  return (
    <Facts
      facts={[
        [g.order, group.fifo ? t.groups.fifo : t.groups.unordered],
        [g.attempts, number(group.max_attempts)],
        [g.inFlightMax, group.in_flight_max > 0 ? number(group.in_flight_max) : g.noBound],
        [g.start, group.start_from === "START_FROM_TIME" ? <Time ms={group.start_unix_ms} /> : start],
        [g.created, <Time ms={group.created_unix_ms} />],
        [g.id, String(group.id)],
        [g.deadLetters, <Link to="dead-letters/:group" params={{ group: group.name }}>{g.deadLettersLook}</Link>],
        [g.retry, retryText(group.retry, t.groups.retry)],
      ]}
    />
  );
}
