import type { VNode } from "preact";
import type { BrokerGroup, ClusterStatusResponse } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { Badge, Empty, Link, Table, type Column } from "../ui";

/** Who leads each group, and how far the replicas are. */
export function Leaders(props: { cluster: ClusterStatusResponse }): VNode {
  const t = useText().overview;
  const { groups, nodes } = props.cluster;
  const nameOf = (id: number) => nodes.find((node) => node.id === id)?.name || String(id);
  const columns: Column<BrokerGroup>[] = [
    {
      key: "group",
      title: t.group,
      cell: (g) => <Link to="cluster/groups/:group" params={{ group: g.name }}>{g.name}</Link>,
      value: (g) => g.name,
    },
    {
      key: "leader",
      title: t.leader,
      cell: (g) => (g.leader ? nameOf(g.leader) : <Badge tone="bad">{t.noLeader}</Badge>),
      value: (g) => (g.leader ? nameOf(g.leader) : ""),
    },
    { key: "term", title: t.term, cell: (g) => number(g.term), value: (g) => g.term, end: true },
    { key: "committed", title: t.committed, cell: (g) => number(g.committed), value: (g) => g.committed, end: true },
    { key: "replicas", title: t.replicas, cell: (g) => number(g.replicas.length), value: (g) => g.replicas.length, end: true },
    { key: "behind", title: t.behind, cell: (g) => t.entries(behind(g)), value: behind, end: true },
  ];
  return (
    <Table
      caption={t.leaders}
      name="leaders"
      rows={groups}
      columns={columns}
      rowKey={(g) => g.name}
      cards
      filter={groups.length > 20}
      empty={<Empty title={t.noGroups} />}
    />
  );
}

/** How far the last replica is behind what is committed. */
function behind(group: BrokerGroup): number {
  return Math.max(0, ...group.replicas.map((replica) => group.committed - replica.durable_index));
}
