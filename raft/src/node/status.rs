//! Where the cluster stands, as far as this node can reach it.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant, RaftMetrics, ServerState};
use proto::peer;

use crate::catalog::NodeInfo;
use crate::consensus::types::TypeConfig;
use crate::features::FeatureLevel;
use crate::group::Group;
use crate::names::{GroupId, NodeId};
use crate::node::peers::Lane;
use crate::node::rejoin::NO_VOICE;
use crate::node::space::{DiskLevel, DiskStatus};
use crate::node::{Node, NodeInner};
use crate::seams;

const STATUS_WAIT_MAX: Duration = Duration::from_secs(1);

/// Where one replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The node that holds it.
    pub node: NodeId,
    /// `leader`, `follower`, `candidate`, `learner`, or `rejoining` while it has no voice.
    pub role: &'static str,
    /// The newest term that it has seen.
    pub term: u64,
    /// Index of the last entry of its log.
    pub last_index: u64,
    /// Index of the last entry applied.
    pub applied_index: u64,
    /// Index of the last entry that is fsynced.
    pub durable_index: u64,
    /// Index of the first entry that it can still send from its log; older ones go as a snapshot.
    pub first_index: u64,
    /// Index of the last entry of its latest snapshot; 0 if there is none.
    pub snapshot_index: u64,
}

/// Where one group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// Its leader, if it has one that answers, and that a quorum answers.
    pub leader: Option<NodeId>,
    /// The newest term seen.
    pub term: u64,
    /// The newest index known to be committed.
    pub committed: u64,
    /// The nodes with a vote, as the leader knows them, or who has most of the log.
    pub voters: Vec<NodeId>,
    /// The replicas that answered.
    pub replicas: Vec<ReplicaStatus>,
    /// The nodes that are to hold it, ascending, if not all are.
    pub placed: Option<Vec<NodeId>>,
}

/// How one node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Who it is.
    pub info: NodeInfo,
    /// Whether it answered.
    pub alive: bool,
    /// Its process, if it answered; else 0.
    pub pid: u32,
    /// Whether it answered, and does not have the replicas and votes yet that it joined for.
    pub joining: bool,
    /// Whether it answered, and has stepped aside: it is not elected for a while.
    pub draining: bool,
}

/// Where the cluster stands, as far as this node can reach it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Every node.
    pub nodes: Vec<NodeStatus>,
    /// The disks of the nodes that answered.
    pub disks: Vec<(NodeId, DiskStatus)>,
    /// The programs and the clocks of the nodes that answered.
    pub programs: Vec<(NodeId, ProgramStatus)>,
    /// Every group.
    pub groups: Vec<GroupStatus>,
}

/// What a node runs, and what its clock shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStatus {
    /// The version; empty if it does not say.
    pub version: String,
    /// How far its wall clock is ahead of this node's, in milliseconds, and how much of that is doubt; none if it does
    /// not say.
    pub clock_ahead_ms: Option<(i64, u32)>,
    /// Up to which feature level it can read.
    pub reads_up_to: FeatureLevel,
}

impl ProgramStatus {
    /// Its clock showed what it says at some moment between the question and the answer.
    fn of(answer: &peer::StatusResponse, asked_ms: u64, took: Duration) -> ProgramStatus {
        let half_ms = took.as_millis() as u64 / 2;
        let ahead_ms = answer.wall_clock_ms as i64 - (asked_ms + half_ms) as i64;
        let told = answer.wall_clock_ms > 0;
        let clock_ahead_ms = told.then(|| (ahead_ms, u32::try_from(half_ms + 1).unwrap_or(u32::MAX)));
        let reads_up_to = FeatureLevel::of_wire(answer.reads_up_to);
        ProgramStatus { version: answer.version.clone(), clock_ahead_ms, reads_up_to }
    }
}

const ROLES: [&str; 5] = ["leader", "follower", "candidate", "learner", NO_VOICE];

fn role(state: ServerState) -> &'static str {
    match state {
        ServerState::Leader => ROLES[0],
        ServerState::Follower => ROLES[1],
        ServerState::Candidate => ROLES[2],
        ServerState::Learner | ServerState::Shutdown => ROLES[3],
    }
}

fn disk_out(status: DiskStatus) -> peer::DiskStatus {
    let DiskStatus { total_bytes, free_bytes, level } = status;
    peer::DiskStatus { total_bytes, free_bytes, level: level.name().to_owned() }
}

fn disk_in(status: &peer::DiskStatus) -> DiskStatus {
    let peer::DiskStatus { total_bytes, free_bytes, level } = status;
    let level = DiskLevel::named(level);
    DiskStatus { total_bytes: *total_bytes, free_bytes: *free_bytes, level }
}

impl Node {
    /// The group that this node is farthest behind in, and how many entries that are committed it has not applied.
    pub fn lag(&self) -> (GroupId, u64) {
        let lag = |group: &Group| {
            let metrics = group.raft.metrics();
            let metrics = metrics.borrow_watched();
            let index = |id: Option<&crate::consensus::types::LogId>| id.map_or(0, |id| id.index);
            let committed = index(metrics.local_committed.as_ref());
            committed.saturating_sub(index(metrics.last_applied.as_ref()))
        };
        let all = self.inner.groups.values().map(|group| (group.id, lag(group)));
        all.max_by_key(|(_, lag)| *lag).unwrap_or((GroupId::META, 0))
    }
}

impl NodeInner {
    /// A leader whom no quorum has answered for so long leads nobody: it goes on as one until it hears of another.
    fn quorum_silence_max(&self) -> Duration {
        2 * self.options.tuning.election_timeout
    }

    /// Whether a quorum of so many voters has answered this node, which leads them, a moment ago.
    pub(super) fn hears_a_quorum(&self, voters: usize, metrics: &RaftMetrics<TypeConfig>) -> bool {
        let acked = metrics.last_quorum_acked.as_ref().map(|acked| acked.elapsed());
        voters <= 1 || acked.is_some_and(|since| since < self.quorum_silence_max())
    }

    /// Where this node's replica of a group stands.
    fn replica_status(&self, group: &Group) -> peer::ReplicaStatus {
        // Before the borrow: it borrows too, and a writer that comes between two borrows would wait for the first one,
        // and the second one for it.
        let voters: Vec<u64> = group.raft.voter_ids().collect();
        let metrics = group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let pointers = group.store.log().pointers();
        let leads = metrics.state == ServerState::Leader;
        peer::ReplicaStatus {
            group: group.id.0,
            name: group.id.to_string(),
            leader: metrics.current_leader.unwrap_or(0),
            term: metrics.current_term,
            role: if group.rejoining.goes_on() { NO_VOICE } else { role(metrics.state) }.to_owned(),
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: metrics.last_applied.as_ref().map_or(0, |id| id.index),
            durable_index: pointers.durable_index.unwrap_or(0),
            committed_index: metrics.local_committed.as_ref().map_or(0, |id| id.index),
            unheard: leads && !self.hears_a_quorum(voters.len(), &metrics),
            voters,
            first_index: pointers.first_index,
            snapshot_index: group.dirs.current().map_or(0, |snapshot| snapshot.meta().last.index),
        }
    }

    /// This node's part of the status.
    pub(crate) fn own_status(&self) -> peer::StatusResponse {
        peer::StatusResponse {
            node: self.id.0,
            pid: u64::from(std::process::id()),
            replicas: self.groups.values().map(|group| self.replica_status(group)).collect(),
            disk: Some(disk_out(self.space.own())),
            joining: !self.members.identity().settled,
            aside: self.presence.is_aside(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wall_clock_ms: seams::wall_ms(),
            reads_up_to: self.options.reads_up_to.0,
        }
    }

    /// Asks every node; one that does not answer in time counts as not alive.
    pub(crate) async fn cluster_status(&self) -> ClusterStatus {
        let members = self.members.known();
        let asked = members.iter().map(|info| async move {
            let (asked_ms, begun) = (seams::wall_ms(), seams::monotonic());
            let program = |answer: &peer::StatusResponse| {
                (info.id, ProgramStatus::of(answer, asked_ms, seams::monotonic() - begun))
            };
            if info.id == self.id {
                let own = self.own_status();
                return (Some(program(&own)), (info.clone(), Some(own)));
            }
            let answer = match self.peers.client(info.id, Lane::Control) {
                Err(_) => None,
                Ok(mut client) => {
                    let call = client.status(peer::StatusRequest {});
                    match tokio::time::timeout(STATUS_WAIT_MAX, call).await {
                        Ok(Ok(response)) => Some(response.into_inner()),
                        _ => None,
                    }
                }
            };
            (answer.as_ref().map(program), (info.clone(), answer))
        });
        let (programs, answers): (Vec<_>, Vec<_>) =
            futures::future::join_all(asked).await.into_iter().unzip();
        let programs = programs.into_iter().flatten().collect();
        let catalog = self.catalog.borrow().clone();
        let status = |id: GroupId| {
            let placed = catalog.holders.get(&id).map(|holders| holders.iter().copied().collect());
            GroupStatus { placed, ..group_status(id, &answers) }
        };
        let groups = self.all_groups().into_iter().map(status).collect();
        let disk = |(info, answer): &(NodeInfo, Option<peer::StatusResponse>)| {
            Some((info.id, disk_in(answer.as_ref()?.disk.as_ref()?)))
        };
        let disks = answers.iter().filter_map(disk).collect();
        let nodes = answers
            .into_iter()
            .map(|(info, answer)| {
                let pid = answer.as_ref().map_or(0, |answer| answer.pid as u32);
                let joining = answer.as_ref().is_some_and(|answer| answer.joining);
                let draining = answer.as_ref().is_some_and(|answer| answer.aside);
                NodeStatus { info, alive: answer.is_some(), pid, joining, draining }
            })
            .collect();
        ClusterStatus { nodes, disks, programs, groups }
    }
}

/// Puts together what the nodes say of one group: the newest term knows the leader.
fn group_status(group: GroupId, answers: &[(NodeInfo, Option<peer::StatusResponse>)]) -> GroupStatus {
    let mut status = GroupStatus {
        group,
        leader: None,
        term: 0,
        committed: 0,
        voters: Vec::new(),
        replicas: Vec::new(),
        placed: None,
    };
    let mut known_by = (0, false, 0);
    let mut unheard = Vec::new();
    for (info, answer) in answers {
        let Some(replica) = answer
            .as_ref()
            .and_then(|answer| answer.replicas.iter().find(|replica| replica.group == group.0))
        else {
            continue;
        };
        if replica.term > status.term {
            status.term = replica.term;
            status.leader = None;
        }
        if replica.term == status.term && replica.leader != 0 {
            status.leader = Some(NodeId(replica.leader));
        }
        status.committed = status.committed.max(replica.committed_index);
        if replica.unheard {
            unheard.push((info.id, replica.term));
        }
        let knows = (replica.term, replica.leader == info.id.0, replica.last_index);
        if known_by <= knows {
            known_by = knows;
            status.voters = replica.voters.iter().copied().map(NodeId).collect();
        }
        status.replicas.push(ReplicaStatus {
            node: info.id,
            role: ROLES.iter().find(|role| **role == replica.role).copied().unwrap_or("unknown"),
            term: replica.term,
            last_index: replica.last_index,
            applied_index: replica.applied_index,
            durable_index: replica.durable_index,
            first_index: replica.first_index,
            snapshot_index: replica.snapshot_index,
        });
    }
    // A leader that does not answer leads nobody, and neither does one that no quorum answers.
    let answered = |id: NodeId| answers.iter().any(|(info, answer)| info.id == id && answer.is_some());
    let term = status.term;
    status.leader = status.leader.filter(|id| answered(*id) && !unheard.contains(&(*id, term)));
    status
}
