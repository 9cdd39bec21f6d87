//! A replica that rejoins finds out when it is whole again: see [`crate::group::rejoin`].

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use proto::peer;
use tokio::time::timeout;

use crate::group::Group;
use crate::names::NodeId;
use crate::node::NodeInner;
use crate::node::peers::Lane;

/// How often the replica looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A leader tells within this how far its log goes.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How far a leader's log went when this replica first asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Goal {
    leader: NodeId,
    term: u64,
    index: u64,
}

/// Ends when the replica has its voice again, or the node stops.
pub(crate) async fn until_whole(node: Arc<NodeInner>, group: Group) {
    if !group.rejoining.goes_on() {
        return;
    }
    tracing::warn!(group = %group.id, "this replica is rebuilt from the others, and has no vote before it is whole");
    let mut goal: Option<Goal> = None;
    while !node.is_stopping() {
        tokio::select! {
            () = node.stopped() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let Some((leader, term)) = followed(&group) else { continue };
        if goal.is_none_or(|goal| (goal.leader, goal.term) != (leader, term)) {
            goal = ask(&node, &group, leader, term).await;
            tracing::info!(group = %group.id, ?goal, "what this replica must have before it votes again");
            continue;
        }
        let durable = group.store.log().pointers().durable_index;
        let reached = goal.is_some_and(|goal| durable.is_some_and(|durable| durable >= goal.index));
        // Behind a gap nothing is whole, however far the log reaches.
        if !reached || group.store.is_rebuilding() {
            continue;
        }
        match group.rejoining.end(&group.dir) {
            Ok(()) => {
                group.raft.runtime_config().elect(true);
                tracing::info!(group = %group.id, ?durable, "this replica is whole again");
            }
            Err(error) => {
                node.failure
                    .send_replace(Some(format!("{} was rebuilt, but cannot say so: {error}", group.id)));
            }
        }
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
    let mut client = node.peers.client(leader, Lane::Control).ok()?;
    let answer = timeout(ANSWER_WITHIN, client.status(peer::StatusRequest {})).await.ok()?.ok()?.into_inner();
    let replica = answer.replicas.iter().find(|replica| replica.group == group.id.0)?;
    let leads = replica.leader == leader.0 && replica.term == term;
    leads.then_some(Goal { leader, term, index: replica.last_index })
}
