import type { VNode } from "preact";
import { observe } from "../api/calls";
import { useCluster, useDoctor, useLags, useTraffic } from "../api/events";
import { useLatest, useLoad } from "../api/load";
import type { Client, ClusterStatusResponse, Disk, Node } from "../api/types";
import { bytes, compact, number, percent } from "../format";
import { useText } from "../i18n";
import { useNodeName } from "../session";
import { sum } from "../traffic";
import { Stat, Stats, type Tone } from "../ui";
import { countLevels } from "./findings";

const UNKNOWN = "–";
const CLIENTS_EVERY_MS = 15_000;

/** The figures of this moment. */
export function Figures(): VNode {
  const t = useText().overview;
  return (
    <Stats label={t.now}>
      <TrafficFigures />
      <LagFigure />
      <ClientsFigure />
      <NodesFigure />
      <DiskFigure />
      <AlertsFigure />
    </Stats>
  );
}

function TrafficFigures(): VNode {
  const t = useText().overview;
  const now = useTraffic();
  const samples = now?.nodes.flatMap((node) => node.now ?? []) ?? [];
  const all = samples.length ? sum(samples) : null;
  return (
    <>
      <Stat label={t.in} value={all ? <Rate of={all.messages_in_per_s} /> : UNKNOWN} hint={all ? `${bytes(all.bytes_in_per_s)}/s` : ""} />
      <Stat label={t.out} value={all ? <Rate of={all.messages_out_per_s} /> : UNKNOWN} hint={all ? `${bytes(all.bytes_out_per_s)}/s` : ""} />
      <Stat
        label={t.failed}
        value={all ? <Rate of={all.failed_per_s} /> : UNKNOWN}
        tone={all && all.failed_per_s > 0 ? "warn" : "ok"}
        hint={t.failedHint}
      />
    </>
  );
}

function Rate(props: { of: number }): VNode {
  return <>{compact(props.of)}<small>/s</small></>;
}

function LagFigure(): VNode {
  const t = useText().overview;
  const lags = useLatest(useLags(), (signal) => observe.lags({}, signal)).data;
  const total = lags?.total;
  return (
    <Stat
      label={t.lag}
      value={total ? compact(total.messages) : UNKNOWN}
      hint={total ? t.lagHint(compact(total.in_flight)) : ""}
      to="groups"
    />
  );
}

function ClientsFigure(): VNode {
  const t = useText().overview;
  const known = useLoad((signal) => observe.clients({}, signal), [], CLIENTS_EVERY_MS);
  const now = useTraffic();
  const name = useNodeName();
  if (!known.data) {
    // Whoever may not list them still sees how many each node knows. Others may know the same ones, so they are not added.
    const each = now?.nodes.map((node) => `${name(node.node)}: ${number(node.clients)}`).join(", ");
    return <Stat label={t.clients} value={UNKNOWN} hint={known.error ? each : ""} />;
  }
  const { clients } = known.data;
  const ids = (of: readonly Client[]) => new Set(of.map((client) => client.client_id)).size;
  const producers = ids(clients.filter((client) => client.kind === "producer"));
  const consumers = ids(clients.filter((client) => client.group !== ""));
  return <Stat label={t.clients} value={number(ids(clients))} hint={t.clientsHint(consumers, producers)} />;
}

function NodesFigure(): VNode {
  const t = useText().overview;
  const nodes = useCluster()?.nodes;
  const alive = nodes?.filter((node) => node.alive).length ?? 0;
  return (
    <Stat
      label={t.nodes}
      value={nodes ? `${number(alive)}/${number(nodes.length)}` : UNKNOWN}
      hint={nodes ? t.nodesAlive(alive, nodes.length) : ""}
      tone={nodes && alive < nodes.length ? "bad" : "ok"}
      to="cluster"
    />
  );
}

const DISK_TONES: Record<Disk["level"], Tone> = { normal: "ok", warn: "warn", clean: "bad", refuse: "bad" };

function DiskFigure(): VNode {
  const t = useText().overview;
  const cluster = useCluster();
  const fullest = cluster && fullestDisk(cluster);
  if (!fullest) return <Stat label={t.disk} value={UNKNOWN} />;
  const { node, disk } = fullest;
  const level = disk.level === "normal" ? "" : `: ${t.diskLevel[disk.level]}`;
  return (
    <Stat
      label={t.disk}
      value={percent(disk.used_percent)}
      hint={t.diskHint(node.name, bytes(disk.free_bytes)) + level}
      tone={DISK_TONES[disk.level]}
      to="cluster"
    />
  );
}

function fullestDisk(cluster: ClusterStatusResponse): { node: Node; disk: Disk } | null {
  const disks = cluster.nodes.flatMap((node) => (node.disk ? [{ node, disk: node.disk }] : []));
  return disks.sort((a, b) => b.disk.used_percent - a.disk.used_percent)[0] ?? null;
}

function AlertsFigure(): VNode {
  const t = useText().overview;
  const doctor = useDoctor();
  if (!doctor) return <Stat label={t.alerts} value={UNKNOWN} to="doctor" />;
  const counts = countLevels(doctor.findings);
  const alerts = counts.bad + counts.warn;
  return <Stat label={t.alerts} value={number(alerts)} tone={doctor.worst} hint={t.alertsHint(alerts)} to="doctor" />;
}
