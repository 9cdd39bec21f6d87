//! A node that joined gets the replicas and the votes that it came for, and whose place it takes goes.
//!
//! It does so itself, step by step, each of which may be repeated: a node that is started again in the middle goes on. In
//! each group it becomes a replica, waits until it has everything, and gets a vote, if it takes the place of a node that
//! had one (a node of the same name whose data is gone), or if the group may have more votes now: the largest odd number
//! of nodes, up to five. Then whose place it took loses its vote, its replicas, and its place in the cluster.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use crate::group::Group;
use crate::machine::MetaAction;
use crate::names::{GroupId, NodeId};
use crate::node::{NodeInner, identity};
use crate::request::RequestError;

/// Votes of a group at most.
const VOTERS_MAX: usize = 5;
/// One step is tried for so long before the others are looked at again.
const STEP_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So many entries a replica may be behind to count as level: under load there are always some.
pub(crate) const LEVEL_WITHIN: u64 = 1024;
/// How often it is said what does not go on.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How many of so many nodes have a vote: an even number bears no more failures than the odd one below it.
pub(crate) fn voters_wanted(nodes: usize) -> usize {
    let odd = if nodes % 2 == 1 { nodes } else { nodes.saturating_sub(1) };
    odd.clamp(1, VOTERS_MAX)
}

impl NodeInner {
    /// Settles, if this node has not yet.
    pub(crate) async fn settle(self: Arc<Self>) {
        if self.members.identity().settled {
            return;
        }
        tracing::info!(node = %self.id, "this node gets its replicas and votes");
        let mut told = Instant::now();
        while !self.is_stopping() {
            match self.settle_once().await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) if told.elapsed() >= TELL_EVERY => {
                    told = Instant::now();
                    tracing::warn!(%error, "this node has not settled yet");
                }
                Err(error) => tracing::debug!(%error, "not settled yet"),
            }
            tokio::select! {
                () = self.stopped() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        if self.is_stopping() {
            return;
        }
        // First what it had before: once it has settled it does not get here again.
        let former = identity::former(&self.options.data);
        if former.exists()
            && let Err(error) = std::fs::remove_dir_all(&former)
        {
            tracing::warn!(%error, "what this node had before it was removed could not be deleted");
        }
        self.note(|identity| identity.settled = true);
        tracing::info!(node = %self.id, "this node has its replicas and votes");
    }

    /// Gets a replica of a group that others begin.
    pub(crate) async fn become_replica(&self, group: &Group) {
        while !self.is_stopping() {
            let until = Instant::now() + STEP_WITHIN;
            match self.change_replica(group.id, self.id, true, until).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(group = %group.id, %error, "no replica yet"),
            }
            tokio::select! {
                () = self.stopped() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// One round over all groups. Whether nothing is left to do.
    async fn settle_once(&self) -> Result<bool, RequestError> {
        let predecessors = self.predecessors();
        if !self.take_placed(&predecessors).await? {
            return Ok(false);
        }
        // `meta` last: until then its catalog says whose place this node takes.
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.rotate_left(1);
        let mut whole = true;
        for group in &groups {
            self.change_replica(group.id, self.id, true, Instant::now() + STEP_WITHIN).await?;
            whole &= !group.rejoining.goes_on() && self.is_level(group).await;
        }
        if !whole {
            return Ok(false);
        }
        // As it is now: one that was only slow may be back.
        let predecessors = self.predecessors();
        for group in &groups {
            self.settle_votes(group, &predecessors).await?;
        }
        for predecessor in predecessors {
            for group in self.all_groups() {
                self.change_replica(group, predecessor, false, Instant::now() + STEP_WITHIN).await?;
            }
            self.strike_out(predecessor, Instant::now() + STEP_WITHIN).await?;
            tracing::info!(node = %predecessor, by = %self.id, "a node that lost its data is replaced, and removed");
        }
        Ok(true)
    }

    /// Groups that were placed on a node whose place this one takes are this one's to hold. Whether it has opened them.
    async fn take_placed(&self, predecessors: &[NodeId]) -> Result<bool, RequestError> {
        let catalog = self.catalog.borrow().clone();
        for (group, holders) in &catalog.holders {
            if !holders.contains(&self.id) && predecessors.iter().any(|id| holders.contains(id)) {
                let place = MetaAction::Place { group: *group, node: self.id, holds: true };
                self.change(place, Instant::now() + STEP_WITHIN).await?;
            }
        }
        let catalog = self.catalog.borrow().clone();
        let placed = |group: &GroupId| catalog.holders.contains_key(group) && catalog.holds(self.id, *group);
        let lost = |group: &GroupId| predecessors.iter().any(|id| catalog.holds(*id, *group));
        let mut mine = catalog.groups.iter().filter(|group| placed(group) || lost(group));
        Ok(mine.all(|group| self.groups.get(*group).is_some()))
    }

    /// The nodes of the same name that are not there any more.
    fn predecessors(&self) -> Vec<NodeId> {
        let own = self.own();
        let members = self.members.known();
        let namesakes = members.iter().filter(|info| info.name == own.name && info.id < own.id);
        namesakes.map(|info| info.id).filter(|id| !self.presence.is_up(*id)).collect()
    }

    /// Whether this replica has applied what its leader has committed.
    async fn is_level(&self, group: &Group) -> bool {
        let status = self.cluster_status().await;
        let of = status.groups.iter().find(|status| status.group == group.id);
        let own = |replica: &&crate::node::ReplicaStatus| replica.node == self.id;
        let level = |status: &crate::node::GroupStatus| {
            let applied = status.replicas.iter().find(own).map_or(0, |replica| replica.applied_index);
            status.leader.is_some() && applied > 0 && applied + LEVEL_WITHIN >= status.committed
        };
        of.is_some_and(level)
    }

    async fn settle_votes(&self, group: &Group, predecessors: &[NodeId]) -> Result<(), RequestError> {
        let until = || Instant::now() + STEP_WITHIN;
        let replaced = voters(group).into_iter().find(|id| predecessors.contains(id));
        if let Some(replaced) = replaced {
            self.give_vote(group.id, self.id).await?;
            self.change_voters(group.id, replaced, false, until()).await?;
        }
        let members = self.members.known();
        let holders = self.holders(group.id);
        let stay = members.iter().map(|info| info.id).filter(|id| !predecessors.contains(id));
        let stay: Vec<NodeId> = stay.filter(|id| holders.contains(id)).collect();
        // This one first, then others that have waited for the number to become odd.
        let others = stay.iter().copied().filter(|id| *id != self.id && self.presence.is_up(*id));
        for candidate in std::iter::once(self.id).chain(others) {
            let voters = voters(group);
            if voters.len() >= voters_wanted(stay.len()) {
                break;
            }
            if !voters.contains(&candidate) {
                self.give_vote(group.id, candidate).await?;
            }
        }
        Ok(())
    }

    async fn give_vote(&self, group: GroupId, node: NodeId) -> Result<(), RequestError> {
        let until = Instant::now() + STEP_WITHIN;
        match self.change_voters(group, node, true, until).await?.done {
            true => Ok(()),
            false => Err(RequestError::Unknown {
                reason: format!("node {node} has not everything of {group} yet"),
            }),
        }
    }
}

/// Who has a vote, as this replica knows.
fn voters(group: &Group) -> Vec<NodeId> {
    let metrics = group.raft.server_metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.membership().voter_ids().map(NodeId).collect()
}

#[cfg(test)]
mod tests {
    use super::voters_wanted;

    #[test]
    fn votes_are_odd_and_five_at_most() {
        let wanted: Vec<usize> = (0..=8).map(voters_wanted).collect();
        assert_eq!(wanted, [1, 1, 1, 3, 3, 5, 5, 5, 5]);
    }
}
