//! How far consumer groups are behind, a bounded stretch of cursors at a time. Nothing here changes the machine.

use std::ops::Bound;

use store::tables::TableStore;

use super::Machine;
use super::cursor::{Cursor, CursorKey};
use crate::names::{ConsumerId, QueueKey};

/// How a consumer group stands in one queue, told shortly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorLag {
    /// The consumer group.
    pub consumer: ConsumerId,
    /// The queue.
    pub queue: QueueKey,
    /// The messages from the first unsettled one to the end, as `ledgermq group offsets` tells.
    pub lag: u64,
    /// Leases that are held.
    pub in_flight: u64,
    /// Messages that were never delivered, or wait to be delivered again.
    pub ready: u64,
    /// The offset of the oldest unsettled message, if there is one...
    pub oldest: Option<u64>,
    /// ... and when it was stored, if that is known without reading a row. In milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// What a machine holds, in numbers that cost nothing to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineSizes {
    /// Queues, those of lite topics included.
    pub queues: u64,
    /// Places of consumer groups in queues.
    pub cursors: u64,
    /// Messages that wait for their time.
    pub timers: u64,
}

impl<T: TableStore> Machine<T> {
    /// How much there is.
    pub fn sizes(&self) -> MachineSizes {
        MachineSizes {
            queues: self.queues.count() as u64,
            cursors: self.cursors.len() as u64,
            timers: self.timers.count,
        }
    }

    /// How consumer groups stand in up to `max` queues, behind the place `after`; in order, so that the last one is where to
    /// go on. Fewer: there are no more.
    pub fn lags(&self, after: Option<(ConsumerId, QueueKey)>, max: usize) -> Vec<CursorLag> {
        let after = after.map(|(consumer, queue)| CursorKey { consumer, queue });
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let cursors = self.cursors.range((from, Bound::Unbounded)).take(max);
        cursors.map(|(key, cursor)| self.lag(*key, cursor)).collect()
    }

    fn lag(&self, key: CursorKey, cursor: &Cursor) -> CursorLag {
        let (first, end) = self.queues.bounds(key.queue);
        let settled = cursor.settled().max(first);
        let held_from = (self.progress.stamp_ms() + 1, 0);
        // Those whose time is over are few: the next receive takes them away.
        let ended = cursor.deadlines.range(..held_from).count();
        let in_flight = (cursor.deadlines.len() - ended) as u64;
        let unread = end.saturating_sub(cursor.next.max(first));
        let oldest = (settled < end).then_some(settled);
        let block = oldest.and_then(|offset| self.queues.in_memory(key.queue, offset));
        CursorLag {
            consumer: key.consumer,
            queue: key.queue,
            lag: end.saturating_sub(settled),
            in_flight,
            ready: unread + (cursor.unsettled.len() as u64).saturating_sub(in_flight),
            oldest,
            oldest_ms: block.map(|block| block.stored_ms),
        }
    }
}
