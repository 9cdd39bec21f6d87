import type { Sentence } from "./observe";

export interface Disk {
  total_bytes: number;
  free_bytes: number;
  used_percent: number;
  level: "normal" | "warn" | "clean" | "refuse";
}

export interface Node {
  id: number;
  name: string;
  grpc: string;
  http: string;
  peer: string;
  pid: number;
  alive: boolean;
  /** Of a node that answered. */
  disk?: Disk | null;
  joining: boolean;
  draining: boolean;
  version: string;
  clock_ahead_ms?: number | null;
  clock_doubt_ms: number;
  reads_up_to: number;
}

export type ReplicaRole = "leader" | "follower" | "candidate" | "learner" | "rejoining";

export interface Replica {
  node: number;
  role: ReplicaRole;
  last_index: number;
  applied_index: number;
  durable_index: number;
}

export interface BrokerGroup {
  name: string;
  /** 0: none at the moment. */
  leader: number;
  term: number;
  committed: number;
  replicas: Replica[];
  voters: number[];
  /** The nodes that are to hold it. None: all are. */
  placed: number[];
}

export interface SpreadingTopic {
  name: string;
  for_ms: number;
}

export interface ClusterStatusResponse {
  cluster: string;
  nodes: Node[];
  groups: BrokerGroup[];
  feature_level: number;
  spreading: SpreadingTopic[];
}

export interface TransferLeaderRequest {
  /** A node's id or name; empty: the most caught-up other voter. */
  to?: string;
}

export interface TransferLeaderResponse {
  leader: number;
  took_ms: number;
}

export interface ChangeVotersRequest {
  node: string;
  votes: boolean;
}

export interface ChangeVotersResponse {
  done: boolean;
  voters: number[];
  behind: number;
}

export interface MoveReplicaRequest {
  from: string;
  to: string;
}

export interface MoveReplicaResponse {
  done: boolean;
  behind?: number | null;
}

export interface AddBrokerGroupsRequest {
  count: number;
  nodes?: string[];
}

export interface AddBrokerGroupsResponse {
  groups: string[];
}

export interface RemoveNodeResponse {
  done: boolean;
  groups_done: number;
  groups: number;
}

export interface RebalanceMove {
  group: string;
  from: number;
  to: number;
}

export interface PlanRebalanceResponse {
  /** Leaderships, to be moved when the replicas are where they belong. */
  moves: RebalanceMove[];
  nodes: { node: number; name: string; before: number; after: number; placed_before?: number | null; placed_after?: number | null }[];
  left: { group: string; why: string; said?: Sentence | null }[];
  /** Replicas of placed broker groups, in this order. */
  replicas: RebalanceMove[];
}

export interface RaiseFeatureLevelRequest {
  /** 0: as far as all nodes can read. */
  to?: number;
}

export interface RaiseFeatureLevelResponse {
  before: number;
  level: number;
}
