//! Who has a vote in a group: one node more, or one less, at a time.
//!
//! A change is one entry of the group's log, after which the voters are others by one. Every quorum before it and every
//! quorum after it share a node, so there is no time with two sets of voters, and nothing half done when a leader dies
//! (Ongaro, "Consensus: Bridging Theory and Practice", 4.1; that the leader has committed an entry of its own term before
//! is openraft's to see to). A node without a vote stays a learner: it gets every entry, serves clients, and counts for
//! nothing. Before a node gets a vote it has what the leader had when it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use proto::peer;
use tokio::time::{Instant, timeout_at};

use crate::consensus::types::{Membership, Payload, StoredMembership};
use crate::group::Group;
use crate::names::{GroupId, NodeId};
use crate::node::peers::Lane;
use crate::node::route::{Leader, NotDone, invalid};
use crate::node::{Node, NodeInner};
use crate::request::RequestError;

/// How far a change is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterChange {
    /// Whether it is committed.
    pub done: bool,
    /// The nodes with a vote, ascending.
    pub voters: Vec<NodeId>,
    /// So many entries the node has to get before it can have a vote.
    pub behind: u64,
}

/// What the consensus knows of the voters of a group that this node leads.
pub(crate) struct Known {
    pub membership: Arc<StoredMembership>,
    pub committed: bool,
    last_index: u64,
    /// What the node is known to have.
    matched: Option<u64>,
}

impl Known {
    pub(crate) fn of(group: &Group, node: NodeId) -> Known {
        let metrics = group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.clone();
        let matched = metrics.replication.as_ref().and_then(|of| of.get(&node.0)?.as_ref());
        Known {
            committed: membership.log_id().as_ref() <= metrics.local_committed.as_ref(),
            last_index: metrics.last_log_index.unwrap_or(0),
            matched: matched.map(|id| id.index),
            membership,
        }
    }

    fn voters(&self) -> Vec<NodeId> {
        self.membership.membership().voter_ids().map(NodeId).collect()
    }

    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.membership.membership().get_node(&node.0).is_some()
    }

    /// With one voter more or less.
    fn changed(&self, node: NodeId, votes: bool) -> Result<Membership, NotDone> {
        let before = self.membership.membership();
        let mut voters: BTreeSet<u64> = before.voter_ids().collect();
        match votes {
            true => voters.insert(node.0),
            false => voters.remove(&node.0),
        };
        let nodes: BTreeMap<u64, _> = before.nodes().map(|(id, node)| (*id, node.clone())).collect();
        Membership::new(vec![voters], nodes).map_err(|error| NotDone::Refused(error.to_string()))
    }
}

impl Node {
    /// Gives a node a vote in a group, or takes it, as far as that goes until the deadline. May be repeated until it is
    /// done, through any node.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if that cannot be: it would leave no voter, or fewer than a quorum of those
    /// that would be left answer, or the node does not.
    pub async fn change_voters(
        &self,
        group: GroupId,
        node: NodeId,
        votes: bool,
        deadline: Instant,
    ) -> Result<VoterChange, RequestError> {
        self.inner.change_voters(group, node, votes, deadline).await
    }
}

impl NodeInner {
    pub(crate) async fn change_voters(
        &self,
        group: GroupId,
        node: NodeId,
        votes: bool,
        deadline: Instant,
    ) -> Result<VoterChange, RequestError> {
        self.must_exist(group)?;
        loop {
            match self.leader(group) {
                Leader::Here => {
                    match self.change_voters_here(self.group(group)?, node, votes, deadline).await {
                        Ok(change) => return Ok(change),
                        Err(NotDone::Refused(why)) => return Err(invalid(why)),
                        Err(NotDone::LeadsNoMore) => {}
                    }
                }
                Leader::At(leader) => {
                    let client = self.peers.client(leader, Lane::Control);
                    let mut client = client.map_err(|_| RequestError::NoLeader { group })?;
                    // It says how far it is before nobody waits for that any more.
                    let left = deadline.saturating_duration_since(Instant::now()) * 9 / 10;
                    let timeout_ms = left.as_millis() as u32;
                    let (group, node, target) = (group.0, node.0, leader.0);
                    let request = peer::ChangeVotersRequest { group, node, votes, timeout_ms, target };
                    let answer = timeout_at(deadline, client.change_voters(request)).await;
                    match answer.map(|answer| answer.map(tonic::Response::into_inner)) {
                        Ok(Ok(answer)) if !answer.refusal.is_empty() => return Err(invalid(answer.refusal)),
                        Ok(Ok(answer)) if answer.leads => {
                            let voters = answer.voters.into_iter().map(NodeId).collect();
                            return Ok(VoterChange { done: answer.done, voters, behind: answer.behind });
                        }
                        // It leads no more, or not yet, or is gone: the change may be repeated.
                        Ok(Ok(_) | Err(_)) | Err(_) => {}
                    }
                }
                Leader::Nobody => {}
            }
            if Instant::now() >= deadline {
                return Err(RequestError::NoLeader { group });
            }
            self.leader_may_change(group, deadline).await;
        }
    }

    /// The same where the leader is.
    pub(crate) async fn change_voters_here(
        &self,
        group: &Group,
        node: NodeId,
        votes: bool,
        deadline: Instant,
    ) -> Result<VoterChange, NotDone> {
        let goal = Known::of(group, node).last_index;
        loop {
            let known = Known::of(group, node);
            if group.leader() != Some(self.id) {
                return Err(NotDone::LeadsNoMore);
            }
            let voters = known.voters();
            if !known.has(node) {
                return Err(NotDone::Refused(format!("{} has no replica at node {node}", group.id)));
            }
            let mut behind = 0;
            if voters.contains(&node) == votes {
                // Who was deposed meanwhile knows an old set.
                if known.committed && group.still_leads().await {
                    return Ok(VoterChange { done: true, voters, behind });
                }
            } else if !votes {
                self.may_go_without(group, &voters, node, deadline).await?;
                if node == self.id {
                    self.hand_over_here(group, None, deadline).await?;
                    return Err(NotDone::LeadsNoMore);
                }
                self.append_membership(group, &known, known.changed(node, votes)?, deadline).await?;
            } else if !self.comes_up(node, deadline).await {
                return Err(NotDone::Refused(format!("node {node} does not answer")));
            } else {
                behind = goal.saturating_sub(known.matched.unwrap_or(0));
                if known.matched.is_some_and(|matched| matched >= goal) {
                    self.append_membership(group, &known, known.changed(node, votes)?, deadline).await?;
                }
            }
            if Instant::now() >= deadline {
                return Ok(VoterChange { done: false, voters, behind });
            }
            self.leader_may_change(group.id, deadline).await;
        }
    }

    /// Refuses what would leave a group without a quorum.
    async fn may_go_without(
        &self,
        group: &Group,
        voters: &[NodeId],
        node: NodeId,
        deadline: Instant,
    ) -> Result<(), NotDone> {
        let left: Vec<_> = voters.iter().copied().filter(|id| *id != node).collect();
        let answer = join_all(left.iter().map(|id| self.comes_up(*id, deadline))).await;
        let answer = answer.into_iter().filter(|up| *up).count();
        if left.is_empty() {
            return Err(NotDone::Refused(format!("node {node} is the only voter of {}", group.id)));
        }
        if answer <= left.len() / 2 {
            let why = format!(
                "{} would have {} voters without node {node}, of which {answer} answer: it could take nothing. Start \
                 the others first",
                group.id,
                left.len()
            );
            return Err(NotDone::Refused(why));
        }
        Ok(())
    }

    /// Puts a new membership into the log. What becomes of it is seen afterwards.
    pub(crate) async fn append_membership(
        &self,
        group: &Group,
        known: &Known,
        changed: Membership,
        deadline: Instant,
    ) -> Result<(), NotDone> {
        tracing::info!(group = %group.id, voters = ?changed.voter_ids().collect::<Vec<_>>(), "the membership changes");
        let seen = Precondition::LastMembershipLogId { last_membership_log_id: *known.membership.log_id() };
        let appended = group.raft.append_membership(changed, Payload::Blank, [seen]);
        match timeout_at(deadline, appended).await {
            Err(_) | Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(error))) => match error {
                ClientWriteError::ForwardToLeader(_) | ClientWriteError::LogEntryDiscarded(_) => {
                    Err(NotDone::LeadsNoMore)
                }
                // Another change, or a leader that has only just begun: it is looked at again.
                ClientWriteError::PreconditionFailed(_)
                | ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
                ) => Ok(()),
                ClientWriteError::ChangeMembershipError(error) => Err(NotDone::Refused(error.to_string())),
            },
            Ok(Err(RaftError::Fatal(fatal))) => Err(NotDone::Refused(fatal.to_string())),
        }
    }
}
