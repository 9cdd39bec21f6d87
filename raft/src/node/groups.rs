//! The replicas that a node holds, and what it knows of the groups that only others hold. One more can come while the node
//! runs; none goes.

use std::sync::OnceLock;

use crate::group::Group;
use crate::limits::BROKER_GROUPS_MAX;
use crate::names::GroupId;
use crate::node::elsewhere::Elsewhere;

/// A place for each group that there can be. What is there stays, so it is handed out without a lock.
pub(crate) struct Groups {
    held: Box<[OnceLock<Group>]>,
    pub elsewhere: Elsewhere,
}

impl Groups {
    /// None yet.
    pub(crate) fn new() -> Groups {
        Groups {
            held: (0..=BROKER_GROUPS_MAX).map(|_| OnceLock::new()).collect(),
            elsewhere: Elsewhere::default(),
        }
    }

    /// Adds a replica; one that is there stays.
    pub(crate) fn add(&self, group: Group) {
        let place = self
            .held
            .get(group.id.0 as usize)
            .expect("no group has a higher number than the last one may have");
        let _ = place.set(group);
    }

    /// This node's replica of a group.
    pub(crate) fn get(&self, id: GroupId) -> Option<&Group> {
        self.held.get(id.0 as usize)?.get()
    }

    /// All of them, `meta` first.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Group> {
        self.held.iter().filter_map(OnceLock::get)
    }

    /// Their ids, `meta` first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.values().map(|group| group.id)
    }
}
