//! Where the queues begin, in order: who needs the oldest part of the log, and whose messages are the oldest.
//! With a million lite topics nobody can ask every queue.
//!
//! What is noted of a queue may be behind the truth, never ahead of it: it is looked at again when it comes
//! first. A trim so costs nothing here.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::consume_queue::{Block, Entry};

use super::MachineFailure;
use super::queues::{Queues, stored_block};
use crate::names::{QueueKey, TopicId};

/// No offset: the position is only a lower bound.
const SOMEWHERE: u64 = u64::MAX;

/// The queues by their beginnings. Derived from them.
#[derive(Default)]
pub(super) struct Beginnings {
    /// The queues that need the log, by where from at the earliest.
    lows: BTreeSet<(LogPosition, QueueKey)>,
    /// The queues that hold messages, by topic and when the first one was stored at the earliest.
    oldest: BTreeSet<(TopicId, u64, u32)>,
}

/// What is noted of one queue.
#[derive(Clone, Copy, Default)]
pub(super) struct Beginning {
    /// The first entry that is not held out of the queue's order, and where its record is; `None` if there is
    /// none. An offset below the queue's first, or [`SOMEWHERE`]: the record lies there or behind.
    low: Option<(u64, LogPosition)>,
    /// An offset, and when the message there was stored; `None` if the queue is empty. An offset that is not
    /// the queue's first: then or later.
    oldest: Option<(u64, u64)>,
}

impl Beginning {
    /// Whether an entry that comes to the end of the queue is one to note.
    pub(super) fn lacks(&self, entry: &Entry) -> bool {
        self.oldest.is_none() || (self.low.is_none() && !entry.held)
    }
}

/// A place in the order of a topic's queues by age: behind this time and queue number.
pub type Age = (u64, u32);

impl Queues {
    /// Notes an entry that came to the end of a queue.
    pub(super) fn note_appended(&mut self, key: QueueKey, offset: u64, entry: &Entry, stamp_ms: u64) {
        let noted = self.beginning(key);
        if noted.low.is_none() && !entry.held {
            self.set_low(key, Some((offset, entry.position)));
        }
        if noted.oldest.is_none() {
            self.set_oldest(key, Some((offset, stamp_ms)));
        }
    }

    /// Notes a queue that was opened; `last` is its last block.
    pub(super) fn note_opened(&mut self, key: QueueKey, last: Option<&Block>) {
        let (first, end) = self.bounds(key);
        let Some(last) = last.filter(|_| first < end) else { return };
        // Most lite topics have one block, so this is exact; else it is found when it is needed.
        if last.first <= first {
            self.set_oldest(key, Some((first, last.stored_ms)));
            let low = first_in_order(last, first);
            self.set_low(key, low);
        } else {
            self.set_oldest(key, Some((SOMEWHERE, 0)));
            self.set_low(key, Some((SOMEWHERE, LogPosition(0))));
        }
    }

    /// Forgets a queue.
    pub(super) fn forget_beginning(&mut self, key: QueueKey) {
        self.set_low(key, None);
        self.set_oldest(key, None);
    }

    /// Where the log is needed from, and by which queue, in so many looks; `None` if they were too few.
    pub(super) fn lowest(
        &mut self,
        tables: &impl TableStore,
        looks: usize,
    ) -> Result<Option<Option<(LogPosition, QueueKey)>>, MachineFailure> {
        for _ in 0..looks {
            let Some((position, key)) = self.beginnings.lows.first().copied() else { return Ok(Some(None)) };
            if self.low_of(tables, key)? == Some(position) {
                return Ok(Some(Some((position, key))));
            }
        }
        Ok(None)
    }

    /// When the oldest message of a topic was stored.
    pub(super) fn oldest_of(
        &mut self,
        tables: &impl TableStore,
        topic: TopicId,
    ) -> Result<Option<u64>, MachineFailure> {
        loop {
            let of_it = (topic, 0, 0)..=(topic, u64::MAX, u32::MAX);
            let Some((_, noted_ms, number)) = self.beginnings.oldest.range(of_it).next().copied() else {
                return Ok(None);
            };
            let stored_ms = self.oldest_ms(tables, QueueKey { topic, number })?;
            if stored_ms == Some(noted_ms) {
                return Ok(stored_ms);
            }
        }
    }

    /// The queues of a topic whose first message was stored before `before_ms`, behind `after`, in so many
    /// looks, and where to go on.
    pub(super) fn older_than(
        &mut self,
        tables: &impl TableStore,
        topic: TopicId,
        before_ms: u64,
        after: Option<Age>,
        looks: usize,
    ) -> Result<(Vec<QueueKey>, Option<Age>), MachineFailure> {
        let (mut found, mut at) = (Vec::new(), after);
        for _ in 0..looks {
            let from = match at {
                Some((ms, number)) => Bound::Excluded((topic, ms, number)),
                None => Bound::Included((topic, 0, 0)),
            };
            let to = Bound::Excluded((topic, before_ms, 0));
            if at.is_some_and(|(ms, _)| ms >= before_ms) {
                return Ok((found, None));
            }
            let Some((_, noted_ms, number)) = self.beginnings.oldest.range((from, to)).next().copied() else {
                return Ok((found, None));
            };
            // One that is younger than was noted comes again, or is too young.
            let key = QueueKey { topic, number };
            if self.oldest_ms(tables, key)? == Some(noted_ms) {
                found.push(key);
            }
            at = Some((noted_ms, number));
        }
        Ok((found, at))
    }

    /// The topics that have messages in queues.
    pub(super) fn topics(&self) -> Vec<TopicId> {
        let mut topics = Vec::new();
        let mut from = Bound::Unbounded;
        while let Some((topic, ..)) = self.beginnings.oldest.range((from, Bound::Unbounded)).next().copied() {
            topics.push(topic);
            from = Bound::Excluded((topic, u64::MAX, u32::MAX));
        }
        topics
    }

    /// Where the first entry lies that is not held out of the queue's order.
    fn low_of(
        &mut self,
        tables: &impl TableStore,
        key: QueueKey,
    ) -> Result<Option<LogPosition>, MachineFailure> {
        let (first, end) = self.bounds(key);
        match self.beginning(key).low {
            None => return Ok(None),
            Some((offset, position)) if offset >= first && offset != SOMEWHERE => return Ok(Some(position)),
            Some(_) => {}
        }
        let (mut at, mut found) = (first, None);
        while at < end && found.is_none() {
            let block = match self.in_memory(key, at) {
                Some(block) => block,
                None => Arc::new(stored_block(tables, key, at)?),
            };
            found = first_in_order(&block, at);
            at = block.end();
        }
        self.set_low(key, found);
        Ok(found.map(|(_, position)| position))
    }

    /// When the first message of a queue was stored; `None` if it has none.
    fn oldest_ms(&mut self, tables: &impl TableStore, key: QueueKey) -> Result<Option<u64>, MachineFailure> {
        let (first, end) = self.bounds(key);
        if first == end {
            self.set_oldest(key, None);
            return Ok(None);
        }
        if let Some((_, stored_ms)) = self.beginning(key).oldest.filter(|(offset, _)| *offset == first) {
            return Ok(Some(stored_ms));
        }
        let stored_ms = match self.in_memory(key, first) {
            Some(block) => block.stored_ms,
            None => stored_block(tables, key, first)?.stored_ms,
        };
        self.set_oldest(key, Some((first, stored_ms)));
        Ok(Some(stored_ms))
    }

    fn beginning(&self, key: QueueKey) -> Beginning {
        self.get(key).map_or(Beginning::default(), |queue| queue.beginning)
    }

    fn set_low(&mut self, key: QueueKey, low: Option<(u64, LogPosition)>) {
        let Some(noted) = self.beginning_mut(key) else { return };
        let before = std::mem::replace(&mut noted.low, low);
        if let Some((_, position)) = before {
            self.beginnings.lows.remove(&(position, key));
        }
        if let Some((_, position)) = low {
            self.beginnings.lows.insert((position, key));
        }
    }

    fn set_oldest(&mut self, key: QueueKey, oldest: Option<(u64, u64)>) {
        let Some(noted) = self.beginning_mut(key) else { return };
        let before = std::mem::replace(&mut noted.oldest, oldest);
        if let Some((_, stored_ms)) = before {
            self.beginnings.oldest.remove(&(key.topic, stored_ms, key.number));
        }
        if let Some((_, stored_ms)) = oldest {
            self.beginnings.oldest.insert((key.topic, stored_ms, key.number));
        }
    }
}

impl Beginnings {
    /// Forgets a topic's queues.
    pub(super) fn delete_topic(&mut self, topic: TopicId) {
        self.lows.retain(|(_, key)| key.topic != topic);
        self.oldest.retain(|(of, ..)| *of != topic);
    }
}

/// The first entry of a block from `from` on that is not held out of the queue's order.
fn first_in_order(block: &Block, from: u64) -> Option<(u64, LogPosition)> {
    let entries = block.entries.iter().zip(block.first..).filter(|(_, offset)| *offset >= from);
    let mut in_order = entries.filter(|(entry, _)| !entry.held);
    in_order.next().map(|(entry, offset)| (offset, entry.position))
}
