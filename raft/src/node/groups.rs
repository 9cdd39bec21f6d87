//! The replicas that a node holds, and what it knows of the groups that only others hold. One more can come while the node
//! runs; one that moved elsewhere is not found any more, though it stays open until the node ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::group::Group;
use crate::limits::BROKER_GROUPS_MAX;
use crate::names::GroupId;
use crate::node::elsewhere::Elsewhere;

/// The place of one group.
#[derive(Default)]
struct Place {
    group: OnceLock<Group>,
    /// It moved elsewhere.
    left: AtomicBool,
}

impl Place {
    fn get(&self) -> Option<&Group> {
        self.group.get().filter(|_| !self.left.load(Ordering::Relaxed))
    }
}

/// A place for each group that there can be. What is there stays, so it is handed out without a lock.
pub(crate) struct Groups {
    held: Box<[Place]>,
    pub elsewhere: Elsewhere,
}

impl Groups {
    /// None yet.
    pub(crate) fn new() -> Groups {
        Groups {
            held: (0..=BROKER_GROUPS_MAX).map(|_| Place::default()).collect(),
            elsewhere: Elsewhere::default(),
        }
    }

    /// Adds a replica; one that is there stays.
    pub(crate) fn add(&self, group: Group) {
        let place = self
            .held
            .get(group.id.0 as usize)
            .expect("no group has a higher number than the last one may have");
        let _ = place.group.set(group);
    }

    /// This node's replica of a group.
    pub(crate) fn get(&self, id: GroupId) -> Option<&Group> {
        self.held.get(id.0 as usize)?.get()
    }

    /// All of them, `meta` first.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Group> {
        self.held.iter().filter_map(Place::get)
    }

    /// Their ids, `meta` first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.values().map(|group| group.id)
    }

    /// A replica moved elsewhere: nobody gets at it any more, and it elects nobody.
    pub(crate) fn leave(&self, id: GroupId) {
        let Some(place) = self.held.get(id.0 as usize) else { return };
        place.left.store(true, Ordering::Relaxed);
        if let Some(group) = place.group.get() {
            group.raft.runtime_config().elect(false);
        }
    }

    /// Whether a replica moved elsewhere while this process ran. It cannot be opened again before the next start.
    pub(crate) fn has_left(&self, id: GroupId) -> bool {
        self.held.get(id.0 as usize).is_some_and(|place| place.left.load(Ordering::Relaxed))
    }

    /// All that are open, those that moved elsewhere too.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Group> {
        self.held.iter().filter_map(|place| place.group.get())
    }
}
