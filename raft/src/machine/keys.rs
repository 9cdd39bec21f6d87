//! Messages by their keys, and by ids that do not tell when they were made.

use std::collections::BTreeMap;
use std::ops::Bound;

use store::tables::TableStore;
use store::tables::key_index::{KeyRow, KeyedPlace, hour_of};

use super::{Machine, MachineFailure};
use crate::names::{QueueKey, TopicId};
use crate::request::Place;

/// How far back the rows of each topic reach. The rows stay in the tables.
#[derive(Default)]
pub(super) struct KeyIndex {
    /// No row of the topic is older than this hour.
    first_hours: BTreeMap<TopicId, u32>,
    /// A queue of the topic that reaches back to its first hour: while it does, no row may go.
    /// Derived, and only to save looking at all queues.
    witnesses: BTreeMap<TopicId, QueueKey>,
}

impl KeyIndex {
    pub(super) fn open(tables: &impl TableStore) -> Result<KeyIndex, MachineFailure> {
        let hours = KeyRow::first_hours(tables)?;
        let first_hours = hours.into_iter().map(|(topic, hour)| (TopicId(topic), hour)).collect();
        Ok(KeyIndex { first_hours, witnesses: BTreeMap::new() })
    }
}

impl<T: TableStore> Machine<T> {
    /// Notes where a message is. One that falls due later is noted under that time: so long it must be found.
    pub(super) fn index_keys(&mut self, hashes: &[u64], queue: QueueKey, place: Place, due_ms: Option<u64>) {
        let stamp_ms = self.progress.stamp_ms();
        let (ms, number, place) = match (place, due_ms) {
            (Place::Queued(offset), _) => (stamp_ms, offset.0, KeyedPlace::Queued),
            (Place::Waiting(number), Some(due_ms)) => (due_ms, number, KeyedPlace::Timer),
            (Place::Waiting(number), None) => (stamp_ms, number, KeyedPlace::Half),
        };
        let first = self.keys.first_hours.entry(queue.topic).or_insert(hour_of(ms));
        *first = (*first).min(hour_of(ms));
        for hash in hashes {
            let row = KeyRow { topic: queue.topic.0, hash: *hash, ms, queue: queue.number, number, place };
            row.put(self.progress.batch());
        }
    }

    /// After a queue let go of its beginning: lets go of rows that no queue of the topic reaches back to.
    pub(super) fn expire_keys(&mut self, queue: QueueKey) -> Result<(), MachineFailure> {
        let topic = queue.topic;
        let Some(first_hour) = self.keys.first_hours.get(&topic).copied() else { return Ok(()) };
        if self.keys.witnesses.get(&topic).is_some_and(|witness| *witness != queue) {
            return Ok(());
        }
        let mut oldest = hour_of(self.progress.stamp_ms());
        // From this one on, and then from the first on.
        let (mut from, mut wrapped) = (Bound::Included(queue.number), false);
        loop {
            let Some(other) = self.queues.of_topic(topic, from).filter(|it| !wrapped || *it < queue) else {
                if wrapped {
                    break;
                }
                (from, wrapped) = (Bound::Included(0), true);
                continue;
            };
            from = Bound::Excluded(other.number);
            let Some(oldest_ms) = self.queues.oldest_ms(self.progress.tables(), other)? else { continue };
            if hour_of(oldest_ms) <= first_hour {
                self.keys.witnesses.insert(topic, other);
                return Ok(());
            }
            oldest = oldest.min(hour_of(oldest_ms));
        }
        self.keys.witnesses.remove(&topic);
        KeyRow::delete_before(topic.0, oldest, self.progress.batch());
        self.keys.first_hours.insert(topic, oldest);
        Ok(())
    }

    /// Forgets a topic's rows, those of the frame in hand too.
    pub(super) fn delete_keys(&mut self, topic: TopicId) {
        self.keys.witnesses.remove(&topic);
        if self.keys.first_hours.remove(&topic).is_some() {
            KeyRow::delete_topic(topic.0, self.progress.batch());
        }
    }
}
