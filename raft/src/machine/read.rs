//! What a leader may ask without writing to the log. Nothing here changes the machine.

use std::collections::BTreeSet;
use std::sync::Arc;

use store::tables::consume_queue::{Block, Entry};
use store::tables::{RowKind, TableStore};

use super::cursor::{Cursor, CursorKey};
use super::queues::Queue;
use super::receive::is_repeatable;
use super::{Machine, MachineFailure};
use crate::catalog::StartFrom;
use crate::limits::{PARKED_MAX, RECEIVE_SCAN_MAX, UNSETTLED_MAX};
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::request::{Filter, QueueState, Receive};

/// What a consumer group has not looked at in a queue, for a leader that judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// The first offset.
    pub next: u64,
    /// The offset behind the last one.
    pub end: u64,
}

impl Filter {
    /// Whether a message with this tag is wanted, as far as its tag can tell.
    pub(super) fn wants(&self, tag_hash: u64) -> bool {
        match self {
            Filter::All | Filter::Sql(_) => true,
            Filter::AnyOf(hashes) => hashes.contains(&tag_hash),
        }
    }
}

impl<T: TableStore> Machine<T> {
    /// Whether a receive, applied at `now_ms`, would lease something or must note where the consumer
    /// group begins. It may be mistaken in saying yes (the receive then makes progress and gets an
    /// empty answer), never in saying no. Of a receive with a SQL filter it says nothing about
    /// fresh messages: see [`Machine::fresh`].
    pub fn would_deliver(&self, receive: &Receive, now_ms: u64) -> bool {
        let has_room = self.has_room(receive, now_ms);
        receive.queues.iter().any(|number| {
            let queue = QueueKey { topic: receive.topic, number: *number };
            let key = CursorKey { consumer: receive.consumer, queue };
            let entries = self.queues.get(queue);
            match self.cursors.get(&key) {
                None => receive.start != StartFrom::First || entries.is_some_and(|queue| queue.end > 0),
                Some(cursor) => {
                    let limit = || if receive.fifo { self.spreads.limit(key) } else { u64::MAX };
                    let next = || {
                        cursor.has_returned(now_ms)
                            || !matches!(receive.filter, Filter::Sql(_))
                                && entries.is_some_and(|queue| cursor.has_fresh(queue, receive, limit()))
                    };
                    cursor.has_granted(receive.attempt, now_ms) || (has_room && next())
                }
            }
        })
    }

    /// What is fresh in a queue for a consumer group that has begun to read it. `None` if it has
    /// not, or takes nothing fresh until it has settled something.
    pub fn fresh(&self, receive: &Receive, queue: QueueKey) -> Option<Fresh> {
        let key = CursorKey { consumer: receive.consumer, queue };
        let cursor = self.cursors.get(&key)?;
        let (first, end) = self.queues.bounds(queue);
        let end = if receive.fifo { end.min(self.spreads.limit(key)) } else { end };
        (cursor.unsettled.len() < UNSETTLED_MAX).then(|| Fresh { next: cursor.next.max(first), end })
    }

    /// Whether a receive that wants the fresh message at `offset` would lease it, or park it behind
    /// others of its message group (`order_hash`).
    pub fn would_take(&self, receive: &Receive, queue: QueueKey, offset: u64, order_hash: u64) -> bool {
        let cursor = self.cursors.get(&CursorKey { consumer: receive.consumer, queue });
        cursor.is_some_and(|cursor| cursor.has_room_for(receive, offset, order_hash))
    }

    /// Entries of a queue from offset `from` on, without a gap: at most `max`, and no more than
    /// were written with the same frame. May read a row.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn entries(&self, queue: QueueKey, from: u64, max: usize) -> Result<Vec<Entry>, MachineFailure> {
        let Some(held) = self.queues.get(queue).filter(|held| (held.first..held.end).contains(&from)) else {
            return Ok(Vec::new());
        };
        let block = match held.tail_block(from) {
            Some(block) => Some(block.clone()),
            None => Block::at_or_before(self.progress.tables(), queue.numbers(), from)?.map(Arc::new),
        };
        // An offset between the bounds has a block: its absence is damage, never "no message" (R6).
        let block = block.filter(|block| block.entry(from).is_some());
        let block = block.ok_or_else(|| RowKind::Block.malformed(&from.to_be_bytes()))?;
        Ok(block.entries[(from - block.first) as usize..].iter().take(max).copied().collect())
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
            for cursor in self.busy_cursors().filter(|cursor| cursor.renewed > 0) {
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
            unsettled: cursor.map_or(0, |cursor| cursor.unsettled.len() as u64),
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
    fn has_fresh(&self, queue: &Queue, receive: &Receive, limit: u64) -> bool {
        if self.unsettled.len() >= UNSETTLED_MAX {
            return false;
        }
        let mut next = self.next.max(queue.first);
        let (mut scanned, end) = (0, queue.end.min(limit));
        while next < end && scanned < RECEIVE_SCAN_MAX {
            // What is not in memory is not worth reading: say yes.
            let Some(block) = queue.tail_block(next) else { return true };
            while let Some(entry) = block.entry(next).filter(|_| next < end) {
                if receive.filter.wants(entry.tag_hash) {
                    return self.has_room_for(receive, next, entry.order_hash);
                }
                next += 1;
                scanned += 1;
            }
        }
        scanned >= RECEIVE_SCAN_MAX
    }

    /// Only so many wait for their message group.
    fn has_room_for(&self, receive: &Receive, offset: u64, order_hash: u64) -> bool {
        let blocked = receive.fifo && self.is_blocked(offset, order_hash, u64::MAX);
        !(blocked && self.parked >= PARKED_MAX)
    }
}
