//! Who leads the groups that only other nodes hold: soft state, learnt from those nodes.
//!
//! A node asks its peers now and then, and at once when a request waits for a leader. An answer counts if it is of a newer
//! term. What is known may be old: whoever is asked in vain says so, and the request is tried again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use proto::peer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::names::{GroupId, NodeId};
use crate::node::peers::Lane;
use crate::node::{NodeInner, no_such_group};
use crate::request::RequestError;

/// Between two rounds while nobody waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two rounds while somebody waits.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A peer tells within this.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Who leads, in which term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    leader: NodeId,
    term: u64,
}

/// Who leads what this node does not hold.
#[derive(Default)]
pub(crate) struct Elsewhere {
    known: watch::Sender<BTreeMap<GroupId, Known>>,
    /// Held by who asks the peers: one round at a time, however many wait for it.
    asking: tokio::sync::Mutex<()>,
}

impl Elsewhere {
    /// Who leads a group, as far as this node has heard.
    pub(crate) fn leader(&self, group: GroupId) -> Option<NodeId> {
        self.known.borrow().get(&group).map(|known| known.leader)
    }

    /// A peer says who leads.
    fn heard(&self, group: GroupId, leader: NodeId, term: u64) {
        self.known.send_if_modified(|all| {
            let is_newer = all.get(&group).is_none_or(|known| known.term < term);
            if is_newer {
                all.insert(group, Known { leader, term });
            }
            is_newer
        });
    }

    /// Resolves when another node than this one is known to lead a group.
    pub(crate) fn superseded(
        &self,
        group: GroupId,
        leader: NodeId,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut known = self.known.subscribe();
        async move {
            let other = known.wait_for(|all| all.get(&group).is_some_and(|known| known.leader != leader));
            if other.await.is_err() {
                std::future::pending().await
            }
        }
    }
}

impl NodeInner {
    /// `meta` and all broker groups, whether this node holds them or not, ascending.
    pub(crate) fn all_groups(&self) -> Vec<GroupId> {
        let mut all: Vec<GroupId> = self.groups.ids().collect();
        all.extend(self.catalog.borrow().groups.iter().copied());
        all.extend(self.members.identity().not_held);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Refuses what is no group of this cluster.
    pub(crate) fn must_exist(&self, id: GroupId) -> Result<(), RequestError> {
        match self.groups.get(id).is_some() || self.all_groups().contains(&id) {
            true => Ok(()),
            false => Err(no_such_group(id)),
        }
    }

    /// The nodes that hold a group, ascending.
    pub(crate) fn holders(&self, group: GroupId) -> Vec<NodeId> {
        let catalog = self.catalog.borrow().clone();
        let members = self.members.known();
        members.iter().map(|info| info.id).filter(|id| catalog.holds(*id, group)).collect()
    }

    /// Waits until the leader of a group that this node does not hold may be another: asks the peers, or waits for who
    /// does so already.
    pub(crate) async fn look_elsewhere(&self, deadline: Instant) {
        let mut changes = self.groups.elsewhere.known.subscribe();
        let wake = (Instant::now() + LOOK_AGAIN).min(deadline);
        let look = async {
            if let Ok(_one) = self.groups.elsewhere.asking.try_lock() {
                self.ask_peers().await;
            }
            // So soon nobody else is elected.
            sleep_until(wake).await;
        };
        tokio::select! {
            () = look => {}
            _ = changes.changed() => {}
            () = sleep_until(deadline) => {}
        }
    }

    /// Keeps what is known of groups elsewhere new, until the node stops.
    pub(crate) async fn follow_elsewhere(self: Arc<Self>) {
        while !self.is_stopping() {
            if self.all_groups().iter().any(|id| self.groups.get(*id).is_none()) {
                let _one = self.groups.elsewhere.asking.lock().await;
                self.ask_peers().await;
            }
            tokio::select! {
                () = self.stopped() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Asks all peers that answer what they know of the groups that they hold.
    async fn ask_peers(&self) {
        let peers = self.peers.ids().into_iter().filter(|id| self.presence.is_up(*id));
        let mut asked: FuturesUnordered<_> = peers
            .map(|id| async move {
                let mut client = self.peers.client(id, Lane::Control).ok()?;
                let answer = timeout(ANSWER_WITHIN, client.status(peer::StatusRequest {})).await;
                Some(answer.ok()?.ok()?.into_inner().replicas)
            })
            .collect();
        while let Some(replicas) = asked.next().await {
            for replica in replicas.into_iter().flatten().filter(|replica| replica.leader != 0) {
                let group = GroupId(replica.group);
                if self.groups.get(group).is_none() {
                    self.groups.elsewhere.heard(group, NodeId(replica.leader), replica.term);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_term_says_more() {
        let elsewhere = Elsewhere::default();
        let group = GroupId(1);
        assert_eq!(elsewhere.leader(group), None);
        elsewhere.heard(group, NodeId(1), 3);
        elsewhere.heard(group, NodeId(2), 2);
        assert_eq!(elsewhere.leader(group), Some(NodeId(1)), "an old leader was believed");
        elsewhere.heard(group, NodeId(2), 4);
        assert_eq!(elsewhere.leader(group), Some(NodeId(2)));
        assert_eq!(elsewhere.leader(GroupId(2)), None);
    }
}
