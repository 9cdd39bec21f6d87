import type { VNode } from "preact";
import type { BrokerGroup, ClusterStatusResponse } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { Badge, Button, Link, Table, type Column, type Tone } from "../../ui";
import { openAction } from "./actions";
import { behind, isPlaced, membersOf, stateOf, type Member, type MemberState } from "./status";
import { BehindOf } from "./groups";

interface Row {
  group: BrokerGroup;
  member: Member;
}

export const ROLE_TONES: Record<MemberState, Tone> = {
  leader: "info", follower: "neutral", candidate: "warn", learner: "neutral", rejoining: "warn", unheard: "warn", down: "bad", silent: "warn",
};

/** Where the logs of all replicas are; of one group if it is given, with what can be done. */
export function Replicas(props: { status: ClusterStatusResponse; group?: BrokerGroup }): VNode {
  const t = useText().cluster;
  const { status } = props;
  const groups = props.group ? [props.group] : status.groups;
  const rows = groups.flatMap((group) => membersOf(status, group).map((member): Row => ({ group, member })));
  const position = (key: string, title: string, of: (row: Row) => number | undefined): Column<Row> => ({
    key,
    title,
    cell: (row) => {
      const at = of(row);
      return at === undefined ? "–" : number(at);
    },
    value: of,
    end: true,
  });
  const columns: Column<Row>[] = [
    { key: "node", title: t.replicas.node, cell: (r) => r.member.name, value: (r) => r.member.name },
    { key: "role", title: t.replicas.role, cell: (r) => <Role member={r.member} />, value: (r) => stateOf(r.member), text: (r) => t.roles[stateOf(r.member)] },
    { key: "votes", title: t.replicas.votes, cell: (r) => (r.member.votes ? t.replicas.yes : t.replicas.no), value: (r) => r.member.votes },
    position("last", t.replicas.last, (r) => r.member.replica?.last_index),
    position("durable", t.replicas.durable, (r) => r.member.replica?.durable_index),
    position("applied", t.replicas.applied, (r) => r.member.replica?.applied_index),
    {
      key: "behind",
      title: t.replicas.behind,
      cell: (r) => <BehindOf group={r.group} member={r.member} />,
      value: (r) => (r.member.replica ? behind(r.group, r.member.replica) : undefined),
      end: true,
    },
  ];
  if (props.group) columns.push({ key: "actions", title: t.replicas.actions, cell: (r) => <ReplicaActions row={r} /> });
  else {
    columns.unshift({
      key: "group",
      title: t.groups.group,
      cell: (r) => <Link to="cluster/groups/:group" params={{ group: r.group.name }}>{r.group.name}</Link>,
      value: (r) => r.group.name,
    });
  }
  return (
    <Table
      caption={t.replicas.title}
      name="replicas"
      rows={rows}
      columns={columns}
      rowKey={(r) => `${r.group.name} ${r.member.id}`}
      pageSize={30}
      filter={rows.length > 12}
      cards
    />
  );
}

function Role(props: { member: Member }): VNode {
  const t = useText().cluster;
  const state = stateOf(props.member);
  return <Badge tone={ROLE_TONES[state]} title={t.roleHint[state]}>{t.roles[state]}</Badge>;
}

function ReplicaActions(props: { row: Row }): VNode {
  const t = useText().cluster;
  const { group, member } = props.row;
  const vote = member.votes ? t.vote.openTake : t.vote.openGive;
  return (
    <span class="actions">
      <Button size="small" need="administer" label={`${vote}: ${member.name}`} onClick={() => openAction("vote", { node: member.id })}>{vote}</Button>
      {isPlaced(group) && (
        <Button size="small" need="administer" label={`${t.move.open}: ${member.name}`} onClick={() => openAction("move", { node: member.id })}>
          {t.move.open}
        </Button>
      )}
    </span>
  );
}
