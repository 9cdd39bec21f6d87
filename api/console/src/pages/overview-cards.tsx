import type { VNode } from "preact";
import { cluster, observe } from "../api/calls";
import { useCluster, useLags } from "../api/events";
import { useLatest } from "../api/load";
import type { Lag, Node } from "../api/types";
import { compact } from "../format";
import { useText } from "../i18n";
import { Time } from "../time";
import { Await, Card, Empty, Link, Table, type Column } from "../ui";
import { DiskMeter, NodeState } from "./cluster/nodes";

const SHOWN = 6;

/** The consumer groups that are farthest behind. */
export function LagCard(): VNode {
  const t = useText().overview;
  const lags = useLatest(useLags(), (signal) => observe.lags({ limit: SHOWN }, signal));
  const columns: Column<Lag>[] = [
    { key: "group", title: t.group, cell: (l) => <Link to="groups/:name" params={{ name: l.group }}>{l.group}</Link> },
    { key: "topic", title: t.topic, cell: (l) => <Link to="topics/:name" params={{ name: l.topic }}>{l.topic}</Link> },
    { key: "messages", title: t.messages, cell: (l) => compact(l.messages), end: true },
    { key: "flight", title: t.inFlight, cell: (l) => compact(l.in_flight), end: true },
    { key: "oldest", title: t.oldest, cell: (l) => <Time ms={l.oldest_unix_ms} show="relative" /> },
  ];
  return (
    <Card title={t.behindGroups} lead={t.behindLead} actions={<Link to="groups">{t.allGroups}</Link>}>
      <Await of={lags}>
        {(now) => (
          <Table
            caption={t.behindGroups}
            name="lags"
            rows={now.lags.filter((lag) => lag.messages > 0).slice(0, SHOWN)}
            columns={columns}
            rowKey={(l) => JSON.stringify([l.group, l.topic])}
            cards
            empty={<Empty title={t.noLag} />}
          />
        )}
      </Await>
    </Card>
  );
}

/** How full the disks of all nodes are. */
export function DisksCard(): VNode {
  const t = useText().overview;
  const status = useLatest(useCluster(), cluster.status);
  const columns: Column<Node>[] = [
    { key: "node", title: t.node, cell: (n) => n.name, value: (n) => n.name },
    { key: "state", title: t.state, cell: (n) => <NodeState node={n} />, value: (n) => n.alive },
    { key: "disk", title: t.disks, cell: (n) => (n.disk ? <DiskMeter disk={n.disk} /> : "–"), value: (n) => n.disk?.used_percent },
  ];
  return (
    <Card title={t.disks} actions={<Link to="cluster">{t.toCluster}</Link>}>
      <Await of={status}>
        {(now) => <Table caption={t.disks} name="disks" rows={now.nodes} columns={columns} rowKey={(n) => String(n.id)} cards />}
      </Await>
    </Card>
  );
}
