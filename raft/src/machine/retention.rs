//! Letting go of the beginning of queues, and in the end of the log, without losing what is pending.
//!
//! [`Machine::trim`] raises the first offset of a queue. What a consumer group has leased, gets again
//! or has parked stays as a kept entry until it is settled. Those that refer to records out of the
//! order of a queue are known by position ([`super::held`]); [`Machine::carry`] gives them the
//! record's new place. When nothing refers to the log below a position, [`Machine::raise_floor`]
//! says so to every replica, and each may delete its files.

use std::ops::{Bound, RangeBounds};

use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::dead_letter::DeadLetterRow;
use store::tables::held::{Floor, HeldKey, Holder};
use store::tables::kept::KeptRow;
use store::tables::lease::OFFSETS_PER_ROW;
use store::tables::timer::TimerKey;

use super::beginnings::Age;
use super::cursor::CursorKey;
use super::{FrameContext, Machine, MachineFailure};
use crate::command::{CARRY_HEADER_BYTES, COMMAND_HEADER_BYTES};
use crate::names::{QueueKey, TopicId};
use crate::outcome::Outcome;
use crate::request::Rejection;

/// Where the record of the carry command that begins at `command_at` begins in the frame's body.
pub(super) fn record_at(command_at: usize) -> u64 {
    (command_at + COMMAND_HEADER_BYTES + CARRY_HEADER_BYTES) as u64
}

/// What a look for messages that are too old found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredLook {
    /// Queues, and up to which offset their messages are.
    pub queues: Vec<(QueueKey, u64)>,
    /// Where to go on; `None` if that was all.
    pub next: Option<Age>,
}

impl<T: TableStore> Machine<T> {
    /// Lets go of what is before `first` in a queue; consumer groups that have not got so far go on there.
    pub(super) fn trim(&mut self, queue: QueueKey, first: u64) -> Result<Outcome, MachineFailure> {
        if let Some(rejected) = self.topic_is_gone(queue.topic) {
            return Ok(rejected);
        }
        let (before, end) = self.queues.bounds(queue);
        let first = first.clamp(before, end);
        let mut skipped = Vec::new();
        if first == before {
            return Ok(Outcome::Trimmed { first, skipped });
        }
        for key in self.cursors_in(queue) {
            let cursor = self.cursors.get_mut(&key).expect("it was found");
            let pending = cursor.unsettled.range(before..first).map(|(offset, _)| *offset);
            let pending = pending.collect::<Vec<_>>();
            if cursor.next < first {
                skipped.push((key.consumer, first - cursor.next.max(before)));
                cursor.next = first;
                cursor.moved = true;
                self.touched.insert(key);
            }
            for offset in pending {
                self.keep(queue, offset)?;
            }
        }
        self.queues.trim(self.progress.durability.tables(), queue, first, &mut self.progress.batch)?;
        let (tables, batch) = (self.progress.durability.tables(), &mut self.progress.batch);
        DeadLetterRow::delete_before(tables, queue.numbers(), first, batch)?;
        self.dead_letters.retain(|(of, offset), _| *of != queue || *offset >= first);
        self.expire_keys(queue.topic)?;
        self.wake(queue);
        Ok(Outcome::Trimmed { first, skipped })
    }

    /// Notes what a queue knows of a message that somebody has not settled.
    fn keep(&mut self, queue: QueueKey, offset: u64) -> Result<(), MachineFailure> {
        let Some((entry, stored_ms)) = self.queues.entry(self.progress.tables(), queue, offset)? else {
            return Ok(());
        };
        let numbers = queue.numbers();
        let entry = store::tables::consume_queue::Entry { held: true, ..entry };
        if self.queues.kept.entry(queue).or_default().insert(offset, (entry, stored_ms)).is_none() {
            KeptRow { queue: numbers, offset, entry, stored_ms }.put(self.progress.batch());
            // If it was held as an entry of the queue, it is so no more.
            self.held.remove(entry.position, Holder::Entry { queue: numbers, offset });
            self.held.put(entry.position, entry.length, Holder::Kept { queue: numbers, offset });
        }
        Ok(())
    }

    /// Lets go of the kept messages that a cursor which the frame in hand touched was the last to have.
    pub(super) fn release_settled(&mut self) {
        if self.queues.kept.is_empty() {
            return;
        }
        let keys = self.touched.iter().filter(|key| self.queues.kept.contains_key(&key.queue));
        for key in keys.copied().collect::<Vec<_>>() {
            let Some(cursor) = self.cursors.get(&key) else { continue };
            for row in cursor.dirty_rows().collect::<Vec<_>>() {
                let first = row * OFFSETS_PER_ROW;
                self.release_kept(key.queue, first..=first + (OFFSETS_PER_ROW - 1));
            }
        }
    }

    /// Lets go of the kept messages of a queue that every consumer group has settled.
    pub(super) fn release_kept(&mut self, queue: QueueKey, offsets: impl RangeBounds<u64>) {
        let Some(kept) = self.queues.kept.get(&queue) else { return };
        let some = kept.range(offsets).map(|(offset, (entry, _))| (*offset, entry.position));
        let some = some.collect::<Vec<_>>();
        if some.is_empty() {
            return;
        }
        let cursors = self.cursors_in(queue);
        for (offset, position) in some {
            if cursors.iter().any(|key| self.cursors[key].unsettled.contains_key(&offset)) {
                continue;
            }
            let kept = self.queues.kept.get_mut(&queue).expect("it has some");
            kept.remove(&offset);
            if kept.is_empty() {
                self.queues.kept.remove(&queue);
            }
            KeptRow::delete(queue.numbers(), offset, self.progress.batch());
            self.held.remove(position, Holder::Kept { queue: queue.numbers(), offset });
        }
    }

    /// Every consumer group's place in a queue, ascending.
    pub(super) fn cursors_in(&self, queue: QueueKey) -> Vec<CursorKey> {
        let mut found = Vec::new();
        let mut least = Bound::Unbounded;
        while let Some((next, _)) = self.cursors.range((least, Bound::Unbounded)).next() {
            let consumer = next.consumer;
            let key = CursorKey { consumer, queue };
            if self.cursors.contains_key(&key) {
                found.push(key);
            }
            let last = QueueKey { topic: TopicId(u32::MAX), number: u32::MAX };
            least = Bound::Excluded(CursorKey { consumer, queue: last });
        }
        found
    }

    /// Gives those who refer to the record at `from` its copy at `to`, of `length` bytes; 0 bytes only
    /// let go of the rows of those who do not refer to it any more.
    pub(super) fn carry(
        &mut self,
        from: LogPosition,
        to: LogPosition,
        length: usize,
    ) -> Result<Outcome, MachineFailure> {
        let mut holders = 0;
        for (held, held_length) in self.held.at(self.progress.tables(), from)? {
            if !self.is_in_use(&held)? {
                self.held.remove(from, held.holder);
            } else if length == held_length as usize {
                self.move_holder(held.holder, to)?;
                self.held.remove(from, held.holder);
                self.held.put(to, held_length, held.holder);
                holders += 1;
            }
        }
        Ok(Outcome::Carried { holders })
    }

    /// Whether its holder still refers to a held record.
    pub(super) fn is_in_use(&mut self, held: &HeldKey) -> Result<bool, MachineFailure> {
        let (queue, offset, kept) = match held.holder {
            Holder::Entry { queue, offset } => (queue, offset, false),
            Holder::Kept { queue, offset } => (queue, offset, true),
            // They are held as long as their rows are there.
            Holder::Timer { .. } | Holder::Half { .. } => return Ok(true),
        };
        let queue = QueueKey { topic: TopicId(queue.0), number: queue.1 };
        let (first, end) = self.queues.bounds(queue);
        let entry = match kept {
            true => self.queues.kept.get(&queue).and_then(|kept| kept.get(&offset)).map(|(entry, _)| *entry),
            false if offset < first || offset >= end => None,
            false => self.queues.entry(self.progress.tables(), queue, offset)?.map(|(entry, _)| entry),
        };
        Ok(entry.is_some_and(|entry| entry.held && entry.position == held.position))
    }

    fn move_holder(&mut self, holder: Holder, to: LogPosition) -> Result<(), MachineFailure> {
        match holder {
            Holder::Entry { queue, offset } => {
                let queue = QueueKey { topic: TopicId(queue.0), number: queue.1 };
                self.queues.move_entry(self.progress.tables(), queue, offset, to)
            }
            Holder::Kept { queue: numbers, offset } => {
                let queue = QueueKey { topic: TopicId(numbers.0), number: numbers.1 };
                let kept = self.queues.kept.get_mut(&queue).and_then(|kept| kept.get_mut(&offset));
                let (entry, stored_ms) = kept.expect("it is in use");
                entry.position = to;
                let row = KeptRow { queue: numbers, offset, entry: *entry, stored_ms: *stored_ms };
                row.put(self.progress.batch());
                Ok(())
            }
            Holder::Timer { due_ms, number } => self.move_timer(TimerKey { due_ms, number }, to),
            Holder::Half { number } => {
                self.halves.move_to(number, to, self.progress.batch());
                Ok(())
            }
        }
    }

    /// Notes that the log is not needed below `floor`, if that is so.
    pub(super) fn raise_floor(
        &mut self,
        frame: &FrameContext,
        floor: LogPosition,
    ) -> Result<Outcome, MachineFailure> {
        if floor <= self.floor {
            return Ok(Outcome::Floor(self.floor));
        }
        let refused = |why: String| Ok(Outcome::Rejected(Rejection::Invalid(why)));
        if floor > frame.position {
            return refused(format!("the log is not yet known up to {floor}"));
        }
        let tables = self.progress.durability.tables();
        if let Some((held, _)) = self.held.between(tables, LogPosition(0), floor, 1)?.first() {
            return refused(format!("the record at {} is still referred to", held.position));
        }
        if let Some(Some((lowest, queue))) = self.queues.lowest(tables, usize::MAX)?
            && lowest < floor
        {
            let QueueKey { topic, number } = queue;
            return refused(format!("queue {number} of topic {} begins at {lowest}", topic.0));
        }
        self.floor = floor;
        Floor(floor).put(self.progress.batch());
        Ok(Outcome::Floor(floor))
    }

    /// Nothing refers to what lies below in the log.
    pub fn floor(&self) -> LogPosition {
        self.floor
    }

    /// The topics that have messages.
    pub fn topics(&self) -> Vec<TopicId> {
        self.queues.topics()
    }

    /// The queues of a topic that hold messages which were stored before `before_ms`, each with the offset up to
    /// which that is so: those behind `after`, as many as so many looks find.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn expired(
        &mut self,
        topic: TopicId,
        before_ms: u64,
        after: Option<Age>,
        looks: usize,
    ) -> Result<ExpiredLook, MachineFailure> {
        let tables = self.progress.durability.tables();
        let (queues, next) = self.queues.older_than(tables, topic, before_ms, after, looks)?;
        let first = |queue| Ok((queue, self.first_stored_at(queue, before_ms)?));
        let queues = queues.into_iter().map(first).collect::<Result<_, MachineFailure>>()?;
        Ok(ExpiredLook { queues, next })
    }

    /// First and end of a queue.
    pub fn bounds(&self, queue: QueueKey) -> (u64, u64) {
        self.queues.bounds(queue)
    }

    /// Adds up the bytes of a queue's records from an offset on, of so many blocks at most: up to which
    /// offset, and how many bytes.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn add_up(&self, queue: QueueKey, from: u64, blocks: usize) -> Result<(u64, u64), MachineFailure> {
        self.queues.add_up(self.progress.tables(), queue, from, blocks)
    }

    /// Where the first record lies that a queue holds in its order: the queues need the log from there on. Looks at
    /// so many queues; `None` if they were too few to know.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn lowest_in_order(&mut self, looks: usize) -> Result<Option<Option<LogPosition>>, MachineFailure> {
        let lowest = self.queues.lowest(self.progress.durability.tables(), looks)?;
        Ok(lowest.map(|lowest| lowest.map(|(position, _)| position)))
    }

    /// The first so many held records with `from <= position < to`, ascending, each with its length and
    /// whether it is still in use.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn held_between(
        &mut self,
        from: LogPosition,
        to: LogPosition,
        max: usize,
    ) -> Result<Vec<(HeldKey, u32, bool)>, MachineFailure> {
        let held = self.held.between(self.progress.tables(), from, to, max)?;
        held.into_iter().map(|(held, length)| Ok((held, length, self.is_in_use(&held)?))).collect()
    }
}
