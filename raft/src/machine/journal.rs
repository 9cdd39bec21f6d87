//! The delivery journal: what became of messages, for people who ask. Nothing is decided by it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use store::tables::journal::{Happened, JournalChunk, JournalRow, JournalRun, chunk_of};
use store::tables::{Batch, TableStore};

use super::cursor::CursorKey;
use super::{Machine, MachineFailure};
use crate::limits::{JOURNAL_EVENTS_MAX, JOURNAL_LOOK_RUNS_MAX, JOURNAL_RUNS_MAX, JOURNAL_WINDOW_MS};
use crate::names::{ConsumerId, QueueKey};
use crate::question::{Happening, JournalEvent, JournalFound};

/// The journal's chunks; whole ones leave it, the oldest first. The rows stay in the tables.
#[derive(Default)]
pub(super) struct Journal {
    chunks: VecDeque<JournalChunk>,
    /// Runs in `chunks`.
    count: u64,
    /// The frame in hand.
    runs: Vec<JournalRun>,
}

impl Journal {
    pub(super) fn open(tables: &impl TableStore) -> Result<Journal, MachineFailure> {
        let chunks = VecDeque::from(JournalChunk::all(tables)?);
        let count = chunks.iter().map(|chunk| chunk.runs).sum();
        Ok(Journal { chunks, count, runs: Vec::new() })
    }

    /// Notes what happened to a message.
    pub(super) fn note(
        &mut self,
        what: Happened,
        key: CursorKey,
        offset: u64,
        (attempt, client, duration_ms): (u16, u64, u64),
    ) {
        let run = JournalRun { what, cursor: key.numbers(), offset, count: 1, attempt, client, duration_ms };
        if let Some(last) = self.runs.last_mut()
            && *last == (JournalRun { offset: last.offset, count: last.count, ..run })
            && last.offset + last.count == offset
        {
            last.count += 1;
            return;
        }
        self.runs.push(run);
    }

    /// Lets go of the chunks that are too old at `stamp_ms`.
    pub(super) fn begin_frame(&mut self, stamp_ms: u64, batch: &mut Batch) {
        let is_old = |chunk: &JournalChunk| chunk.newest_ms + JOURNAL_WINDOW_MS < stamp_ms;
        while self.chunks.front().is_some_and(is_old) {
            self.let_go(batch);
        }
    }

    /// Writes the row of the frame in hand, and lets go of the oldest chunks if there is too much.
    pub(super) fn end_frame(&mut self, index: u64, stamp_ms: u64, batch: &mut Batch) {
        if self.runs.is_empty() {
            return;
        }
        let row = JournalRow { index, stamp_ms, runs: std::mem::take(&mut self.runs) };
        row.put(batch);
        let (number, added) = (chunk_of(index), row.runs.len() as u64);
        match self.chunks.back_mut().filter(|chunk| chunk.number == number) {
            Some(chunk) => (chunk.newest_ms, chunk.runs) = (stamp_ms, chunk.runs + added),
            None => self.chunks.push_back(JournalChunk { number, newest_ms: stamp_ms, runs: added }),
        }
        self.chunks.back().expect("it was just put there").put(batch);
        self.count += added;
        self.runs = row.runs;
        self.runs.clear();
        while self.count > JOURNAL_RUNS_MAX && self.chunks.len() > 1 {
            self.let_go(batch);
        }
    }

    fn let_go(&mut self, batch: &mut Batch) {
        let chunk = self.chunks.pop_front().expect("there is one");
        self.count -= chunk.runs;
        JournalChunk::delete(chunk.number, batch);
    }
}

/// The journal as a machine had it, to be read beside it.
pub struct JournalView<T> {
    tables: T,
    chunks: Vec<JournalChunk>,
    /// The log's time.
    now_ms: u64,
}

impl<T: TableStore> Machine<T> {
    /// The journal as it is now.
    pub fn journal(&self) -> JournalView<T> {
        JournalView {
            tables: self.progress.tables().clone(),
            chunks: self.journal.chunks.iter().copied().collect(),
            now_ms: self.progress.stamp_ms(),
        }
    }
}

impl<T: TableStore> JournalView<T> {
    /// What happened to the message at `offset` since `since_ms`, by ascending time: for one consumer
    /// group, or for all. Looks at a bounded number of runs.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn find(
        &self,
        queue: QueueKey,
        offset: u64,
        consumer: Option<ConsumerId>,
        since_ms: u64,
    ) -> Result<JournalFound, MachineFailure> {
        let mut found = JournalFound { events: Vec::new(), since_ms: None, cut: false };
        let place = self.chunks.iter().position(|chunk| chunk.newest_ms >= since_ms);
        let knows_all = match place {
            // The one before it is older, and the oldest go first; before the chunk of the first entry there is none.
            Some(place) => place > 0 || self.chunks[place].number == 0,
            None => !self.chunks.is_empty() || since_ms.saturating_add(JOURNAL_WINDOW_MS) >= self.now_ms,
        };
        found.since_ms = knows_all.then_some(since_ms);
        let Some(chunk) = place.map(|place| self.chunks[place]) else { return Ok(found) };
        let mut looked_at = 0;
        JournalRow::scan(&self.tables, chunk.number, |row| {
            found.since_ms.get_or_insert(row.stamp_ms);
            looked_at += row.runs.len();
            for run in &row.runs {
                let (by, topic, number) = run.cursor;
                let here = (topic, number) == queue.numbers()
                    && consumer.is_none_or(|consumer| consumer.0 == by)
                    && offset.checked_sub(run.offset).is_some_and(|behind| behind < run.count);
                if here {
                    found.events.push(event(run, row.stamp_ms));
                }
            }
            found.cut = looked_at > JOURNAL_LOOK_RUNS_MAX || found.events.len() >= JOURNAL_EVENTS_MAX;
            if found.cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// How many runs each chunk has, by its number: for tests.
    pub fn chunks(&self) -> BTreeMap<u64, u64> {
        self.chunks.iter().map(|chunk| (chunk.number, chunk.runs)).collect()
    }
}

fn event(run: &JournalRun, at_ms: u64) -> JournalEvent {
    let what = match run.what {
        Happened::Leased => Happening::Leased,
        Happened::Settled => Happening::Settled,
        Happened::DeadLettered => Happening::DeadLettered,
        Happened::Changed if run.duration_ms == 0 => Happening::GivenBack,
        Happened::Changed => Happening::Changed,
        Happened::Released => Happening::Released,
    };
    JournalEvent {
        at_ms,
        what,
        consumer: ConsumerId(run.cursor.0),
        attempt: run.attempt,
        client: run.client,
        until_ms: at_ms.saturating_add(run.duration_ms),
    }
}
