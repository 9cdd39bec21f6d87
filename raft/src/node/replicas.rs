//! Which nodes have a replica of a group: one more, or one less, at a time. A replica that comes has no vote; one that goes
//! has had it taken before ([`crate::node::voters`]).

use std::collections::BTreeMap;

use openraft::BasicNode;
use proto::peer;
use tokio::time::{Instant, timeout_at};

use crate::consensus::types::Membership;
use crate::group::Group;
use crate::names::{GroupId, NodeId};
use crate::node::peers::Lane;
use crate::node::route::{Leader, NotDone, invalid};
use crate::node::voters::Known;
use crate::node::{Node, NodeInner, rejoin};
use crate::request::RequestError;

impl Node {
    /// Gives a node a replica of a group, or takes it. May be repeated, through any node.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if the node is not in the cluster, or has a vote that is to be taken first;
    /// [`RequestError::NoLeader`] if it was not done before the deadline.
    pub async fn change_replica(
        &self,
        group: GroupId,
        node: NodeId,
        present: bool,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        self.inner.change_replica(group, node, present, deadline).await
    }
}

impl NodeInner {
    pub(crate) async fn change_replica(
        &self,
        group: GroupId,
        node: NodeId,
        present: bool,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        self.must_exist(group)?;
        loop {
            match self.leader(group) {
                Leader::Here => {
                    match self.change_replica_here(self.group(group)?, node, present, deadline).await {
                        Ok(true) => return Ok(()),
                        Ok(false) | Err(NotDone::LeadsNoMore) => {}
                        Err(NotDone::Refused(why)) => return Err(invalid(why)),
                    }
                }
                Leader::At(leader) => {
                    if self.ask_for_replica(leader, group, node, present, deadline).await? {
                        return Ok(());
                    }
                }
                // A replica that nobody knows of hears of no leader; the others have.
                Leader::Nobody => {
                    let leader = rejoin::leader_elsewhere(self, group).await;
                    if let Some(leader) = leader
                        && self.ask_for_replica(leader, group, node, present, deadline).await?
                    {
                        return Ok(());
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(RequestError::NoLeader { group });
            }
            self.leader_may_change(group, deadline).await;
        }
    }

    /// Asks a leader. Whether it is done.
    async fn ask_for_replica(
        &self,
        leader: NodeId,
        group: GroupId,
        node: NodeId,
        present: bool,
        deadline: Instant,
    ) -> Result<bool, RequestError> {
        let client = self.peers.client(leader, Lane::Control);
        let mut client = client.map_err(|_| RequestError::NoLeader { group })?;
        let left = deadline.saturating_duration_since(Instant::now()) * 9 / 10;
        let timeout_ms = left.as_millis() as u32;
        let (group, node, target) = (group.0, node.0, leader.0);
        let request = peer::ChangeReplicaRequest { group, node, present, timeout_ms, target };
        let answer = timeout_at(deadline, client.change_replica(request)).await;
        match answer.map(|answer| answer.map(tonic::Response::into_inner)) {
            Ok(Ok(answer)) if !answer.refusal.is_empty() => Err(invalid(answer.refusal)),
            Ok(Ok(answer)) => Ok(answer.done),
            // It is gone, or does not answer: the change may be repeated.
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    /// The same where the leader is. Whether it is done.
    pub(crate) async fn change_replica_here(
        &self,
        group: &Group,
        node: NodeId,
        present: bool,
        deadline: Instant,
    ) -> Result<bool, NotDone> {
        loop {
            let known = Known::of(group, node);
            if group.leader() != Some(self.id) {
                return Err(NotDone::LeadsNoMore);
            }
            if known.has(node) == present {
                // Who was deposed meanwhile knows an old set.
                if known.committed && group.still_leads().await {
                    return Ok(true);
                }
            } else {
                let changed = self.with_replica(group, &known, node, present)?;
                self.append_membership(group, &known, changed, deadline).await?;
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.leader_may_change(group.id, deadline).await;
        }
    }

    fn with_replica(
        &self,
        group: &Group,
        known: &Known,
        node: NodeId,
        present: bool,
    ) -> Result<Membership, NotDone> {
        let before = known.membership.membership();
        let mut nodes: BTreeMap<u64, BasicNode> =
            before.nodes().map(|(id, node)| (*id, node.clone())).collect();
        if present {
            let members = self.members.known();
            let info = members.iter().find(|info| info.id == node);
            let info =
                info.ok_or_else(|| NotDone::Refused(format!("there is no node {node} in the cluster")))?;
            nodes.insert(node.0, BasicNode { addr: info.peer.clone() });
        } else {
            if before.voter_ids().any(|id| id == node.0) {
                return Err(NotDone::Refused(format!(
                    "node {node} has a vote in {}: take that first",
                    group.id
                )));
            }
            nodes.remove(&node.0);
        }
        let voters = before.voter_ids().collect();
        Membership::new(vec![voters], nodes).map_err(|error| NotDone::Refused(error.to_string()))
    }
}
