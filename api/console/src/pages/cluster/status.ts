// What pages read off the state of the cluster.
import type { BrokerGroup, ClusterStatusResponse, Node, Replica } from "../../api/types";

/** From here on the doctor warns. */
export const BEHIND_WARN = 10_000;

/** A node's name; its id if it is not in the cluster any more. */
export function nodeName(status: ClusterStatusResponse, id: number): string {
  return status.nodes.find((node) => node.id === id)?.name || String(id);
}

/** So many entries that are committed are not on the replica's disk. */
export function behind(group: BrokerGroup, replica: Replica): number {
  return Math.max(0, group.committed - replica.durable_index);
}

/** A replica that a group has or should have. */
export interface Member {
  id: number;
  name: string;
  /** Absent: the node left the cluster. */
  node: Node | undefined;
  /** Absent: it did not answer, or has none. */
  replica: Replica | undefined;
  votes: boolean;
  /** It would lead, and leads nobody: no majority hears it, or another one leads by now. */
  unheard: boolean;
}

/** All replicas of a group, those too that do not answer, by node. */
export function membersOf(status: ClusterStatusResponse, group: BrokerGroup): Member[] {
  const holders = group.placed.length ? group.placed : status.nodes.map((node) => node.id);
  const ids = new Set([...holders, ...group.voters, ...group.replicas.map((replica) => replica.node)]);
  return [...ids].sort((a, b) => a - b).map((id) => {
    const replica = group.replicas.find((replica) => replica.node === id);
    return {
      id,
      name: nodeName(status, id),
      node: status.nodes.find((node) => node.id === id),
      replica,
      votes: group.voters.includes(id),
      unheard: replica?.role === "leader" && group.leader !== id,
    };
  });
}

/** How a replica is, in one word. */
export type MemberState = Replica["role"] | "unheard" | "down" | "silent";

/** `silent`: its node runs, and says nothing of a replica. */
export function stateOf(member: Member): MemberState {
  if (!member.node?.alive) return "down";
  return member.unheard ? "unheard" : (member.replica?.role ?? "silent");
}

/** Whether the group is held by chosen nodes, so that its replicas can be moved. */
export function isPlaced(group: BrokerGroup): boolean {
  return group.placed.length > 0;
}

/** How many voters there are, how many of them can vote now, and how many it takes. */
export function votesOf(members: readonly Member[]): { voters: number; able: number; needed: number } {
  const voters = members.filter((member) => member.votes);
  const able = voters.filter((member) => member.node?.alive && member.replica && member.replica.role !== "rejoining").length;
  return { voters: voters.length, able, needed: Math.floor(voters.length / 2) + 1 };
}

/** Whether enough voters run. Without them nothing is committed, even if somebody still leads. */
export function hasMajority(members: readonly Member[]): boolean {
  const { voters, able, needed } = votesOf(members);
  return voters === 0 || able >= needed;
}
