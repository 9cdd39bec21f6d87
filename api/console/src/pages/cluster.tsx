import type { VNode } from "preact";
import { cluster } from "../api/calls";
import { useCluster } from "../api/events";
import { useLatest } from "../api/load";
import type { ClusterStatusResponse } from "../api/types";
import { duration, number } from "../format";
import { useText } from "../i18n";
import { Await, Button, Card, Link, Page, Stat, Stats } from "../ui";
import { openAction } from "./cluster/actions";
import { ActionDialog } from "./cluster/dialogs";
import { Groups } from "./cluster/groups";
import { Nodes } from "./cluster/nodes";
import { Replicas } from "./cluster/replicas";

export default function ClusterPage(): VNode {
  const t = useText().cluster;
  const status = useLatest(useCluster(), cluster.status);
  return (
    <Page title={t.title} lead={t.lead} actions={<Actions />}>
      <Await of={status}>{(now) => <Content status={now} />}</Await>
    </Page>
  );
}

function Actions(): VNode {
  const t = useText().cluster;
  return (
    <>
      <Button need="operate" onClick={() => openAction("rebalance")}>{t.rebalance.open}</Button>
      <Button need="administer" onClick={() => openAction("add-groups")}>{t.addGroups.open}</Button>
      <Button need="administer" onClick={() => openAction("feature-level")}>{t.featureLevel.open}</Button>
    </>
  );
}

function Content(props: { status: ClusterStatusResponse }): VNode {
  const t = useText().cluster;
  const { status } = props;
  return (
    <>
      <Figures status={status} />
      <Card title={t.nodes.title}><Nodes status={status} /></Card>
      <Card title={t.groups.title} lead={t.groups.lead}><Groups status={status} /></Card>
      <Card title={t.replicas.title} lead={t.replicas.lead}><Replicas status={status} /></Card>
      {status.spreading.length > 0 && <Spreading status={status} />}
      <ActionDialog status={status} />
    </>
  );
}

function Figures(props: { status: ClusterStatusResponse }): VNode {
  const t = useText().cluster.figures;
  const { nodes, groups, feature_level } = props.status;
  const alive = nodes.filter((node) => node.alive).length;
  const led = groups.filter((group) => group.leader !== 0).length;
  const versions = [...new Set(nodes.map((node) => node.version).filter(Boolean))].sort();
  const reads = nodes.map((node) => node.reads_up_to).filter((level) => level > 0);
  const possible = reads.length ? Math.min(...reads) : feature_level;
  return (
    <Stats label={t.label}>
      <Stat label={t.nodes} value={`${number(alive)}/${number(nodes.length)}`} hint={t.alive} tone={alive < nodes.length ? "bad" : "ok"} />
      <Stat label={t.groups} value={`${number(led)}/${number(groups.length)}`} hint={t.led} tone={led < groups.length ? "bad" : "ok"} />
      <Stat label={t.version} value={versions.length === 1 ? versions[0] : number(versions.length)} hint={versions.length > 1 ? versions.join(", ") : t.same} tone={versions.length > 1 ? "warn" : "ok"} />
      <Stat label={t.level} value={number(feature_level)} hint={possible > feature_level ? t.possible(possible) : t.highest} />
    </Stats>
  );
}

function Spreading(props: { status: ClusterStatusResponse }): VNode {
  const t = useText().cluster;
  return (
    <Card title={t.spreading} lead={t.spreadingLead}>
      <ul class="plain-list">
        {props.status.spreading.map((topic) => (
          <li key={topic.name}><Link to="topics/:name" params={{ name: topic.name }}>{topic.name}</Link> {t.spreadingFor(duration(topic.for_ms))}</li>
        ))}
      </ul>
    </Card>
  );
}
