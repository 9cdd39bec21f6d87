//! What a leader may ask without writing to the log. Nothing here changes the machine.

use std::collections::BTreeSet;

use store::tables::TableStore;

use super::Machine;
use super::cursor::{Cursor, CursorKey};
use super::queues::Queue;
use super::receive::is_repeatable;
use crate::catalog::StartFrom;
use crate::limits::{PARKED_MAX, RECEIVE_SCAN_MAX, UNSETTLED_MAX};
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::request::{QueueState, Receive};

impl<T: TableStore> Machine<T> {
    /// Whether a receive, applied at `now_ms`, would lease something or must note where the consumer
    /// group begins. It may be mistaken in saying yes (the receive then makes progress and gets an
    /// empty answer), never in saying no.
    pub fn would_deliver(&self, receive: &Receive, now_ms: u64) -> bool {
        receive.queues.iter().any(|number| {
            let queue = QueueKey { topic: receive.topic, number: *number };
            let key = CursorKey { consumer: receive.consumer, queue };
            let entries = self.queues.get(queue);
            match self.cursors.get(&key) {
                None => receive.start != StartFrom::First || entries.is_some_and(|queue| queue.end > 0),
                Some(cursor) => {
                    cursor.has_returned(now_ms)
                        || cursor.has_granted(receive.attempt, now_ms)
                        || entries.is_some_and(|queue| cursor.has_fresh(queue, receive))
                }
            }
        })
    }

    /// The earliest time, by the log's clock, at which a lease in one of these queues ends: look
    /// again then. `None` if none is held.
    pub fn next_wake_ms(&self, consumer: ConsumerId, topic: TopicId, queues: &[u32]) -> Option<u64> {
        let ends = queues.iter().filter_map(|number| {
            let queue = QueueKey { topic, number: *number };
            let cursor = self.cursors.get(&CursorKey { consumer, queue })?;
            cursor.deadlines.first().map(|(until_ms, _)| *until_ms)
        });
        ends.min()
    }

    /// The clients that hold leases to renew which end by `before_ms`, ascending, each once.
    pub fn expiring_auto_leases(&self, before_ms: u64) -> Vec<u64> {
        let stamp_ms = self.progress.stamp_ms();
        let mut clients = BTreeSet::new();
        if before_ms > stamp_ms {
            for cursor in self.cursors.values().filter(|cursor| cursor.renewed > 0) {
                for (_, offset) in cursor.deadlines.range((stamp_ms + 1, 0)..=(before_ms, u64::MAX)) {
                    let slot = &cursor.unsettled[offset];
                    if slot.renew_until_ms > slot.until_ms {
                        clients.insert(slot.client);
                    }
                }
            }
        }
        clients.into_iter().collect()
    }

    /// How a queue stands, and how a consumer group stands in it.
    pub fn queue_state(&self, queue: QueueKey, consumer: Option<ConsumerId>) -> QueueState {
        let (first, end) = self.queues.bounds(queue);
        let cursor = consumer.and_then(|consumer| self.cursors.get(&CursorKey { consumer, queue }));
        let held_from = (self.progress.stamp_ms() + 1, 0);
        QueueState {
            first,
            end,
            settled: cursor.map_or(first, Cursor::settled),
            next: cursor.map_or(first, |cursor| cursor.next),
            in_flight: cursor.map_or(0, |cursor| cursor.deadlines.range(held_from..).count() as u64),
        }
    }
}

impl Cursor {
    fn has_returned(&self, now_ms: u64) -> bool {
        !self.ready.is_empty() || self.deadlines.first().is_some_and(|(until_ms, _)| *until_ms <= now_ms)
    }

    fn has_granted(&self, attempt: u64, now_ms: u64) -> bool {
        let grant = self.grants.get(&attempt);
        grant.is_some_and(|grant| grant.iter().any(|offset| is_repeatable(&self.unsettled[offset], now_ms)))
    }

    /// Whether there is something fresh to lease, to park or to pass over a long stretch of.
    fn has_fresh(&self, queue: &Queue, receive: &Receive) -> bool {
        if self.unsettled.len() >= UNSETTLED_MAX {
            return false;
        }
        let mut next = self.next.max(queue.first);
        let mut scanned = 0;
        while next < queue.end && scanned < RECEIVE_SCAN_MAX {
            // What is not in memory is not worth reading: say yes.
            let Some(block) = queue.tail_block(next) else { return true };
            while let Some(entry) = block.entry(next) {
                if receive.filter.wants(entry.tag_hash) {
                    let blocked = receive.fifo && self.is_blocked(next, entry.order_hash, u64::MAX);
                    return !(blocked && self.parked >= PARKED_MAX);
                }
                next += 1;
                scanned += 1;
            }
        }
        scanned >= RECEIVE_SCAN_MAX
    }
}
