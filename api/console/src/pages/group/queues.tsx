import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { GroupQueueStatus } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { Badge, Empty, Link, Table, type Column } from "../../ui";

const EVERY_MS = 4_000;

/** Where a consumer group stands in each queue. */
export function GroupQueues(props: { queues: GroupQueueStatus[]; refresh: () => void }): VNode {
  useEffect(() => {
    const timer = window.setInterval(() => !document.hidden && props.refresh(), EVERY_MS);
    return () => window.clearInterval(timer);
  }, []);
  const t = useText();
  const g = t.group;
  const figure = (key: string, title: string, of: (q: GroupQueueStatus) => number): Column<GroupQueueStatus> => ({
    key, title, cell: (q) => number(of(q)), value: of, text: () => "", end: true,
  });
  const columns: Column<GroupQueueStatus>[] = [
    { key: "topic", title: g.topic, cell: (q) => <Link to="topics/:name" params={{ name: q.topic }}>{q.topic}</Link>, value: (q) => q.topic },
    figure("queue", g.queue, (q) => q.queue),
    figure("first", g.first, (q) => q.first_offset),
    figure("settled", g.settled, (q) => q.settled_offset),
    figure("next", g.next, (q) => q.next_offset),
    figure("end", g.end, (q) => q.end_offset),
    figure("flight", g.inFlight, (q) => q.in_flight),
    figure("lag", g.lag, (q) => q.lag),
    { key: "begun", title: g.begun, cell: (q) => (q.begun ? t.common.yes : <Badge tone="neutral">{g.to.notBegun}</Badge>), value: (q) => q.begun, text: () => "" },
  ];
  return (
    <>
      <p class="lead">{g.queuesLead}</p>
      <Table
        caption={g.queuesCaption}
        rows={props.queues}
        columns={columns}
        rowKey={(q) => `${q.topic}/${q.queue}`}
        filter={props.queues.length > 10}
        cards
        empty={<Empty title={g.noTopics} hint={g.noTopicsHint} />}
      />
    </>
  );
}
