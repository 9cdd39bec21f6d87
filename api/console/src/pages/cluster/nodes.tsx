import type { VNode } from "preact";
import { useTraffic } from "../../api/events";
import type { ClusterStatusResponse, Disk, Node, NodeTraffic } from "../../api/types";
import { bytes, micros, number, percent } from "../../format";
import { useText } from "../../i18n";
import { useSession } from "../../session";
import { Badge, Button, Table, type Column, type Tone } from "../../ui";
import { openAction } from "./actions";

/** All nodes, and how they are. */
export function Nodes(props: { status: ClusterStatusResponse }): VNode {
  const t = useText().cluster.nodes;
  const { nodes, groups } = props.status;
  const here = useSession()?.node.id;
  const traffic = useTraffic();
  const counted = (node: Node): NodeTraffic | undefined => traffic?.nodes.find((n) => n.node === node.id);
  const leads = (node: Node) => groups.filter((group) => group.leader === node.id);
  const figure = (show: (counted: NodeTraffic) => string) => (node: Node) => {
    const found = node.alive ? counted(node) : undefined;
    return found ? show(found) : "–";
  };
  const columns: Column<Node>[] = [
    {
      key: "name",
      title: t.name,
      cell: (n) => <span>{n.name} <span class="muted">({n.id})</span>{n.id === here && <> <Badge tone="neutral">{t.here}</Badge></>}</span>,
      value: (n) => n.name,
    },
    { key: "state", title: t.state, cell: (n) => <NodeState node={n} />, value: (n) => stateOf(n) },
    {
      key: "leads",
      title: t.leads,
      cell: (n) => <span title={leads(n).map((g) => g.name).join(", ")}>{number(leads(n).length)}</span>,
      value: (n) => leads(n).length,
      end: true,
    },
    { key: "disk", title: t.disk, cell: (n) => (n.disk ? <DiskMeter disk={n.disk} /> : "–"), value: (n) => n.disk?.used_percent },
    { key: "sync", title: t.sync, cell: figure(syncText), value: (n) => counted(n)?.sync_p99_us, end: true },
    { key: "connections", title: t.connections, cell: figure((x) => number(x.connections)), value: (n) => counted(n)?.connections, end: true },
    { key: "clock", title: t.clock, cell: (n) => clockText(n), value: (n) => n.clock_ahead_ms, end: true },
    {
      key: "actions",
      title: t.actions,
      cell: (n) => (
        <Button size="small" need="administer" label={`${t.remove}: ${n.name}`} onClick={() => openAction("remove-node", { node: n.id })}>
          {t.remove}
        </Button>
      ),
    },
    { key: "version", title: t.version, cell: (n) => n.version || "–", value: (n) => n.version },
    { key: "grpc", title: t.grpc, cell: (n) => <code>{n.grpc}</code>, value: (n) => n.grpc },
    { key: "http", title: t.http, cell: (n) => <code>{n.http}</code>, value: (n) => n.http },
  ];
  return <Table caption={t.title} name="nodes" rows={nodes} columns={columns} rowKey={(n) => String(n.id)} cards filter={nodes.length > 8} />;
}

/** Where nothing is written, nothing is synced. */
function syncText(counted: NodeTraffic): string {
  return counted.sync_p99_us === 0 ? "–" : `${micros(counted.sync_p50_us)} / ${micros(counted.sync_p99_us)}`;
}

function clockText(node: Node): string {
  if (!node.alive || node.clock_ahead_ms === null || node.clock_ahead_ms === undefined) return "–";
  const sign = node.clock_ahead_ms > 0 ? "+" : "";
  return `${sign}${number(node.clock_ahead_ms)} ± ${number(node.clock_doubt_ms)} ms`;
}

type State = "down" | "joining" | "draining" | "up";
const TONES: Record<State, Tone> = { down: "bad", joining: "info", draining: "warn", up: "ok" };

function stateOf(node: Node): State {
  if (!node.alive) return "down";
  if (node.joining) return "joining";
  return node.draining ? "draining" : "up";
}

/** Whether a node is up. */
export function NodeState(props: { node: Node }): VNode {
  const t = useText().cluster.nodes;
  const state = stateOf(props.node);
  return <Badge tone={TONES[state]} title={t.stateHint[state]}>{t.states[state]}</Badge>;
}

const DISK_TONES: Record<Disk["level"], Tone> = { normal: "ok", warn: "warn", clean: "bad", refuse: "bad" };

/** How full a disk is. */
export function DiskMeter(props: { disk: Disk }): VNode {
  const t = useText();
  const { disk } = props;
  return (
    <span class="disk">
      <span class="disk-bar" aria-hidden="true"><span class={DISK_TONES[disk.level]} style={{ width: `${Math.min(100, disk.used_percent)}%` }} /></span>
      <span>{percent(disk.used_percent)}</span>
      <span class="muted">{t.cluster.nodes.free(bytes(disk.free_bytes))}</span>
      {disk.level !== "normal" && <Badge tone={DISK_TONES[disk.level]}>{t.overview.diskLevel[disk.level]}</Badge>}
    </span>
  );
}
