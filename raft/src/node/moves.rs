//! A replica of a placed broker group moves from one node to another.
//!
//! Step by step, each an entry of a log or a command of `meta`, and each may be repeated: `meta` lists the new holder; it
//! gets a replica, everything that is there, and a vote; the old one hands its leadership on, if it has it, and loses its
//! vote and its place among the replicas; `meta` lists it no more. One change of the membership at a time, and never fewer
//! votes than before until the new one has everything. What the old holder has on its disk it deletes itself, at its next
//! start: see [`NodeInner::leave_what_moved`].

use tokio::time::Instant;

use crate::machine::MetaAction;
use crate::names::{GroupId, NodeId};
use crate::node::nodes::refused;
use crate::node::rejoin::NO_VOICE;
use crate::node::route::{Leader, invalid};
use crate::node::settle::LEVEL_WITHIN;
use crate::node::{Node, NodeInner};
use crate::request::RequestError;

/// One step of a move.
const STEP_WITHIN: std::time::Duration = std::time::Duration::from_secs(4);

/// How far a move is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// Whether the replica has moved.
    pub done: bool,
    /// So many entries the new holder has to get; none if it has not opened its replica yet.
    pub behind: Option<u64>,
}

impl Node {
    /// Moves a replica of a placed broker group, as far as that goes until the deadline. May be repeated until it is
    /// done, through any node.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if the group is not placed, or the nodes do not fit, or another move is
    /// not finished.
    pub async fn move_replica(
        &self,
        group: GroupId,
        from: NodeId,
        to: NodeId,
        deadline: Instant,
    ) -> Result<Move, RequestError> {
        self.inner.move_replica(group, from, to, deadline).await
    }
}

impl NodeInner {
    async fn move_replica(
        &self,
        group: GroupId,
        from: NodeId,
        to: NodeId,
        deadline: Instant,
    ) -> Result<Move, RequestError> {
        let done = Move { done: true, behind: Some(0) };
        self.must_exist(group)?;
        let holders = self.catalog.borrow().holders.get(&group).cloned();
        let Some(holders) = holders else {
            return Err(invalid(format!("{group} is on all nodes: none of its replicas can move")));
        };
        let odd = holders.len() % 2 == 1;
        match (holders.contains(&from), holders.contains(&to)) {
            (false, true) => return Ok(done),
            (false, false) => return Err(invalid(format!("node {from} does not hold {group}"))),
            (true, true) if odd => return Err(invalid(format!("node {to} holds {group} already"))),
            (true, false) if !odd && holders.len() > 2 => {
                let all: Vec<String> = holders.iter().map(ToString::to_string).collect();
                let why = format!(
                    "{group} is on nodes {}: a replica of it is moving already. Finish that first, with the same command",
                    all.join(", ")
                );
                return Err(invalid(why));
            }
            (true, true) | (true, false) => {}
        }
        let until = || deadline.min(Instant::now() + STEP_WITHIN);
        if !self.comes_up(to, until()).await {
            return Err(invalid(format!("node {to} does not answer")));
        }
        if !holders.contains(&to) {
            let place = MetaAction::Place { group, node: to, holds: true };
            self.change(place, until()).await.and_then(refused)?;
        }
        self.change_replica(group, to, true, until()).await?;
        if let Some(on_its_way) = self.lacks(group, to).await {
            return Ok(on_its_way);
        }
        let change = self.change_voters(group, to, true, until()).await?;
        if !change.done {
            return Ok(Move { done: false, behind: Some(change.behind) });
        }
        if matches!(self.leader(group), Leader::At(id) if id == from) || self.leads_here(group, from) {
            self.hand_over(group, Some(to), until()).await?;
        }
        if !self.let_go(group, from, until()).await? {
            return Ok(Move { done: false, behind: Some(0) });
        }
        let place = MetaAction::Place { group, node: from, holds: false };
        self.change(place, until()).await.and_then(refused)?;
        tracing::info!(%group, %from, %to, "a replica has moved");
        Ok(done)
    }

    fn leads_here(&self, group: GroupId, node: NodeId) -> bool {
        node == self.id && matches!(self.leader(group), Leader::Here)
    }

    /// What a new holder lacks before it can have a vote; nothing if it can.
    async fn lacks(&self, group: GroupId, node: NodeId) -> Option<Move> {
        let status = self.cluster_status().await;
        let status = status.groups.into_iter().find(|status| status.group == group)?;
        let Some(replica) = status.replicas.iter().find(|replica| replica.node == node) else {
            return Some(Move::default());
        };
        let behind = status.committed.saturating_sub(replica.applied_index);
        let lacks = replica.role == NO_VOICE || behind > LEVEL_WITHIN;
        lacks.then_some(Move { done: false, behind: Some(behind) })
    }

    /// The groups of which this node has a replica and `meta` says that it is not to.
    fn moved_elsewhere(&self) -> Vec<GroupId> {
        let catalog = self.catalog.borrow().clone();
        let moved = |group: &GroupId| catalog.groups.contains(group) && !catalog.holds(self.id, *group);
        self.groups.ids().filter(moved).collect()
    }

    /// Gives up the replicas that have moved to other nodes. `meta` says so, and the group's leader counts this node for
    /// nothing: else `meta` may be that of another cluster, out of a backup, and the replica the one that counts. What is
    /// on the disk is noted in `node.json`, and deleted at the next start. Whether some are left to ask about.
    pub(crate) async fn leave_what_moved(&self) -> bool {
        if self.moved_elsewhere().is_empty() {
            return false;
        }
        let status = self.cluster_status().await;
        let meta = status.groups.iter().find(|status| status.group == GroupId::META);
        let is_new = meta.is_some_and(|meta| {
            let own = meta.replicas.iter().find(|replica| replica.node == self.id);
            own.is_some_and(|own| own.applied_index >= meta.committed)
        });
        // An old catalog may not know yet that this node has just got a replica.
        let moved = if is_new { self.moved_elsewhere() } else { return true };
        let mut left = false;
        for group in moved {
            let known = status.groups.iter().find(|status| status.group == group);
            let is_out = known.is_some_and(|known| {
                known.leader.is_some_and(|leader| leader != self.id) && !known.voters.contains(&self.id)
            });
            if !is_out {
                left = true;
                continue;
            }
            tracing::info!(%group, "this node holds the group no more: its replica is deleted at the next start");
            self.note(|identity| {
                identity.leaving.insert(group);
            });
            self.groups.leave(group);
        }
        left
    }
}
