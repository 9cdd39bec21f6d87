//! Moving messages to the dead letters, and back: another entry over the same bytes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::consume_queue::Entry;
use store::tables::dead_letter::{DeadLetterRow, Resent};
use store::tables::journal::Happened;

use super::acknowledge::Standing;
use super::cursor::CursorKey;
use super::{DeadLettered, Machine, MachineFailure};
use crate::command::LeaseRef;
use crate::limits::RESEND_MAX;
use crate::names::{QueueKey, QueueOffset, TopicId};
use crate::outcome::Outcome;
use crate::request::{Rejection, ResendResult};

/// Dead letters that the frame in hand has made or changed, by their place: the tables do not show them yet.
pub(super) type DeadLetters = BTreeMap<(QueueKey, u64), DeadLetterRow>;

/// A dead letter, and where its record is and how long; nowhere once its queue has let go of it.
pub type FoundDeadLetter = (DeadLetterRow, Option<(LogPosition, u32)>);

impl<T: TableStore> Machine<T> {
    /// Moves a leased message, as its client asks.
    pub(super) fn dead_letter(
        &mut self,
        lease: &LeaseRef,
        dead_letters: QueueKey,
    ) -> Result<Outcome, MachineFailure> {
        let invalid = Ok(Outcome::Rejected(Rejection::InvalidReceipt));
        if let Some(rejected) = self.topic_is_gone(dead_letters.topic) {
            return Ok(rejected);
        }
        let (key, offset) = (lease.cursor(), lease.offset.0);
        let Some(cursor) = self.cursors.get_mut(&key) else { return invalid };
        match cursor.standing(lease, self.progress.stamp_ms()) {
            Standing::Held => {}
            Standing::Settled => return Ok(Outcome::Done),
            Standing::Over => return invalid,
        }
        let entry = self.queues.entry(self.progress.tables(), key.queue, offset)?;
        let slot = cursor.remove(offset).expect("a held lease is unsettled");
        self.settled.put(key, cursor, lease.lease, offset);
        self.touched.insert(key);
        self.free(key.consumer);
        self.wake(key.queue);
        if let Some((entry, _)) = entry {
            self.bury(key, offset, (entry, slot.attempt), dead_letters);
        }
        Ok(Outcome::Done)
    }

    /// Puts the entry into the queue of dead letters, after so many attempts. The caller has settled it.
    pub(super) fn bury(
        &mut self,
        key: CursorKey,
        offset: u64,
        (entry, attempts): (Entry, u16),
        dead_letters: QueueKey,
    ) {
        self.journal.note(Happened::DeadLettered, key, offset, (attempts, 0, 0));
        let at = self.append_held(dead_letters, entry);
        let row = DeadLetterRow {
            queue: dead_letters.numbers(),
            offset: at,
            consumer: key.consumer.0,
            from: key.queue.numbers(),
            from_offset: offset,
            attempts,
            buried_ms: self.progress.stamp_ms(),
            resent: None,
        };
        self.dead_letters.insert((dead_letters, at), row);
        let (from, to) = ((key.queue, offset), (dead_letters, at));
        self.effects.dead_lettered.push(DeadLettered { consumer: key.consumer, from, to });
    }

    /// Puts dead letters back into the queues that they came from: each once, whatever happened to the first answer.
    pub(super) fn resend(&mut self, queue: QueueKey, offsets: &[u64]) -> Result<Outcome, MachineFailure> {
        if let Some(rejected) = self.topic_is_gone(queue.topic) {
            return Ok(rejected);
        }
        if offsets.len() > RESEND_MAX {
            let why =
                format!("at most {RESEND_MAX} dead letters are sent again at once, not {}", offsets.len());
            return Ok(Outcome::Rejected(Rejection::Invalid(why)));
        }
        let results = offsets.iter().map(|offset| self.resend_one(queue, *offset));
        Ok(Outcome::Resent(results.collect::<Result<_, _>>()?))
    }

    fn resend_one(&mut self, queue: QueueKey, offset: u64) -> Result<ResendResult, MachineFailure> {
        let row = match self.dead_letters.get(&(queue, offset)) {
            Some(row) => Some(*row),
            None => DeadLetterRow::get(self.progress.tables(), queue.numbers(), offset)?,
        };
        let entry = self.queues.entry(self.progress.tables(), queue, offset)?;
        let (Some(row), Some((entry, _))) = (row, entry) else { return Ok(ResendResult::Unknown) };
        let to = QueueKey { topic: TopicId(row.from.0), number: row.from.1 };
        if let Some(resent) = row.resent {
            return Ok(ResendResult::Already { queue: to, offset: QueueOffset(resent.offset) });
        }
        if self.topic_is_gone(to.topic).is_some() || self.lite_is_gone(to) {
            return Ok(ResendResult::TopicGone);
        }
        let at = self.append_held(to, entry);
        let resent = Resent { offset: at, resent_ms: self.progress.stamp_ms() };
        self.dead_letters.insert((queue, offset), DeadLetterRow { resent: Some(resent), ..row });
        Ok(ResendResult::Resent { queue: to, offset: QueueOffset(at) })
    }

    /// What is known of up to `max` dead letters of a queue, from an offset on, and where their records are.
    ///
    /// # Errors
    /// The tables cannot be read, or are damaged.
    pub fn dead_letters(
        &self,
        queue: QueueKey,
        from: u64,
        max: usize,
    ) -> Result<Vec<FoundDeadLetter>, MachineFailure> {
        let mut rows = Vec::new();
        DeadLetterRow::scan(self.progress.tables(), queue.numbers(), from, |row| {
            if rows.len() == max {
                return ControlFlow::Break(());
            }
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        let found = rows.into_iter().map(|row| {
            let entry = self.queues.peek(self.progress.tables(), queue, row.offset)?;
            Ok((row, entry.map(|(entry, _)| (entry.position, entry.length))))
        });
        found.collect()
    }
}
