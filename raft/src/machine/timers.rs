//! Messages that wait for their time. A release gives them an offset in their queue; the bytes stay
//! where they are in the log.
//!
//! The rows are not kept in memory, so a million of them cost none: the leader only needs to know
//! when the next one falls due. Time is the log's: a message is released by a frame whose stamp has
//! reached its due time, never by an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use store::planted::{PlantedBug, planted};
use store::position::LogPosition;
use store::tables::consume_queue::Entry;
use store::tables::ended::{End, EndedRow};
use store::tables::held::Holder;
use store::tables::pending::Pending;
use store::tables::timer::{TimerKey, TimerRow};
use store::tables::{RowKind, TableStore};

use super::broker::each_row;
use super::{Machine, MachineFailure};
use crate::limits::{RELEASE_MAX, TIMERS_LISTED_MAX, TIMERS_LOOKED_AT_MAX};
use crate::names::{QueueKey, TopicId};
use crate::outcome::Outcome;
use crate::question::{TimerPlace, TimersFound, TimersWanted};
use crate::request::Rejection;

/// What no machine may look at (rule R4), for a planted bug.
fn local_clock_ms() -> u64 {
    crate::seams::wall_ms()
}

/// What is known of the waiting messages without looking at their rows.
#[derive(Default)]
pub(super) struct Timers {
    /// How many wait.
    pub count: u64,
    /// No message that waits falls due before this, in milliseconds since 1970; `None` if none waits.
    pub next_due_ms: Option<u64>,
    /// Every row up to this one is gone: a scan begins behind it, and not among what RocksDB has yet
    /// to clean up.
    gone_to: TimerKey,
    /// Rows that the frame in hand has removed, other than by a release.
    removed: BTreeSet<TimerKey>,
    /// Rows whose records the frame in hand has moved, and where to.
    moved: BTreeMap<TimerKey, LogPosition>,
    /// The earliest that the frame in hand has added: its row is not in the tables yet.
    added_due_ms: Option<u64>,
}

impl Timers {
    pub(super) fn open(tables: &impl TableStore) -> Result<Timers, MachineFailure> {
        let mut timers = Timers::default();
        each_row(tables, RowKind::Timer, |key, value| {
            let row = TimerRow::read(key, value)?;
            timers.count += 1;
            timers.next_due_ms.get_or_insert(row.key.due_ms);
            Some(())
        })?;
        Ok(timers)
    }

    pub(super) fn begin_frame(&mut self) {
        self.removed.clear();
        self.moved.clear();
        self.added_due_ms = None;
    }

    /// A row as it is in the frame in hand.
    fn row(&self, key: &[u8], value: &[u8]) -> Option<TimerRow> {
        let mut row = TimerRow::read(key, value)?;
        if let Some(to) = self.moved.get(&row.key) {
            row.message.entry.position = *to;
        }
        Some(row)
    }

    /// Notes a row that was added.
    fn added(&mut self, due_ms: u64) {
        let earlier = |before: Option<u64>| Some(before.map_or(due_ms, |before| before.min(due_ms)));
        self.count += 1;
        self.added_due_ms = earlier(self.added_due_ms);
        self.next_due_ms = earlier(self.next_due_ms);
    }
}

impl<T: TableStore> Machine<T> {
    /// Keeps a message until its time has come.
    pub(super) fn wait_until(&mut self, key: TimerKey, message: Pending) {
        TimerRow { key, message }.put(self.progress.batch());
        self.held.put(message.entry.position, message.entry.length, holder_of(key));
        self.timers.added(key.due_ms);
        self.effects.waiting_changed = true;
    }

    /// Makes messages visible that are due.
    pub(super) fn release_due(&mut self, up_to_ms: u64, max: u32) -> Result<Outcome, MachineFailure> {
        let due_ms = match planted(PlantedBug::TimerOnLocalClock) {
            false => up_to_ms.min(self.progress.stamp_ms()),
            true => local_clock_ms(),
        };
        let max = (max as usize).min(RELEASE_MAX);
        let (rows, next_due_ms) = self.due_rows(due_ms, max)?;
        let more = next_due_ms.is_some_and(|next| next <= due_ms);
        self.timers.next_due_ms = match (next_due_ms, self.timers.added_due_ms) {
            (Some(next), Some(added)) => Some(next.min(added)),
            (next, added) => next.or(added),
        };
        let mut released = 0;
        for row in rows {
            row.key.delete(self.progress.batch());
            self.timers.gone_to = row.key;
            self.timers.count -= 1;
            self.held.remove(row.message.entry.position, holder_of(row.key));
            let queue = queue_of(&row.message);
            if self.topic_is_gone(queue.topic).is_none() {
                self.append_held(queue, row.message.entry);
                self.effects.released_late_ms.push(self.progress.stamp_ms().saturating_sub(row.key.due_ms));
                released += 1;
            }
        }
        Ok(Outcome::Released { released, more })
    }

    /// The rows that are due, at most `max`, and when the one behind them is.
    fn due_rows(&self, due_ms: u64, max: usize) -> Result<(Vec<TimerRow>, Option<u64>), MachineFailure> {
        let (mut rows, mut next_due_ms, mut malformed) = (Vec::new(), None, None);
        let from = [&self.timers.gone_to.bytes()[..], &[0]].concat();
        self.progress.tables().scan(&from, Some(&RowKind::Timer.end_key()), &mut |key, value| {
            let Some(row) = self.timers.row(key, value) else {
                malformed = Some(RowKind::Timer.malformed(key));
                return ControlFlow::Break(());
            };
            if self.timers.removed.contains(&row.key) {
                return ControlFlow::Continue(());
            }
            if row.key.due_ms > due_ms || rows.len() == max {
                next_due_ms = Some(row.key.due_ms);
                return ControlFlow::Break(());
            }
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        malformed.map_or(Ok((rows, next_due_ms)), |error| Err(error.into()))
    }

    /// Takes a message back that has not fallen due. A repetition is answered like the first time.
    pub(super) fn recall(&mut self, due_ms: u64, number: u64, id: u128) -> Result<Outcome, MachineFailure> {
        let key = TimerKey { due_ms, number };
        let not_waiting = Outcome::Rejected(Rejection::NotWaiting);
        if let Some(ended) = self.ended.get(number) {
            return Ok(match ended.end == End::Recalled && ended.id == id {
                true => Outcome::Done,
                false => not_waiting,
            });
        }
        if due_ms <= self.progress.stamp_ms() || self.timers.removed.contains(&key) {
            return Ok(not_waiting);
        }
        let Some(value) = self.progress.tables().get(&key.bytes())? else { return Ok(not_waiting) };
        let row = self.timers.row(&key.bytes(), &value);
        let row = row.ok_or_else(|| RowKind::Timer.malformed(&key.bytes()))?;
        if row.message.id != id {
            return Ok(not_waiting);
        }
        key.delete(self.progress.batch());
        self.timers.removed.insert(key);
        self.held.remove(row.message.entry.position, holder_of(key));
        self.timers.count -= 1;
        let ended = EndedRow { ended_ms: self.progress.stamp_ms(), number, id, end: End::Recalled };
        self.ended.put(ended, self.progress.batch());
        Ok(Outcome::Done)
    }

    /// The record of a message that waits stands in another place of the log now.
    pub(super) fn move_timer(&mut self, key: TimerKey, to: LogPosition) -> Result<(), MachineFailure> {
        if let Some(value) = self.progress.tables().get(&key.bytes())? {
            let row = TimerRow::read(&key.bytes(), &value);
            let mut row = row.ok_or_else(|| RowKind::Timer.malformed(&key.bytes()))?;
            row.message.entry.position = to;
            row.put(self.progress.batch());
            self.timers.moved.insert(key, to);
        }
        Ok(())
    }

    /// When the next message may fall due, by the log's time, in milliseconds since 1970. It may be
    /// too early (a release then finds nothing), never too late. `None` if none waits.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers.next_due_ms
    }

    /// Messages that wait for their time, the first ones by that, among so many as may be looked at.
    pub fn timers(&self, wanted: TimersWanted) -> Result<TimersFound, MachineFailure> {
        let from = TimerKey { due_ms: wanted.from_ms, number: 0 }.max(self.timers.gone_to);
        let (mut places, mut looked_at, mut malformed) = (Vec::new(), 0, None);
        let (mut last_ms, mut cut_at_ms) = (from.due_ms, None);
        self.progress.tables().scan(&from.bytes(), Some(&RowKind::Timer.end_key()), &mut |key, value| {
            let Some(TimerRow { key, message }) = self.timers.row(key, value) else {
                malformed = Some(RowKind::Timer.malformed(key));
                return ControlFlow::Break(());
            };
            if places.len() == wanted.max.min(TIMERS_LISTED_MAX) || looked_at == TIMERS_LOOKED_AT_MAX {
                cut_at_ms = Some(last_ms);
                return ControlFlow::Break(());
            }
            (looked_at, last_ms) = (looked_at + 1, key.due_ms);
            let topic = message.queue.0;
            if !self.timers.removed.contains(&key) && wanted.topic.is_none_or(|wanted| wanted.0 == topic) {
                let Entry { position, length, .. } = message.entry;
                places.push(TimerPlace {
                    due_ms: key.due_ms,
                    number: key.number,
                    topic,
                    id: message.id,
                    position,
                    length,
                });
            }
            ControlFlow::Continue(())
        })?;
        malformed.map_or(Ok(TimersFound { places, total: self.timers.count, cut_at_ms }), |error| {
            Err(error.into())
        })
    }

    /// How many messages wait for their time.
    pub fn timer_count(&self) -> u64 {
        self.timers.count
    }
}

fn holder_of(key: TimerKey) -> Holder {
    Holder::Timer { due_ms: key.due_ms, number: key.number }
}

pub(super) fn queue_of(message: &Pending) -> QueueKey {
    QueueKey { topic: TopicId(message.queue.0), number: message.queue.1 }
}
