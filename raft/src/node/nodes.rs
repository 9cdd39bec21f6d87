//! What an operator does to whole nodes: takes one out, has one step aside, adds broker groups.

use std::time::Duration;

use tokio::time::Instant;

use crate::features::FeatureLevel;
use crate::machine::MetaAction;
use crate::names::{GroupId, NodeId};
use crate::node::route::{Leader, NotDone, invalid};
use crate::node::{Node, NodeInner};
use crate::request::RequestError;

/// A node that stepped aside is not elected for so long: it is about to end, or is to be seen to.
const ASIDE_FOR: Duration = Duration::from_secs(60);
/// One step of a removal.
const STEP_WITHIN: Duration = Duration::from_secs(4);

/// How far a removal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Whether the node is in the cluster no more.
    pub done: bool,
    /// Groups of which it has no replica any more.
    pub groups_done: u32,
    /// All groups.
    pub groups: u32,
}

impl Node {
    /// Takes a node out of the cluster, as far as that goes until the deadline: its votes first, its replicas then, its
    /// place at last. It may be dead. May be repeated until it is done, through any node.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if a group would be left without a quorum, or it is the only node.
    pub async fn remove_node(&self, node: NodeId, deadline: Instant) -> Result<Removal, RequestError> {
        self.inner.remove_node(node, deadline).await
    }

    /// Hands on the leaderships of this node, and is not elected for a minute. The groups whose leadership it handed on.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if nobody can take one over.
    pub async fn step_aside(&self, deadline: Instant) -> Result<Vec<GroupId>, RequestError> {
        self.inner.step_aside(deadline).await
    }

    /// Adds broker groups, on these nodes or on all, and waits until they have leaders. Their ids.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if there would be too many, or the nodes are not one, three or five that
    /// answer, or the cluster is below the feature level [`FeatureLevel::PLACEMENT`].
    pub async fn add_groups(
        &self,
        count: u32,
        nodes: Option<Vec<NodeId>>,
        deadline: Instant,
    ) -> Result<Vec<GroupId>, RequestError> {
        self.inner.add_groups(count, nodes, deadline).await
    }
}

impl NodeInner {
    async fn remove_node(&self, node: NodeId, deadline: Instant) -> Result<Removal, RequestError> {
        let is_member = self.members.known().iter().any(|info| info.id == node);
        let catalog = self.catalog.borrow().clone();
        let mut groups = self.all_groups();
        groups.retain(|group| catalog.holds(node, *group));
        let mut removal = Removal { groups: groups.len() as u32, ..Removal::default() };
        if is_member {
            for group in groups {
                let until = || deadline.min(Instant::now() + STEP_WITHIN);
                if !self.let_go(group, node, until()).await? {
                    return Ok(removal);
                }
                removal.groups_done += 1;
                if Instant::now() >= deadline {
                    return Ok(removal);
                }
            }
        }
        self.strike_out(node, deadline).await?;
        Ok(Removal { done: true, groups_done: removal.groups, groups: removal.groups })
    }

    /// A node without replicas is in the cluster no more. One that went before it had told `meta` of itself is told of first: only
    /// of those that `meta` knew is it remembered that they went.
    pub(crate) async fn strike_out(&self, node: NodeId, deadline: Instant) -> Result<(), RequestError> {
        let catalog = self.catalog.borrow().clone();
        let is_known = catalog.nodes.contains_key(&node) || catalog.removed_nodes.contains(&node);
        let told = self.members.known().iter().find(|info| info.id == node).cloned();
        if let Some(info) = told.filter(|_| !is_known) {
            self.change(MetaAction::RegisterNode(info), deadline).await.and_then(refused)?;
        }
        self.change(MetaAction::RemoveNode { node }, deadline).await.and_then(refused)?;
        Ok(())
    }

    /// Takes a node's vote in a group, and its place among the replicas. Whether that is done.
    pub(crate) async fn let_go(
        &self,
        group: GroupId,
        node: NodeId,
        deadline: Instant,
    ) -> Result<bool, RequestError> {
        match self.change_voters(group, node, false, deadline).await {
            Ok(change) if change.done => self.change_replica(group, node, false, deadline).await?,
            Ok(_) => return Ok(false),
            // It had none of this group, or lost it the last time. One with a vote is not let go.
            Err(error) => self.change_replica(group, node, false, deadline).await.map_err(|_| error)?,
        }
        Ok(true)
    }

    async fn step_aside(&self, deadline: Instant) -> Result<Vec<GroupId>, RequestError> {
        let mut handed_on = Vec::new();
        self.presence.step_aside(Instant::now() + ASIDE_FOR);
        for group in self.groups.values() {
            if group.raft.voter_ids().count() < 2 {
                continue;
            }
            group.raft.runtime_config().elect(false);
            let (back, group_back) = (Instant::now() + ASIDE_FOR, group.clone());
            let stopped = self.stopped();
            self.spawn(async move {
                tokio::select! {
                    () = stopped => {}
                    () = tokio::time::sleep_until(back) => {
                        group_back.raft.runtime_config().elect(!group_back.rejoining.goes_on());
                    }
                }
            });
            if group.leader() != Some(self.id) {
                continue;
            }
            match self.hand_over_here(group, None, deadline).await {
                Ok(to) => {
                    tracing::info!(group = %group.id, %to, "this node steps aside");
                    handed_on.push(group.id);
                }
                Err(NotDone::LeadsNoMore) => {}
                Err(NotDone::Refused(why)) => return Err(invalid(why)),
            }
        }
        Ok(handed_on)
    }

    async fn add_groups(
        &self,
        count: u32,
        nodes: Option<Vec<NodeId>>,
        deadline: Instant,
    ) -> Result<Vec<GroupId>, RequestError> {
        let before = self.catalog.borrow().groups.clone();
        let meta = self.group(GroupId::META)?;
        let placed = nodes.is_some();
        if placed {
            self.needs(FeatureLevel::PLACEMENT)?;
        }
        let founders = match nodes {
            Some(nodes) => self.check_holders(nodes)?,
            None => meta.raft.voter_ids().map(NodeId).collect(),
        };
        // Who has just founded the cluster may not be listed yet.
        let mut catalog = self.catalog.clone();
        let listed = catalog.wait_for(|catalog| founders.iter().all(|id| catalog.nodes.contains_key(id)));
        let _ = tokio::time::timeout_at(deadline.min(Instant::now() + STEP_WITHIN), listed).await;
        self.change(MetaAction::AddGroups { count, founders, placed }, deadline).await.and_then(refused)?;
        let wanted = before.len() + count as usize;
        let seen = catalog.wait_for(|catalog| catalog.groups.len() >= wanted);
        let groups = match tokio::time::timeout_at(deadline, seen).await {
            Ok(Ok(catalog)) => catalog.groups.clone(),
            _ => {
                return Err(RequestError::Unknown {
                    reason: "this node has not heard of them yet".to_owned(),
                });
            }
        };
        let new: Vec<GroupId> = groups.into_iter().filter(|group| !before.contains(group)).collect();
        for group in &new {
            while matches!(self.leader(*group), Leader::Nobody) {
                if Instant::now() >= deadline {
                    return Err(RequestError::NoLeader { group: *group });
                }
                self.leader_may_change(*group, deadline).await;
            }
        }
        Ok(new)
    }

    /// An even number of holders bears no more failures than the odd one below it; who does not answer cannot begin.
    fn check_holders(&self, mut nodes: Vec<NodeId>) -> Result<Vec<NodeId>, RequestError> {
        nodes.sort_unstable();
        nodes.dedup();
        if !matches!(nodes.len(), 1 | 3 | 5) {
            let why = format!("a broker group is on one, three or five nodes; {} are named", nodes.len());
            return Err(invalid(why));
        }
        match nodes.iter().find(|id| !self.presence.is_up(**id)) {
            Some(id) => {
                Err(invalid(format!("node {id} does not answer: start it first, or name another one")))
            }
            None => Ok(nodes),
        }
    }
}

/// A refusal of `meta` as the caller gets it.
pub(crate) fn refused(outcome: crate::outcome::Outcome) -> Result<(), RequestError> {
    match outcome {
        crate::outcome::Outcome::Done => Ok(()),
        other => Err(crate::node::unexpected(other)),
    }
}
