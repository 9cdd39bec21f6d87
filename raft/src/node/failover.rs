//! What a follower does when it learns that a leader's process is gone (DESIGN 8).
//!
//! A peer connection that was reset, and whose reconnect is refused, says that nobody listens there
//! any more. Waiting for the election timeout would only cost time: as in a leadership transfer,
//! which no lease holds up, the first of the voters that are left campaigns at once, and the second
//! a moment later, should it not have granted the first its vote. Log safety never depends on
//! leases.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::raft::TransferLeaderRequest;

use crate::group::Group;
use crate::names::NodeId;
use crate::node::NodeInner;

/// How much later each next voter campaigns.
const TURN: Duration = Duration::from_millis(60);

impl NodeInner {
    /// Starts the succession in every group that `crashed` led.
    pub(crate) fn leader_crashed(&self, crashed: NodeId) {
        for group in self.groups.values() {
            if group.leader() == Some(crashed) {
                tracing::warn!(group = %group.id, leader = %crashed, "the leader's process is gone");
                tokio::spawn(succeed(group.clone(), self.id, crashed, self.succession(group, crashed)));
            }
        }
    }

    /// The voters that are left, in the order in which they try.
    fn succession(&self, group: &Group, crashed: NodeId) -> Vec<NodeId> {
        let own = self.id;
        let mut voters: Vec<NodeId> = group
            .raft
            .voter_ids()
            .map(NodeId)
            .filter(|id| *id != crashed && self.presence.is_up(*id))
            .filter(|id| *id != own || !group.rejoining.goes_on())
            .collect();
        voters.sort_unstable();
        voters
    }
}

/// Waits until somebody else leads.
async fn led_by_another(group: &Group, crashed: NodeId) {
    let mut metrics = group.raft.server_metrics();
    loop {
        let leader = metrics.borrow_watched().current_leader;
        if leader.is_some_and(|id| id != crashed.0) || metrics.changed().await.is_err() {
            return;
        }
    }
}

async fn succeed(group: Group, own: NodeId, crashed: NodeId, voters: Vec<NodeId>) {
    let Some(turn) = voters.iter().position(|id| *id == own) else { return };
    let vote = group.raft.server_metrics().borrow_watched().vote;
    if vote.leader_id.node_id != crashed.0 {
        return;
    }
    if turn > 0 {
        let led = led_by_another(&group, crashed);
        if tokio::time::timeout(TURN * turn as u32, led).await.is_ok() {
            return;
        }
    }
    // Under the vote of the crashed leader, and no later one: whoever has granted its vote since
    // does not campaign, or it would depose the winner before it hears from it.
    let campaign = TransferLeaderRequest::new(vote, own.0, None);
    if let Err(error) = group.raft.handle_transfer_leader(campaign).await {
        tracing::debug!(group = %group.id, %error, "could not campaign");
    }
}
