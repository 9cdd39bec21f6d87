import type { VNode } from "preact";
import type { DescribeTopicResponse, QueueStatus } from "../../api/types";
import { number, rate } from "../../format";
import { useText } from "../../i18n";
import { useNodeName } from "../../session";
import { Badge, Link, Table, type Column } from "../../ui";
import type { QueueRates } from "./rates";

/** Where each queue lies, and how far it goes. */
export function TopicQueues(props: { data: DescribeTopicResponse; rates: QueueRates }): VNode {
  const t = useText().topic;
  const nodeName = useNodeName();
  const { topic, queues } = props.data;
  const columns: Column<QueueStatus>[] = [
    { key: "queue", title: t.queue, cell: (q) => String(q.queue), value: (q) => q.queue },
    {
      key: "group",
      title: t.brokerGroup,
      cell: (q) => <Link to="cluster/groups/:group" params={{ group: q.broker_group }}>{q.broker_group}</Link>,
      value: (q) => q.broker_group,
    },
    {
      key: "leader",
      title: t.leader,
      cell: (q) => (q.leader_node ? nodeName(q.leader_node) : <Badge tone="bad">{t.noLeader}</Badge>),
      value: (q) => (q.leader_node ? nodeName(q.leader_node) : ""),
    },
    { key: "first", title: t.first, cell: (q) => number(q.first_offset), value: (q) => q.first_offset, end: true },
    { key: "next", title: t.next, cell: (q) => number(q.next_offset), value: (q) => q.next_offset, end: true },
    { key: "count", title: t.count, cell: (q) => number(q.next_offset - q.first_offset), value: (q) => q.next_offset - q.first_offset, end: true },
    { key: "rate", title: t.rateIn, cell: (q) => <Rate now={props.rates.of(q.queue)} />, value: (q) => props.rates.of(q.queue), end: true },
    {
      key: "look",
      title: t.messages,
      cell: (q) => (
        <Link to="messages" query={{ topic: topic.name, by: "offset", queue: q.queue, offset: q.first_offset }}>
          {t.look}<span class="hidden">: {t.queue} {q.queue}</span>
        </Link>
      ),
    },
  ];
  return <Table caption={t.queuesCaption} rows={queues} columns={columns} rowKey={(q) => String(q.queue)} filter={queues.length > 16} cards />;
}

function Rate(props: { now: number | null }): VNode {
  return <>{props.now === null ? "–" : rate(props.now)}</>;
}
