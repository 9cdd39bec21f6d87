//! Where a consumer group stands in a queue: its beginning, and moves to another place.

use store::tables::TableStore;

use super::cursor::{Cursor, CursorKey};
use super::{Machine, MachineFailure};
use crate::catalog::StartFrom;
use crate::command::OffsetTarget;
use crate::names::{ConsumerId, QueueKey};
use crate::outcome::Outcome;
use crate::request::Rejection;

impl<T: TableStore> Machine<T> {
    /// Makes the consumer group's place in a queue that it has not read before.
    pub(super) fn begin_reading(&mut self, key: CursorKey, start: StartFrom) -> Result<(), MachineFailure> {
        if !self.cursors.contains_key(&key) {
            let next = self.resolve(key.queue, OffsetTarget::Start(start))?;
            self.cursors.insert(key, Cursor::at(next, self.left.last_lease(key)));
            self.touched.insert(key);
        }
        Ok(())
    }

    /// Moves a consumer group; all it held in the queue is given back.
    pub(super) fn set_offset(
        &mut self,
        consumer: ConsumerId,
        queue: QueueKey,
        to: OffsetTarget,
    ) -> Result<Outcome, MachineFailure> {
        let gone = self.consumer_is_gone(consumer).or_else(|| self.topic_is_gone(queue.topic));
        if let Some(rejected) = gone {
            return Ok(rejected);
        }
        if self.lite_is_gone(queue) {
            let why = format!("no lite topic has the queue {}", queue.number);
            return Ok(Outcome::Rejected(Rejection::Invalid(why)));
        }
        self.forget_cleared(queue.topic, consumer);
        let key = CursorKey { consumer, queue };
        let next = self.resolve(queue, to)?;
        let before = self.left.last_lease(key);
        let cursor = self.cursors.entry(key).or_insert_with(|| Cursor::at(next, before));
        cursor.reset(key, next, self.progress.batch());
        self.release_kept(queue, ..);
        self.touched.insert(key);
        self.wake(queue);
        Ok(Outcome::Done)
    }

    fn resolve(&mut self, queue: QueueKey, to: OffsetTarget) -> Result<u64, MachineFailure> {
        let (first, end) = self.queues.bounds(queue);
        match to {
            OffsetTarget::Start(StartFrom::First) => Ok(first),
            OffsetTarget::Start(StartFrom::Last) => Ok(end),
            OffsetTarget::Start(StartFrom::Time(time_ms)) => self.first_stored_at(queue, time_ms),
            OffsetTarget::Offset(offset) => Ok(offset.clamp(first, end)),
        }
    }

    /// The first offset that was stored at `time_ms` or later. Stamps ascend, so halving finds it.
    pub(super) fn first_stored_at(&mut self, queue: QueueKey, time_ms: u64) -> Result<u64, MachineFailure> {
        let (mut low, mut high) = self.queues.bounds(queue);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(block) = self.queues.block(self.progress.tables(), queue, middle)? else { break };
            if block.stored_ms >= time_ms {
                high = block.first.max(low);
            } else {
                low = block.end();
            }
        }
        Ok(low)
    }
}
