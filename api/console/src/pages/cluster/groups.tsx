import type { VNode } from "preact";
import type { BrokerGroup, ClusterStatusResponse } from "../../api/types";
import { compact, number } from "../../format";
import { useText } from "../../i18n";
import { Badge, Button, Link, Table, type Column } from "../../ui";
import { openAction } from "./actions";
import { behind, BEHIND_WARN, isPlaced, membersOf, nodeName, type Member } from "./status";

/** All groups, who leads them, and how far their replicas are. */
export function Groups(props: { status: ClusterStatusResponse }): VNode {
  const t = useText().cluster.groups;
  const { status } = props;
  const names = (ids: number[]) => ids.map((id) => nodeName(status, id)).join(", ");
  const worst = (g: BrokerGroup) => Math.max(0, ...g.replicas.map((replica) => behind(g, replica)));
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
      cell: (g) => (g.leader ? nodeName(status, g.leader) : <Badge tone="bad">{t.noLeader}</Badge>),
      value: (g) => (g.leader ? nodeName(status, g.leader) : ""),
    },
    { key: "term", title: t.term, cell: (g) => number(g.term), value: (g) => g.term, end: true },
    { key: "committed", title: t.committed, cell: (g) => number(g.committed), value: (g) => g.committed, end: true },
    { key: "voters", title: t.voters, cell: (g) => names(g.voters) || "–", value: (g) => names(g.voters) },
    { key: "placed", title: t.placed, cell: (g) => (isPlaced(g) ? names(g.placed) : t.everywhere), value: (g) => names(g.placed) },
    { key: "behind", title: t.behind, cell: (g) => <Behind status={status} group={g} />, value: worst },
    {
      key: "actions",
      title: t.actions,
      cell: (g) => (
        <Button size="small" need="operate" label={`${t.transfer}: ${g.name}`} onClick={() => openAction("transfer", { group: g.name })}>
          {t.transferShort}
        </Button>
      ),
    },
  ];
  return <Table caption={t.title} name="groups" rows={status.groups} columns={columns} rowKey={(g) => g.name} cards filter={status.groups.length > 12} />;
}

/** How far each replica is behind what is committed. */
function Behind(props: { status: ClusterStatusResponse; group: BrokerGroup }): VNode {
  return (
    <ul class="behind">
      {membersOf(props.status, props.group).map((member) => (
        <li key={member.id}><span class="muted">{member.name}</span> <BehindOf group={props.group} member={member} /></li>
      ))}
    </ul>
  );
}

/** How far one replica is behind, or why that is not known. */
export function BehindOf(props: { group: BrokerGroup; member: Member }): VNode {
  const t = useText().cluster;
  const { group, member } = props;
  if (!member.replica) return <Badge tone={member.node?.alive ? "warn" : "bad"}>{member.node?.alive ? t.roles.silent : t.roles.down}</Badge>;
  const entries = behind(group, member.replica);
  return entries < BEHIND_WARN ? <span>{compact(entries)}</span> : <Badge tone="warn">{compact(entries)}</Badge>;
}
