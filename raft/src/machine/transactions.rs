//! Half messages: in the log, but in no queue until their transaction is committed.

use std::collections::{BTreeMap, BTreeSet};

use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::ended::{End, EndedRow};
use store::tables::half::HalfRow;
use store::tables::held::Holder;
use store::tables::pending::Pending;
use store::tables::{Batch, RowKind};

use super::broker::each_row;
use super::held::Held;
use super::timers::queue_of;
use super::{Machine, MachineFailure, TransactionEnded};
use crate::limits::HALVES_MAX;
use crate::names::{QueueKey, QueueOffset, TopicId};
use crate::outcome::Outcome;
use crate::request::{Place, Published, Rejection, Resolution};

/// The half messages whose transactions have not ended.
#[derive(Default)]
pub(super) struct Halves {
    rows: BTreeMap<u64, HalfRow>,
    /// (next check, number)
    checks: BTreeSet<(u64, u64)>,
    /// How many there are of each topic; none of those without any.
    counts: BTreeMap<TopicId, u64>,
}

impl Halves {
    pub(super) fn open(tables: &impl TableStore) -> Result<Halves, MachineFailure> {
        let mut halves = Halves::default();
        each_row(tables, RowKind::Half, |key, value| {
            let row = HalfRow::read(key, value)?;
            halves.checks.insert((row.next_check_ms, row.number));
            halves.count(&row);
            halves.rows.insert(row.number, row);
            Some(())
        })?;
        Ok(halves)
    }

    pub(super) fn get(&self, number: u64) -> Option<&HalfRow> {
        self.rows.get(&number)
    }

    /// Writes a row, new or changed.
    pub(super) fn put(&mut self, row: HalfRow, batch: &mut Batch) {
        row.put(batch);
        self.checks.insert((row.next_check_ms, row.number));
        match self.rows.insert(row.number, row) {
            None => self.count(&row),
            Some(before) if before.next_check_ms != row.next_check_ms => {
                self.checks.remove(&(before.next_check_ms, before.number));
            }
            Some(_) => {}
        }
    }

    fn count(&mut self, row: &HalfRow) {
        *self.counts.entry(TopicId(row.message.queue.0)).or_default() += 1;
    }

    fn remove(&mut self, number: u64, batch: &mut Batch) -> Option<HalfRow> {
        let row = self.rows.remove(&number)?;
        self.checks.remove(&(row.next_check_ms, number));
        let topic = TopicId(row.message.queue.0);
        let count = self.counts.get_mut(&topic).expect("a half message is counted");
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&topic);
        }
        HalfRow::delete(number, batch);
        Some(row)
    }

    /// The record of a half message stands in another place of the log now.
    pub(super) fn move_to(&mut self, number: u64, position: LogPosition, batch: &mut Batch) {
        if let Some(row) = self.rows.get_mut(&number) {
            row.message.entry.position = position;
            row.put(batch);
        }
    }

    /// Forgets those of a topic.
    pub(super) fn delete_topic(&mut self, topic: TopicId, held: &mut Held, batch: &mut Batch) {
        let of_it = self.rows.values().filter(|row| row.message.queue.0 == topic.0);
        for number in of_it.map(|row| row.number).collect::<Vec<_>>() {
            let row = self.remove(number, batch).expect("it was there a moment ago");
            held.remove(row.message.entry.position, Holder::Half { number });
        }
    }
}

impl<T: TableStore> Machine<T> {
    /// Keeps a message until its transaction ends.
    pub(super) fn begin_transaction(
        &mut self,
        number: u64,
        message: Pending,
        check_after_ms: u64,
    ) -> Result<(), Rejection> {
        if self.halves.rows.len() >= HALVES_MAX {
            let why = format!("{HALVES_MAX} transactions of this broker group have not ended yet");
            return Err(Rejection::Full(why));
        }
        let stored_ms = self.progress.stamp_ms();
        let next_check_ms = stored_ms.saturating_add(check_after_ms);
        let row = HalfRow { number, message, stored_ms, next_check_ms, checks: 0 };
        self.effects.waiting_changed = true;
        self.halves.put(row, self.progress.batch());
        self.held.put(message.entry.position, message.entry.length, Holder::Half { number });
        Ok(())
    }

    /// Ends a transaction; a repetition is answered like the first time, and another message is
    /// never touched: number and id must both fit.
    pub(super) fn end_transaction(&mut self, number: u64, id: u128, resolution: Resolution) -> Outcome {
        if let Some(ended) = self.ended.get(number).filter(|ended| ended.id == id) {
            return ended_already(&ended.end, resolution);
        }
        let known = self.halves.rows.get(&number).filter(|row| row.message.id == id);
        if known.is_none() {
            return over("no transaction of this id is open: it ended a while ago, or never was");
        }
        let row = self.halves.remove(number, self.progress.batch()).expect("it is known");
        self.held.remove(row.message.entry.position, Holder::Half { number });
        let stamp_ms = self.progress.stamp_ms();
        let queue = queue_of(&row.message);
        let waited_ms = stamp_ms.saturating_sub(row.stored_ms);
        self.effects.transactions_ended.push(TransactionEnded { topic: queue.topic, resolution, waited_ms });
        let (end, outcome) = match resolution {
            Resolution::Commit => {
                let offset = self.append_held(queue, row.message.entry);
                let place = Place::Queued(QueueOffset(offset));
                let published = Published { queue, place, duplicate: false };
                (End::Committed { queue: queue.numbers(), offset }, Outcome::Published(published))
            }
            Resolution::Rollback => (End::RolledBack, Outcome::Done),
            Resolution::GiveUp => {
                let HalfRow { message, stored_ms, checks, .. } = row;
                (End::GivenUp { message, stored_ms, checks }, Outcome::Done)
            }
        };
        self.ended.put(EndedRow { ended_ms: stamp_ms, number, id, end }, self.progress.batch());
        outcome
    }

    /// Counts a check of each, if it counts, and sets when the next one is due.
    pub(super) fn note_checks(&mut self, numbers: &[u64], again_after_ms: u64, counted: bool) -> Outcome {
        let next_check_ms = self.progress.stamp_ms().saturating_add(again_after_ms);
        for number in numbers {
            if let Some(row) = self.halves.rows.get(number).copied() {
                let row =
                    HalfRow { next_check_ms, checks: row.checks.saturating_add(u32::from(counted)), ..row };
                self.halves.put(row, self.progress.batch());
            }
        }
        Outcome::Done
    }

    /// Half messages whose check is due at `now_ms` (the log's time), those first that wait longest.
    pub fn checks_due(&self, now_ms: u64, max: usize) -> Vec<HalfRow> {
        let due = self.halves.checks.range(..=(now_ms, u64::MAX)).take(max);
        due.map(|(_, number)| self.halves.rows[number]).collect()
    }

    /// When the next check is due, by the log's time, in milliseconds since 1970.
    pub fn next_check_ms(&self) -> Option<u64> {
        self.halves.checks.first().map(|(next_ms, _)| *next_ms)
    }

    /// The half messages, from the oldest on.
    pub fn half_messages(&self) -> impl Iterator<Item = &HalfRow> {
        self.halves.rows.values()
    }

    /// How many half messages there are of each topic that has some.
    pub fn half_counts(&self) -> &BTreeMap<TopicId, u64> {
        &self.halves.counts
    }

    /// The half messages that were given up within the last day, the oldest first.
    pub fn given_up(&self) -> impl Iterator<Item = &EndedRow> {
        self.ended.given_up()
    }
}

fn ended_already(end: &End, resolution: Resolution) -> Outcome {
    match (end, resolution) {
        (End::Committed { queue, offset }, Resolution::Commit) => Outcome::Published(Published {
            queue: QueueKey { topic: TopicId(queue.0), number: queue.1 },
            place: Place::Queued(QueueOffset(*offset)),
            duplicate: true,
        }),
        (End::RolledBack, Resolution::Rollback) | (End::GivenUp { .. }, Resolution::GiveUp) => Outcome::Done,
        (End::Committed { .. }, _) => over("the transaction was committed before"),
        (End::RolledBack, _) => over("the transaction was rolled back before"),
        (End::GivenUp { .. }, _) => over("the transaction was given up: nobody ended it in time"),
        (End::Recalled, _) => over("it was a delayed message, and recalled"),
    }
}

fn over(why: &str) -> Outcome {
    Outcome::Rejected(Rejection::TransactionOver(why.into()))
}
