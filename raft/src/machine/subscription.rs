//! Deleting what a consumer group knows of a topic, so that it begins there anew.
//!
//! Unlike a deleted consumer group it may come back under the same number. So its leases go on
//! where they were: a receipt of before is never one of afterwards.

use std::collections::BTreeMap;

use store::tables::left::LeftRow;
use store::tables::{Batch, RowKind, TableStore};

use super::broker::each_row;
use super::cursor::CursorKey;
use super::{Machine, MachineFailure};
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::outcome::Outcome;

/// The newest lease of each consumer group in the topics that it left.
#[derive(Default)]
pub(super) struct Left {
    leases: BTreeMap<(ConsumerId, TopicId), u64>,
}

impl Left {
    pub(super) fn open(tables: &impl TableStore) -> Result<Left, MachineFailure> {
        let mut leases = BTreeMap::new();
        each_row(tables, RowKind::Left, |key, value| {
            let row = LeftRow::read(key, value)?;
            leases.insert((ConsumerId(row.consumer), TopicId(row.topic)), row.last_lease);
            Some(())
        })?;
        Ok(Left { leases })
    }

    /// The lease behind which those of a new cursor begin.
    pub(super) fn last_lease(&self, key: CursorKey) -> u64 {
        self.leases.get(&(key.consumer, key.queue.topic)).copied().unwrap_or_default()
    }

    /// Forgets what a deleted consumer group or topic has left: nobody comes back under its number.
    pub(super) fn forget(&mut self, gone: impl Fn(ConsumerId, TopicId) -> bool, batch: &mut Batch) {
        self.leases.retain(|(consumer, topic), _| {
            let gone = gone(*consumer, *topic);
            if gone {
                LeftRow::delete(consumer.0, topic.0, batch);
            }
            !gone
        });
    }
}

impl<T: TableStore> Machine<T> {
    /// Removes what a consumer group knows of a topic's queues: leases, attempts, progress.
    pub(super) fn delete_subscription(&mut self, consumer: ConsumerId, topic: TopicId) -> Outcome {
        if let Some(rejected) = self.consumer_is_gone(consumer).or_else(|| self.topic_is_gone(topic)) {
            return rejected;
        }
        self.forget_cleared(topic, consumer);
        let at = |number| CursorKey { consumer, queue: QueueKey { topic, number } };
        let cursors = self.cursors.range(at(0)..=at(u32::MAX));
        let Some(last_lease) = cursors.map(|(_, cursor)| cursor.last_lease).max() else {
            return Outcome::Done;
        };
        let last_lease = last_lease.max(self.left.last_lease(at(0)));
        self.left.leases.insert((consumer, topic), last_lease);
        LeftRow { consumer: consumer.0, topic: topic.0, last_lease }.put(self.progress.batch());
        for key in self.delete_cursors(|key| key.consumer == consumer && key.queue.topic == topic) {
            self.wake(key.queue);
        }
        self.free(consumer);
        Outcome::Done
    }
}
