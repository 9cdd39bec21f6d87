//! Which cursors have something unsettled: what walks over leases looks at those, however many others
//! there are. A consumer group of a million lite topics has a million cursors and a few open leases.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use store::tables::TableStore;

use super::Machine;
use super::cursor::{Cursor, CursorKey};
use crate::names::{ConsumerId, QueueKey, TopicId};

/// The keys of the cursors that had something unsettled behind the last frame. Derived from them.
#[derive(Default)]
pub(super) struct Busy {
    keys: BTreeSet<CursorKey>,
}

impl Busy {
    /// Notes how a cursor stands behind a frame.
    pub(super) fn note(&mut self, key: CursorKey, cursor: &Cursor) {
        match cursor.unsettled.is_empty() {
            true => self.keys.remove(&key),
            false => self.keys.insert(key),
        };
    }

    /// Forgets a cursor.
    pub(super) fn remove(&mut self, key: &CursorKey) {
        self.keys.remove(key);
    }
}

impl<T: TableStore> Machine<T> {
    /// Every cursor that may have something unsettled, those too that the frame in hand has changed;
    /// ascending, each once.
    pub(super) fn busy_keys(&self) -> Vec<CursorKey> {
        let mut keys = self.busy.keys.union(&self.touched).copied().collect::<Vec<_>>();
        keys.retain(|key| self.cursors.get(key).is_some_and(|cursor| !cursor.unsettled.is_empty()));
        keys
    }

    /// The cursors of all consumer groups that may have something unsettled.
    pub(super) fn busy_cursors(&self) -> impl Iterator<Item = &Cursor> {
        self.busy.keys.union(&self.touched).filter_map(|key| self.cursors.get(key))
    }

    /// The cursors of one consumer group that may have something unsettled.
    pub(super) fn busy_cursors_of(&self, consumer: ConsumerId) -> impl Iterator<Item = &Cursor> {
        let of_it = keys_of(consumer);
        let before = self.busy.keys.range(of_it.clone());
        let now = self.touched.range(of_it).filter(|key| !self.busy.keys.contains(key));
        before.chain(now).filter_map(|key| self.cursors.get(key))
    }
}

fn keys_of(consumer: ConsumerId) -> RangeInclusive<CursorKey> {
    let at = |number| CursorKey { consumer, queue: QueueKey { topic: TopicId(number), number } };
    at(0)..=at(u32::MAX)
}
