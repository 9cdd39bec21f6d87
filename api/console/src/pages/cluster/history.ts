// What happened to a group since its page was opened, read off the states that came one after another.
import { useEffect, useRef, useState } from "preact/hooks";
import { useLive } from "../../api/events";
import type { BrokerGroup, ClusterStatusResponse } from "../../api/types";
import { hasMajority, membersOf, stateOf, type MemberState } from "./status";

interface Reign {
  node: number;
  term: number;
}

/** One thing that happened. */
export type Happening =
  | { what: "leads"; node: number; term: number; before: Reign | null }
  | { what: "leaderless"; term: number; before: Reign | null }
  | { what: "election"; term: number }
  | { what: "state"; node: number; state: MemberState; before: MemberState; term: number }
  | { what: "voters"; voters: number[] }
  | { what: "majority"; has: boolean }
  | { what: "gap"; ms: number };

/** The same, and when it was seen. */
export interface Entry {
  id: number;
  ms: number;
  happening: Happening;
}

/** What is compared. */
export interface Snapshot {
  leader: number;
  term: number;
  voters: number[];
  states: ReadonlyMap<number, MemberState>;
  majority: boolean;
}

const ENTRIES_MAX = 200;
/** That these come and go is said by who leads. */
const QUIET: ReadonlySet<MemberState> = new Set(["leader", "unheard", "follower"]);

function snapshot(status: ClusterStatusResponse, group: BrokerGroup): Snapshot {
  const members = membersOf(status, group);
  const states = new Map(members.map((member) => [member.id, stateOf(member)]));
  return { leader: group.leader, term: group.term, voters: group.voters, states, majority: hasMajority(members) };
}

/** What happened between two states. `reign`: the last one who led. */
export function compare(before: Snapshot, after: Snapshot, reign: Reign | null): Happening[] {
  const found: Happening[] = [];
  for (const [node, state] of after.states) {
    const was = before.states.get(node);
    if (was === undefined || was === state || (QUIET.has(was) && QUIET.has(state))) continue;
    // Who leads and who does not any more is told below.
    if (QUIET.has(state) && (was === "candidate" || (state === "leader" && was !== "down" && was !== "silent"))) continue;
    found.push({ what: "state", node, state, before: was, term: after.term });
  }
  if (after.majority !== before.majority) found.push({ what: "majority", has: after.majority });
  if (after.leader === 0) {
    if (before.leader !== 0) found.push({ what: "leaderless", term: after.term, before: reign });
    else if (after.term !== before.term) found.push({ what: "election", term: after.term });
  } else if (before.leader === 0 || after.leader !== reign?.node || after.term !== reign.term) {
    found.push({ what: "leads", node: after.leader, term: after.term, before: reign });
  }
  if (after.voters.join() !== before.voters.join() && after.voters.length) found.push({ what: "voters", voters: after.voters });
  return found;
}

/** The history, the newest first. */
export function useGroupHistory(status: ClusterStatusResponse, group: BrokerGroup): readonly Entry[] {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const seen = useRef<Snapshot | null>(null);
  const reign = useRef<Reign | null>(null);
  const count = useRef(0);
  const live = useLive();
  const since = useRef(0);

  const add = (happenings: Happening[]) => {
    if (happenings.length === 0) return;
    const ms = Date.now();
    const made = happenings.map((happening): Entry => ({ id: ++count.current, ms, happening }));
    setEntries((all) => [...made.reverse(), ...all].slice(0, ENTRIES_MAX));
  };

  // Before what came after the gap.
  useEffect(() => {
    if (live.state === "reconnecting") since.current = live.since;
    else if (live.state === "live" && since.current) {
      add([{ what: "gap", ms: Date.now() - since.current }]);
      since.current = 0;
    }
  }, [live.state]);
  useEffect(() => {
    const now = snapshot(status, group);
    if (seen.current) add(compare(seen.current, now, reign.current));
    else add([now.leader ? { what: "leads", node: now.leader, term: now.term, before: null } : { what: "leaderless", term: now.term, before: null }]);
    seen.current = now;
    if (now.leader) reign.current = { node: now.leader, term: now.term };
  }, [status]);
  return entries;
}
