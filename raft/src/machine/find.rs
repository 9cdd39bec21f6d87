//! What a search for messages asks of the machine: where ids and keys lead to.

use std::ops::ControlFlow;

use store::tables::TableStore;
use store::tables::ended::End;
use store::tables::key_index::{KeyRow, KeyedPlace};
use store::tables::timer::{TimerKey, TimerRow};

use super::window::Window;
use super::{Machine, MachineFailure, QueueView, Trimmed};
use crate::limits::FIND_RECORDS_MAX;
use crate::names::{QueueKey, TopicId};
use crate::question::{FoundPlace, Mark, MessagePlace, Wait};
use crate::request::Place;

/// What a row of the key index leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// To a message.
    Here(FoundPlace),
    /// To one that is gone.
    Gone,
    /// To one that waited, and came into its queue at a time or soon after: see [`QueueView::came_later`].
    CameLater {
        /// The queue.
        queue: QueueKey,
        /// The number under which it waited.
        number: u64,
        /// The time, in milliseconds since 1970.
        from_ms: u64,
    },
}

impl<T: TableStore> Machine<T> {
    /// Where the message with this id is, if it came lately.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn find_recent(&self, topic: TopicId, id: u128) -> Result<Option<FoundPlace>, MachineFailure> {
        let window = Window { now_ms: self.progress.stamp_ms(), length_ms: None };
        match self.dedup.get(topic, id, window) {
            None => Ok(None),
            Some((queue, Place::Queued(offset))) => self.queued_at(queue, offset.0),
            // A timer is known by its time too, which its key in the index tells.
            Some((_, Place::Waiting(number))) => self.half_at(number),
        }
    }

    /// The queue of a lite topic, by the hash of its name, if it is there.
    pub fn lite_queue(&self, topic: TopicId, name_hash: u64) -> Option<QueueKey> {
        self.lite.get(topic, name_hash)
    }

    /// Up to `max` rows of a key from `after` on, without what is behind them.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn key_rows(
        &self,
        topic: TopicId,
        hash: u64,
        after: Option<Mark>,
        max: usize,
    ) -> Result<Vec<KeyRow>, MachineFailure> {
        let mut rows = Vec::new();
        let from_ms = after.map_or(0, |after| after.stored_ms);
        KeyRow::scan(self.progress.tables(), (topic.0, hash), from_ms, |row| {
            let mark = Mark { stored_ms: row.ms, queue: row.queue, number: row.number };
            if after.is_none_or(|after| mark > after) {
                rows.push(row);
            }
            if rows.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(rows)
    }

    /// What a row of the key index leads to.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn at_key(&self, row: &KeyRow) -> Result<Keyed, MachineFailure> {
        let queue = QueueKey { topic: TopicId(row.topic), number: row.queue };
        let came_later = Keyed::CameLater { queue, number: row.number, from_ms: row.ms };
        let here = |found: Option<FoundPlace>| found.map_or(Keyed::Gone, Keyed::Here);
        match row.place {
            KeyedPlace::Queued => self.queued_at(queue, row.number).map(here),
            KeyedPlace::Half => Ok(self.half_at(row.number)?.map_or(came_later, Keyed::Here)),
            KeyedPlace::Timer => {
                let key = TimerKey { due_ms: row.ms, number: row.number };
                let Some(value) = self.progress.tables().get(&key.bytes())? else { return Ok(came_later) };
                let timer = TimerRow::read(&key.bytes(), &value);
                let timer = timer.ok_or_else(|| store::tables::RowKind::Timer.malformed(&key.bytes()))?;
                let wait = Wait::Timer { due_ms: row.ms };
                Ok(Keyed::Here(FoundPlace::waiting(row.number, row.ms, wait, &timer.message)))
            }
        }
    }

    fn queued_at(&self, queue: QueueKey, offset: u64) -> Result<Option<FoundPlace>, MachineFailure> {
        let mut found = None;
        let view = self.view(queue, offset);
        if offset < view.first {
            // The queue has let go of it, but perhaps not every consumer group.
            let kept = self.queues.kept.get(&queue).and_then(|kept| kept.get(&offset));
            return Ok(kept.map(|(entry, stored_ms)| {
                FoundPlace::queued(queue, MessagePlace::of(offset, *stored_ms, entry), entry)
            }));
        }
        // The machine stands still meanwhile, so nothing is trimmed.
        let _ = view.walk(offset, |place, entry| {
            found = Some(FoundPlace::queued(queue, place, entry));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// A message of a transaction that has not ended, or ended lately.
    fn half_at(&self, number: u64) -> Result<Option<FoundPlace>, MachineFailure> {
        if let Some(row) = self.halves.get(number) {
            let wait = Wait::Transaction { next_check_ms: row.next_check_ms, checks: row.checks };
            return Ok(Some(FoundPlace::waiting(number, row.stored_ms, wait, &row.message)));
        }
        match self.ended.get(number).map(|ended| ended.end) {
            Some(End::Committed { queue, offset }) => {
                self.queued_at(QueueKey { topic: TopicId(queue.0), number: queue.1 }, offset)
            }
            Some(End::GivenUp { message, stored_ms, checks }) => {
                Ok(Some(FoundPlace::waiting(number, stored_ms, Wait::GivenUp { checks }, &message)))
            }
            _ => Ok(None),
        }
    }
}

impl<T: TableStore> QueueView<T> {
    /// A message that waited under `number` and came into the queue at `from_ms` or soon after: its
    /// number is the position of its record. Looks at a bounded number of messages.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn came_later(
        &self,
        number: u64,
        from_ms: u64,
    ) -> Result<Result<Option<FoundPlace>, Trimmed>, MachineFailure> {
        let from = match self.first_stored_at(from_ms)? {
            Ok(from) => from,
            Err(trimmed) => return Ok(Err(trimmed)),
        };
        let (mut found, mut looked_at) = (None, 0);
        let walked = self.walk(from, |place, entry| {
            looked_at += 1;
            if entry.position.0 == number {
                found = Some(FoundPlace::queued(self.queue, place, entry));
            }
            match found.is_some() || looked_at >= FIND_RECORDS_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(walked.map(|()| found))
    }
}
