import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useLive } from "../../api/events";
import type { BrokerGroup, ClusterStatusResponse } from "../../api/types";
import { number } from "../../format";
import { useText } from "../../i18n";
import { behind, hasMajority, membersOf, nodeName, stateOf, type Member } from "./status";
import { Bars, BarsLegend } from "./Bars";

// Below a node there are its name and its role.
const BELOW = 72;
const CENTRE_Y = 132;
const RADIUS_Y = 92;
const NODE = 26;

/** The replicas of a group as circles, and their logs as bars. */
export function Picture(props: { status: ClusterStatusResponse; group: BrokerGroup }): VNode {
  const { status, group } = props;
  const members = membersOf(status, group);
  // What is not live any more is drawn without colours.
  const stale = useLive().state === "reconnecting";
  return (
    <div class={`picture ${stale ? "stale" : ""}`}>
      <Ring {...props} members={members} />
      <div class="picture-logs">
        <Bars group={group} members={members} />
        <BarsLegend />
      </div>
    </div>
  );
}

function Ring(props: { status: ClusterStatusResponse; group: BrokerGroup; members: Member[] }): VNode {
  const t = useText();
  const { status, group, members } = props;
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const radiusX = Math.min(width / 2 - 52, 160);
  // The first one is at the top; two are side by side, below the text.
  const two = members.length === 2;
  const first = two ? Math.PI : -Math.PI / 2;
  const textY = two ? CENTRE_Y - 70 : CENTRE_Y;
  const spots = members.map((member, i) => {
    const angle = (i / members.length) * 2 * Math.PI + first;
    return { member, x: width / 2 + radiusX * Math.cos(angle), y: CENTRE_Y + RADIUS_Y * Math.sin(angle) };
  });
  const height = Math.max(...spots.map((spot) => spot.y), CENTRE_Y) + BELOW;
  const leader = spots.find((spot) => spot.member.id === group.leader);
  return (
    <div class="ring" ref={box}>
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={describe(props, t)}>
        {leader && spots.filter((spot) => spot !== leader).map((spot) => (
          <line key={spot.member.id} class={`link ${stateOf(spot.member)}`} x1={leader.x} y1={leader.y} x2={spot.x} y2={spot.y} />
        ))}
        {leader && <circle key={`${group.leader} ${group.term}`} class="pulse" cx={leader.x} cy={leader.y} r={NODE} />}
        {spots.map((spot) => <Spot key={spot.member.id} {...spot} />)}
        <text class="ring-term" x={width / 2} y={textY + 4}>{t.clusterGroup.inTerm(number(group.term))}</text>
        <text class={`ring-leader ${leader ? "" : "bad"}`} x={width / 2} y={textY + 24}>
          {group.leader ? t.clusterGroup.ledBy(short(nodeName(status, group.leader))) : t.cluster.groups.noLeader}
        </text>
        {!hasMajority(members) && <text class="ring-leader bad" x={width / 2} y={textY + 42}>{t.clusterGroup.noMajority}</text>}
      </svg>
    </div>
  );
}

function Spot(props: { member: Member; x: number; y: number }): VNode {
  const t = useText();
  const { member, x, y } = props;
  const state = stateOf(member);
  return (
    <g class={`spot ${state} ${member.votes ? "" : "voteless"}`} transform={`translate(${x} ${y})`}>
      <title>{t.cluster.roleHint[state]}</title>
      {state === "leader" && <circle class="halo" r={NODE + 6} />}
      <circle class="disc" r={NODE} />
      {state !== "down" && <text class="spot-id" y={6}>{member.id}</text>}
      {state === "down" && <path class="cross" d={`M-${NODE - 8} -${NODE - 8}l${2 * NODE - 16} ${2 * NODE - 16}M${NODE - 8} -${NODE - 8}l-${2 * NODE - 16} ${2 * NODE - 16}`} />}
      <text class="spot-name" y={NODE + 22}>{short(member.name)}</text>
      <text class="spot-role" y={NODE + 38}>{t.cluster.roles[state]}</text>
    </g>
  );
}

function short(name: string): string {
  return name.length > 16 ? `${name.slice(0, 15)}…` : name;
}

/** The picture in words. */
function describe(of: { status: ClusterStatusResponse; group: BrokerGroup; members: Member[] }, t: ReturnType<typeof useText>): string {
  const { group, members, status } = of;
  const lead = group.leader ? t.clusterGroup.ledBy(nodeName(status, group.leader)) : t.cluster.groups.noLeader;
  const each = members.map((member) => {
    const role = t.cluster.roles[stateOf(member)];
    return member.replica ? t.clusterGroup.replicaIs(member.name, role, behind(group, member.replica)) : `${member.name}: ${role}`;
  });
  const majority = hasMajority(members) ? [] : [t.clusterGroup.noMajority];
  return [`${t.clusterGroup.inTerm(number(group.term))}, ${lead}`, ...majority, ...each].join(". ");
}

/** How wide an element is, as it changes. */
export function useWidth(box: { current: HTMLElement | null }): number {
  const [width, set] = useState(320);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => set(Math.max(240, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
