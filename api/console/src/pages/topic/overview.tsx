import type { ComponentChildren, VNode } from "preact";
import { observe } from "../../api/calls";
import { useLoad } from "../../api/load";
import type { DescribeTopicResponse, Topic } from "../../api/types";
import { byteRate, bytes, compact, duration, number, rate } from "../../format";
import { useText } from "../../i18n";
import { useQueryState } from "../../router";
import { Time } from "../../time";
import { Badge, Button, Card, Facts, Stat, Stats } from "../../ui";
import { ChangeTopic } from "./change";
import { hasMessageGroups, isCounted, messagesIn } from "./parts";
import type { QueueRates } from "./rates";
import { SpreadCard } from "./spread";

const LAGS_MS = 5_000;

/** What a topic is and has, and what can be changed of it. */
export function TopicOverview(props: { data: DescribeTopicResponse; rates: QueueRates; reload: () => void; refresh: () => void }): VNode {
  const t = useText();
  const { topic } = props.data;
  const [doing, act] = useQueryState("do");
  const ordered: [string, ComponentChildren][] = hasMessageGroups(topic.type)
    ? [[t.topic.ordered, topic.ordered_queues < topic.queues ? t.topic.orderedSome(topic.ordered_queues) : t.topic.orderedAll]]
    : [];
  const change = <Button need="operate" onClick={() => act("change")}>{t.topic.change}</Button>;
  return (
    <>
      <Figures {...props} />
      <Card title={t.topic.facts}>
        <Facts
          facts={[
            [t.topic.type, <Badge tone="neutral">{t.topics.types[topic.type]}</Badge>],
            [t.topics.queues, number(topic.queues)],
            ...ordered,
            [t.topic.created, <Time ms={topic.created_unix_ms} />],
            [t.topic.id, String(topic.id)],
          ]}
        />
      </Card>
      <Card title={t.topics.settings.title} actions={change}>
        <Settings topic={topic} />
      </Card>
      <SpreadCard data={props.data} reload={props.reload} refresh={props.refresh} />
      {doing === "change" && <ChangeTopic topic={topic} onClose={() => act("")} onDone={props.reload} />}
    </>
  );
}

function Figures(props: { data: DescribeTopicResponse; rates: QueueRates }): VNode {
  const t = useText().topic;
  const { topic, queues } = props.data;
  const lags = useLoad((signal) => observe.lags({ topic: topic.name }, signal), [topic.name], LAGS_MS);
  const { total } = props.rates;
  const counted = isCounted(topic.type);
  return (
    <Stats label={t.overview}>
      <Stat label={t.messages} value={counted ? compact(messagesIn(queues)) : "–"} hint={counted ? t.messagesHint : t.notCounted} />
      <Stat label={t.rateIn} value={total === null || !counted ? "–" : rate(total)} hint={counted ? t.rateInHint : t.notCounted} />
      <Stat label={t.lag} value={lags.data ? compact(lags.data.total.messages) : "–"} hint={lags.data ? t.lagHint(lags.data.lags.length) : ""} />
    </Stats>
  );
}

function Settings(props: { topic: Topic }): VNode {
  const t = useText().topics.settings;
  const settings = props.topic.settings ?? {};
  const shown = <T,>(value: T | null | undefined, format: (value: T) => string): ComponentChildren =>
    value === null || value === undefined ? <span class="muted">{t.notSet}</span> : format(value);
  const facts: [string, ComponentChildren][] = [
    [t.retention_ms, shown(settings.retention_ms, duration)],
    [t.retention_bytes, shown(settings.retention_bytes, bytes)],
    [t.ttl_ms, shown(settings.ttl_ms, duration)],
    [t.max_messages_per_s, shown(settings.max_messages_per_s, (n) => t.perSecond(number(n)))],
    [t.max_bytes_per_s, shown(settings.max_bytes_per_s, byteRate)],
    [t.dedup_window_ms, shown(settings.dedup_window_ms, duration)],
    [t.dedup_property, shown(settings.dedup_property, String)],
  ];
  if (props.topic.type === "TOPIC_TYPE_LITE") facts.push([t.lite_idle_ms, shown(settings.lite_idle_ms, duration)]);
  return <Facts facts={facts} />;
}
