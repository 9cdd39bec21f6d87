//! Messages by their keys, and by ids that do not tell when they were made.

use std::collections::BTreeMap;

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
}

impl KeyIndex {
    pub(super) fn open(tables: &impl TableStore) -> Result<KeyIndex, MachineFailure> {
        let hours = KeyRow::first_hours(tables)?;
        let first_hours = hours.into_iter().map(|(topic, hour)| (TopicId(topic), hour)).collect();
        Ok(KeyIndex { first_hours })
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
    pub(super) fn expire_keys(&mut self, topic: TopicId) -> Result<(), MachineFailure> {
        let Some(first_hour) = self.keys.first_hours.get(&topic).copied() else { return Ok(()) };
        let oldest_ms = self.queues.oldest_of(self.progress.durability.tables(), topic)?;
        let oldest = oldest_ms.map_or(hour_of(self.progress.stamp_ms()), hour_of);
        if oldest <= first_hour {
            return Ok(());
        }
        KeyRow::delete_before(topic.0, oldest, self.progress.batch());
        self.keys.first_hours.insert(topic, oldest);
        Ok(())
    }

    /// Forgets a topic's rows, those of the frame in hand too.
    pub(super) fn delete_keys(&mut self, topic: TopicId) {
        if self.keys.first_hours.remove(&topic).is_some() {
            KeyRow::delete_topic(topic.0, self.progress.batch());
        }
    }
}
