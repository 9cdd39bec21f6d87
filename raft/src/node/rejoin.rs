//! A replica that rejoins finds out when it is whole again: see [`crate::group::rejoin`].
//!
//! One that begins with nothing asks the other members first. If no founder has anything, the group is new; every other
//! founder must say so, for a single one that has its disk may have the only copy of what was acknowledged. Otherwise
//! the replica is a late one of that cluster, or lost its disk. Then it forgot its vote, and with it which leaders it had
//! followed; so it follows to its voice only a leader whose term is none below the highest among so many others that
//! one of every quorum it was ever part of is among them: that one has seen the term of whatever they committed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use openraft::async_runtime::WatchReceiver;
use proto::peer;
use tokio::time::{Instant, timeout};

use crate::group::Group;
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;
use crate::node::peers::Lane;

/// How often the replica looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often an empty replica asks the others.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often it says that it waits.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The role of a replica without a voice.
pub(crate) const NO_VOICE: &str = "rejoining";
/// A leader tells within this how far its log goes.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How far a leader's log went when this replica first asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Goal {
    leader: NodeId,
    term: u64,
    index: u64,
}

/// What an empty replica found out about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The cluster is new.
    New,
    /// It is not: this replica's disk is. It may have followed leaders up to this term.
    Late { term: u64 },
}

/// Waits until this replica has its voice, if it has none. Whether the group may yet have to be begun: it has not been
/// if the replica had a voice, or nobody has anything.
pub(crate) async fn has_voice(node: &Arc<NodeInner>, group: &Group) -> bool {
    if !group.rejoining.goes_on() {
        return true;
    }
    let mut term_min = 0;
    if group.rejoining.vote_lost() {
        match tokio::select! { () = node.stopped() => return false, origin = origin(node, group) => origin } {
            Origin::New => {
                speak(node, group);
                return true;
            }
            Origin::Late { term } => term_min = term,
        }
    }
    until_whole(node, group, term_min).await;
    false
}

/// Waits until enough members have a voice to elect a leader.
pub(crate) async fn quorum_has_voice(node: &NodeInner, group: &Group) {
    let members = node.founders(group.id).len();
    loop {
        let replicas = replicas(node, group.id).await;
        let voices = replicas.iter().filter(|(_, replica)| replica.role != NO_VOICE).count();
        if voices + 1 > members / 2 {
            return;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Who leads a group, as the others say: the leader of the newest term that one of them knows.
pub(crate) async fn leader_elsewhere(node: &NodeInner, group: GroupId) -> Option<NodeId> {
    let replicas = replicas(node, group).await;
    let led = replicas.iter().map(|(_, replica)| replica).filter(|replica| replica.leader != 0);
    led.max_by_key(|replica| replica.term).map(|replica| NodeId(replica.leader))
}

/// Asks the others until it is clear.
async fn origin(node: &NodeInner, group: &Group) -> Origin {
    let mut told = Instant::now();
    loop {
        let members = node.holders(group.id).len().max(1);
        // One of every majority that this node is in is among so many others.
        let witnesses_min = members - (members / 2 + 1) + 1;
        let others = replicas(node, group.id).await;
        let begun = others.iter().any(|(_, replica)| has_begun(replica));
        // Who is empty too has nothing to tell.
        let witnesses =
            || others.iter().map(|(_, replica)| replica).filter(|replica| replica.role != NO_VOICE);
        let founders = node.founders(group.id);
        let has_answered = |id: &NodeId| *id == node.id || others.iter().any(|(of, _)| of == id);
        if !begun && founders.iter().all(|info| has_answered(&info.id)) {
            return Origin::New;
        }
        if begun && witnesses().count() >= witnesses_min {
            return Origin::Late { term: witnesses().map(|replica| replica.term).max().unwrap_or(0) };
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let (group, answer) = (group.id, others.len());
            tracing::warn!(%group, answer, begun, "this replica is empty, and waits for the others to say what it is");
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Whether more is there than what the first leader writes to begin.
fn has_begun(replica: &peer::ReplicaStatus) -> bool {
    replica.last_index.max(replica.committed_index).max(replica.applied_index).max(replica.snapshot_index) > 1
}

/// What the other members say of their replicas of a group.
async fn replicas(node: &NodeInner, group: GroupId) -> Vec<(NodeId, peer::ReplicaStatus)> {
    let members = node.members.known();
    let others = members.iter().map(|info| info.id).filter(|id| *id != node.id);
    let asked = others.map(|id| async move { Some((id, status_of(node, group, id).await?)) });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn status_of(node: &NodeInner, group: GroupId, id: NodeId) -> Option<peer::ReplicaStatus> {
    let mut client = node.peers.client(id, Lane::Control).ok()?;
    let answer = timeout(ANSWER_WITHIN, client.status(peer::StatusRequest {})).await.ok()?.ok()?.into_inner();
    answer.replicas.into_iter().find(|replica| replica.group == group.0)
}

/// Gives the replica its voice.
fn speak(node: &NodeInner, group: &Group) {
    match group.rejoining.end(&group.dir) {
        Ok(()) => group.raft.runtime_config().elect(true),
        Err(error) => {
            node.failure
                .tell(format!("{} has all that it needs, but cannot write that down: {error}", group.id));
        }
    }
}

/// Ends when the replica has its voice again, or the node stops.
async fn until_whole(node: &NodeInner, group: &Group, term_min: u64) {
    tracing::warn!(group = %group.id, "this replica is rebuilt from the others, and has no vote before it is whole");
    let mut goal: Option<Goal> = None;
    while !node.is_stopping() {
        tokio::select! {
            () = node.stopped() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let Some((leader, term)) = followed(group).filter(|(_, term)| *term >= term_min) else { continue };
        if goal.is_none_or(|goal| (goal.leader, goal.term) != (leader, term)) {
            goal = ask(node, group, leader, term).await;
            if let Some(goal) = goal {
                tracing::info!(group = %group.id, ?goal, "what this replica must have before it votes again");
            }
            continue;
        }
        let durable = group.store.log().pointers().durable_index;
        let reached = goal.is_some_and(|goal| durable.is_some_and(|durable| durable >= goal.index));
        // Behind a gap nothing is whole, however far the log reaches.
        if !reached || group.store.is_rebuilding() {
            continue;
        }
        speak(node, group);
        tracing::info!(group = %group.id, ?durable, "this replica is whole again");
        return;
    }
}

/// Whom the replica follows, and in which term.
fn followed(group: &Group) -> Option<(NodeId, u64)> {
    let metrics = group.raft.server_metrics();
    let metrics = metrics.borrow_watched();
    Some((NodeId(metrics.current_leader?), metrics.vote.leader_id.term))
}

/// How far the leader's log goes, if it leads in that term still.
async fn ask(node: &NodeInner, group: &Group, leader: NodeId, term: u64) -> Option<Goal> {
    let replica = status_of(node, group.id, leader).await?;
    let leads = replica.leader == leader.0 && replica.term == term;
    leads.then_some(Goal { leader, term, index: replica.last_index })
}
