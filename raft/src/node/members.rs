//! Who is in the cluster, as this node knows: what it started with, and what `meta` has said since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::{Catalog, NodeInfo};
use crate::group::{Group, GroupSetup};
use crate::names::{GroupId, NodeId};
use crate::node::identity::Identity;
use crate::node::peers::PeerWatch;
use crate::node::{Node, NodeInner};

/// How often it is asked whether a replica that is to go may go.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Who is in the cluster.
pub(crate) struct Members {
    // Locks for what is read now and then, and changes once in a long while; never held over an await.
    identity: RwLock<Identity>,
    known: RwLock<Arc<Vec<NodeInfo>>>,
    /// Whom the configuration lists, with ids. Where they are it says, whatever `meta` remembers: in a cluster that was
    /// restored from a backup that is where others were.
    configured: Vec<NodeInfo>,
}

impl Members {
    pub(crate) fn new(identity: Identity, members: Vec<NodeInfo>, configured: Vec<NodeInfo>) -> Members {
        Members { identity: RwLock::new(identity), known: RwLock::new(Arc::new(members)), configured }
    }

    /// All of them, this node included, ascending.
    pub(crate) fn known(&self) -> Arc<Vec<NodeInfo>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells clusters apart that have the same name.
    pub(crate) fn tag(&self) -> u64 {
        self.identity().tag
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, members: Vec<NodeInfo>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(members);
    }

    fn change(&self, change: impl FnOnce(&mut Identity)) -> Identity {
        let mut identity = self.identity.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut identity);
        identity.clone()
    }
}

/// What `meta` has says more than what was known, and what is configured more than both; who was removed is not there any
/// more.
fn merged(known: &[NodeInfo], configured: &[NodeInfo], own: &NodeInfo, catalog: &Catalog) -> Vec<NodeInfo> {
    let mut members: BTreeMap<NodeId, NodeInfo> = known.iter().map(|info| (info.id, info.clone())).collect();
    members.extend(catalog.nodes.iter().map(|(id, info)| (*id, info.clone())));
    for info in configured {
        let is_there = |known: &NodeInfo| (&known.peer, &known.grpc) == (&info.peer, &info.grpc);
        if !members.get(&info.id).is_some_and(is_there) {
            members.insert(info.id, info.clone());
        }
    }
    // What this node says of itself it is about to tell `meta`.
    members.insert(own.id, own.clone());
    members.retain(|id, _| *id == own.id || !catalog.removed_nodes.contains(id));
    members.into_values().collect()
}

impl Node {
    /// Who is in the cluster, this node included, ascending.
    pub fn members(&self) -> Arc<Vec<NodeInfo>> {
        self.inner.members.known()
    }

    /// Whether the cluster has removed this node.
    pub fn is_removed(&self) -> bool {
        self.inner.members.identity().removed
    }

    /// Whether this node has the replicas and the votes that it came for.
    pub fn has_settled(&self) -> bool {
        self.inner.members.identity().settled
    }
}

impl NodeInner {
    /// Follows what `meta` says of nodes and groups until the node stops.
    pub(crate) async fn keep_up(self: Arc<Self>, watch: PeerWatch) {
        let mut catalog = self.catalog.clone();
        watch.begin(self.peers.ids());
        loop {
            let now = catalog.borrow_and_update().clone();
            self.follow(&now, &watch);
            self.open_new_groups(&now).await;
            let again = self.leave_what_moved().await;
            tokio::select! {
                () = self.stopped() => return,
                () = tokio::time::sleep(ASK_AGAIN), if again => {}
                changed = catalog.changed() => if changed.is_err() { return },
            }
        }
    }

    fn follow(&self, catalog: &Catalog, watch: &PeerWatch) {
        let known = self.members.known();
        let own = self.own();
        let members = merged(&known, &self.members.configured, &own, catalog);
        if *known != members {
            watch.begin(self.peers.set(self.id, &members));
            self.presence.set_members(members.clone());
            self.members.set(members.clone());
        }
        let groups = catalog.groups.iter().map(|group| group.0).max().unwrap_or(0);
        let identity = self.members.identity();
        let not_held: BTreeSet<GroupId> =
            catalog.groups.iter().copied().filter(|group| !catalog.holds(self.id, *group)).collect();
        // A catalog that does not know of a group yet says nothing of who holds it.
        let is_old = catalog.groups.len() < identity.broker_groups as usize;
        let not_held = if is_old { identity.not_held.clone() } else { not_held };
        if identity.members != members || identity.broker_groups < groups || identity.not_held != not_held {
            self.note(move |identity| {
                identity.members = members;
                identity.not_held = not_held;
                identity.broker_groups = identity.broker_groups.max(groups);
            });
        }
        if catalog.removed_nodes.contains(&self.id) {
            self.was_removed();
        }
    }

    /// The cluster has removed this node: it ends, and does not come back as who it was.
    pub(crate) fn was_removed(&self) {
        if !self.members.identity().removed {
            self.note(|identity| identity.removed = true);
            self.failure.tell(format!("the cluster removed this node (node {})", self.id));
        }
    }

    /// Writes down what changed of who this node is.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Identity)) {
        let identity = self.members.change(change);
        if let Err(error) = identity.write(&self.options.data) {
            // It is known as long as this process runs; what follows writes it again.
            tracing::error!(%error, "who is in the cluster could not be written down");
        }
    }

    async fn open_new_groups(self: &Arc<Self>, catalog: &Catalog) {
        let held = catalog.groups.iter().filter(|id| catalog.holds(self.id, **id));
        for id in held.filter(|id| self.groups.get(**id).is_none()) {
            if self.groups.has_left(*id) {
                tracing::warn!(group = %id, "this node held the group before: it takes it again when it is restarted");
                continue;
            }
            tracing::info!(group = %id, "a broker group is new: this node makes its replica");
            match Group::open(self.setup(*id)).await {
                Ok(group) => {
                    self.groups.add(group);
                    self.run_group(self.groups.get(*id).expect("it was just added"));
                }
                Err(error) => self.failure.tell(format!("{id} cannot be opened: {error}")),
            }
        }
    }

    /// What a group needs from this node.
    fn setup(&self, id: GroupId) -> GroupSetup {
        GroupSetup {
            id,
            node: self.id,
            alone: self.members.known().len() == 1,
            cluster: self.options.cluster.clone(),
            data: self.options.data.clone(),
            disk: crate::seams::disk(),
            tuning: self.options.tuning.clone(),
            peers: self.peers.clone(),
            snapshot_pace: self.snapshot_pace.clone(),
            failure: self.failure.clone(),
            catalog: None,
        }
    }

    /// This node.
    pub(crate) fn own(&self) -> NodeInfo {
        self.options.own()
    }

    /// Whether this node knows that another one is in the cluster at some moment before the deadline.
    pub(crate) async fn knows_of(&self, incarnation: u64, deadline: Instant) -> Option<NodeInfo> {
        let mut catalog = self.catalog.clone();
        let of =
            |catalog: &Catalog| catalog.nodes.values().find(|info| info.incarnation == incarnation).cloned();
        let known = catalog.wait_for(|catalog| of(catalog).is_some());
        tokio::time::timeout_at(deadline, known).await.ok()?.ok().and_then(|catalog| of(&catalog))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn info(id: u64, peer: &str) -> NodeInfo {
        let (name, peer) = (format!("node{id}"), peer.to_owned());
        NodeInfo { id: NodeId(id), name, grpc: String::new(), http: String::new(), peer, incarnation: id }
    }

    #[test]
    fn what_meta_says_is_newer_and_who_was_removed_is_gone() {
        let known = [info(1, "a"), info(2, "b"), info(3, "c")];
        let nodes = [info(1, "old"), info(2, "moved"), info(4, "d")];
        let catalog = Catalog {
            nodes: nodes.into_iter().map(|info| (info.id, info)).collect(),
            removed_nodes: BTreeSet::from([NodeId(3)]),
            ..Catalog::default()
        };
        assert_eq!(
            merged(&known, &[], &info(1, "a"), &catalog),
            [info(1, "a"), info(2, "moved"), info(4, "d")]
        );
        // In a restored cluster `meta` remembers another one.
        let configured = [info(1, "a"), info(2, "here")];
        let members = merged(&known, &configured, &info(1, "a"), &catalog);
        assert_eq!(members[1], info(2, "here"));
    }

    #[test]
    fn who_has_not_told_meta_yet_is_there_all_the_same() {
        let known = [info(1, "a"), info(2, "b"), info(3, "c")];
        let catalog = Catalog { nodes: BTreeMap::from([(NodeId(1), info(1, "a"))]), ..Catalog::default() };
        assert_eq!(merged(&known, &[], &info(1, "a"), &catalog), known);
    }
}
