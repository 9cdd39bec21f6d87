import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import type { BrokerGroup } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { stateOf, type Member } from "./status";
import { useWidth } from "./Picture";

const ROW = 42;
const TOP = 26;
const BAR = 14;
// Bars never show fewer entries than this: else one entry would look like a lot.
const SPAN_MIN = 20;

/** From where to where bars reach: the ends of all logs, and a bit before the shortest. */
export function windowOf(group: BrokerGroup, members: readonly Member[]): { from: number; to: number } {
  const replicas = members.flatMap((member) => member.replica ?? []);
  const ends = replicas.flatMap((replica) => [replica.last_index, replica.durable_index, replica.applied_index]);
  const to = Math.max(group.committed, ...ends, 1);
  const least = Math.min(group.committed, ...ends);
  const span = Math.max(SPAN_MIN, to - least);
  return { from: Math.max(0, Math.floor(to - span * 1.3)), to };
}

/** The log of each replica: what it has, what is on its disk, what is applied; and what is committed. */
export function Bars(props: { group: BrokerGroup; members: Member[] }): VNode {
  const t = useText();
  const { group, members } = props;
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const { from, to } = windowOf(group, members);
  const at = (index: number) => ((Math.min(to, Math.max(from, index)) - from) / Math.max(1, to - from)) * (width - 2) + 1;
  const height = TOP + members.length * ROW + 18;
  const committed = at(group.committed);
  return (
    <div ref={box}>
      <svg class="bars" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={describe(group, members, t)}>
        {members.map((member, i) => <Bar key={member.id} member={member} y={TOP + i * ROW} width={width} at={at} />)}
        <line class="committed" x1={0} x2={0} y1={TOP - 6} y2={TOP + members.length * ROW} style={{ transform: `translateX(${committed}px)` }} />
        <text class="bars-note" x={width - 1} y={12} text-anchor="end">{t.clusterGroup.committedAt(number(group.committed))}</text>
        <text class="bars-note" x={1} y={height - 3}>{number(from)}</text>
        <text class="bars-note" x={width - 1} y={height - 3} text-anchor="end">{number(to)}</text>
      </svg>
    </div>
  );
}

function Bar(props: { member: Member; y: number; width: number; at: (index: number) => number }): VNode {
  const t = useText();
  const { member, y, width, at } = props;
  const { replica } = member;
  const bar = (kind: string, index: number, top: number, height: number) => (
    <rect class={kind} x={1} y={y + 16 + top} width={1} height={height} style={{ transform: `scaleX(${Math.max(0, at(index) - 1)})` }} />
  );
  return (
    <g>
      <text class="bars-name" x={1} y={y + 11}>
        {member.name}
        <tspan class="bars-note" dx={8}>{replica ? number(replica.last_index) : t.cluster.roles[stateOf(member)]}</tspan>
      </text>
      <rect class={replica ? "track" : "track none"} x={1} y={y + 16} width={width - 2} height={BAR} />
      {replica && bar("last", replica.last_index, 0, BAR)}
      {replica && bar("durable", replica.durable_index, 0, BAR)}
      {replica && bar("applied", replica.applied_index, 4, BAR - 8)}
    </g>
  );
}

function describe(group: BrokerGroup, members: readonly Member[], t: ReturnType<typeof useText>): string {
  const each = members.map(({ name, replica }) =>
    replica ? t.clusterGroup.log(name, replica.last_index, replica.durable_index, replica.applied_index) : t.clusterGroup.noLog(name));
  return [t.clusterGroup.committedAt(number(group.committed)), ...each].join(". ");
}

/** What the parts of the bars are. */
export function BarsLegend(): VNode {
  const t = useText().clusterGroup.legend;
  return (
    <ul class="legend bars-legend">
      {(["last", "durable", "applied"] as const).map((kind) => (
        <li key={kind}><svg viewBox="0 0 22 12" aria-hidden="true"><rect class={kind} x={1} y={kind === "applied" ? 3 : 1} width={20} height={kind === "applied" ? 6 : 10} /></svg>{t[kind]}</li>
      ))}
      <li><svg viewBox="0 0 22 12" aria-hidden="true"><line class="committed" x1={11} x2={11} y1={0} y2={12} /></svg>{t.committed}</li>
    </ul>
  );
}
