import type { VNode } from "preact";
import { cluster } from "../api/calls";
import { useCluster } from "../api/events";
import { useLatest } from "../api/load";
import type { BrokerGroup, ClusterStatusResponse } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import type { PageProps } from "../routes";
import { Await, Button, Card, Empty, Link, Page, Stat, Stats } from "../ui";
import { openAction } from "./cluster/actions";
import { ActionDialog } from "./cluster/dialogs";
import { HistoryList } from "./cluster/HistoryList";
import { Picture } from "./cluster/Picture";
import { Replicas } from "./cluster/replicas";
import { isPlaced, membersOf, nodeName, votesOf } from "./cluster/status";

export default function ClusterGroupPage(props: PageProps): VNode {
  const t = useText();
  const name = props.params["group"] ?? "";
  const status = useLatest(useCluster(), cluster.status);
  const group = status.data?.groups.find((g) => g.name === name);
  return (
    <Page
      title={t.clusterGroup.title(name)}
      lead={name === "meta" ? t.clusterGroup.metaLead : t.clusterGroup.lead}
      crumbs={[{ title: t.cluster.title, to: "cluster" }]}
      actions={group && <Actions group={group} />}
    >
      <Await of={status}>
        {(now) => (group ? <Content status={now} group={group} /> : (
          <Empty title={t.clusterGroup.missing(name)} action={<Link to="cluster">{t.clusterGroup.toCluster}</Link>} />
        ))}
      </Await>
    </Page>
  );
}

function Actions(props: { group: BrokerGroup }): VNode {
  const t = useText();
  const { group } = props;
  return (
    <>
      <Button need="operate" onClick={() => openAction("transfer")}>{t.cluster.groups.transfer}</Button>
      <Button
        need="administer"
        unusable={isPlaced(group) ? "" : t.cluster.move.notPlaced(group.name)}
        onClick={() => openAction("move")}
      >
        {t.cluster.move.open}
      </Button>
    </>
  );
}

function Content(props: { status: ClusterStatusResponse; group: BrokerGroup }): VNode {
  const t = useText();
  const { status, group } = props;
  return (
    <>
      <Figures {...props} />
      <Card title={t.clusterGroup.picture} lead={t.clusterGroup.pictureLead}><Picture status={status} group={group} /></Card>
      <Card title={t.cluster.replicas.title}><Replicas status={status} group={group} /></Card>
      <Card title={t.clusterGroup.history} lead={t.clusterGroup.historyLead}><HistoryList status={status} group={group} /></Card>
      <ActionDialog status={status} group={group.name} />
    </>
  );
}

function Figures(props: { status: ClusterStatusResponse; group: BrokerGroup }): VNode {
  const t = useText();
  const { status, group } = props;
  const members = membersOf(status, group);
  const { voters, able, needed } = votesOf(members);
  const leads = group.leader !== 0;
  return (
    <Stats label={t.clusterGroup.figures}>
      <Stat
        label={t.cluster.groups.leader}
        value={leads ? nodeName(status, group.leader) : t.cluster.groups.noLeader}
        tone={leads && able >= needed ? "ok" : "bad"}
        hint={!leads ? t.clusterGroup.noLeaderHint : able < needed ? t.clusterGroup.noMajorityHint : ""}
      />
      <Stat label={t.cluster.groups.term} value={number(group.term)} />
      <Stat
        label={t.clusterGroup.voters}
        value={`${number(able)}/${number(voters)}`}
        hint={t.clusterGroup.needed(needed)}
        tone={able < needed ? "bad" : able === needed && voters > 1 ? "warn" : "ok"}
      />
      <Stat label={t.cluster.groups.committed} value={number(group.committed)} />
      <Stat label={t.cluster.groups.placed} value={number(members.length)} hint={isPlaced(group) ? t.clusterGroup.chosen : t.cluster.groups.everywhere} />
    </Stats>
  );
}
