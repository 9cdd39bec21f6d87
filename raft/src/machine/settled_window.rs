//! The window in which a repeated acknowledgement is recognized: its first one may have been carried
//! out without the client having heard of it.

use std::collections::{BTreeMap, VecDeque};

use store::tables::Batch;
use store::tables::acknowledged::{AcknowledgedRow, Run};

use super::cursor::{Cursor, CursorKey};
use super::subscription::Left;
use crate::limits::{ACKNOWLEDGED_RUNS_MAX, ACKNOWLEDGED_WINDOW_MS};

/// Settled leases by frame. Whole frames leave it, the oldest first. For look-ups each cursor has
/// its own runs.
#[derive(Default)]
pub(super) struct SettledWindow {
    frames: VecDeque<AcknowledgedRow>,
    /// Runs in `frames`.
    count: usize,
    /// The frame in hand.
    runs: Vec<Run>,
}

impl SettledWindow {
    /// Remembers a lease that was settled.
    pub(super) fn put(&mut self, key: CursorKey, cursor: &mut Cursor, lease: u64, offset: u64) {
        let numbers = key.numbers();
        if let Some(run) = self.runs.last_mut()
            && run.cursor == numbers
            && run.lease + run.count == lease
            && run.offset + run.count == offset
        {
            run.count += 1;
            cursor.settled_runs.insert(run.lease, (run.offset, run.count));
            return;
        }
        self.runs.push(Run { cursor: numbers, lease, offset, count: 1 });
        cursor.settled_runs.insert(lease, (offset, 1));
    }

    /// Lets go of the frames that are too old at `stamp_ms`.
    pub(super) fn begin_frame(
        &mut self,
        stamp_ms: u64,
        cursors: &mut BTreeMap<CursorKey, Cursor>,
        batch: &mut Batch,
    ) {
        while self.frames.front().is_some_and(|frame| frame.stamp_ms + ACKNOWLEDGED_WINDOW_MS < stamp_ms) {
            self.let_go(cursors, batch);
        }
    }

    /// Writes the row of the frame in hand, and lets go of the oldest frames if there are too many runs.
    pub(super) fn end_frame(
        &mut self,
        index: u64,
        stamp_ms: u64,
        cursors: &mut BTreeMap<CursorKey, Cursor>,
        batch: &mut Batch,
    ) {
        if self.runs.is_empty() {
            return;
        }
        let row = AcknowledgedRow { index, stamp_ms, runs: std::mem::take(&mut self.runs) };
        row.put(batch);
        self.count += row.runs.len();
        self.frames.push_back(row);
        while self.count > ACKNOWLEDGED_RUNS_MAX {
            self.let_go(cursors, batch);
        }
    }

    /// Takes a row in again. Rows come in the order of their frames.
    pub(super) fn load(
        &mut self,
        row: AcknowledgedRow,
        cursors: &mut BTreeMap<CursorKey, Cursor>,
        left: &Left,
    ) {
        for run in &row.runs {
            let key = CursorKey::of(run.cursor);
            // What was settled before the consumer group left went with its cursor.
            if run.lease > left.last_lease(key)
                && let Some(cursor) = cursors.get_mut(&key)
            {
                cursor.settled_runs.insert(run.lease, (run.offset, run.count));
            }
        }
        self.count += row.runs.len();
        self.frames.push_back(row);
    }

    fn let_go(&mut self, cursors: &mut BTreeMap<CursorKey, Cursor>, batch: &mut Batch) {
        let frame = self.frames.pop_front().expect("runs belong to frames");
        for run in &frame.runs {
            // The cursor may have gone with its topic or consumer group.
            if let Some(cursor) = cursors.get_mut(&CursorKey::of(run.cursor)) {
                cursor.settled_runs.remove(&run.lease);
                cursor.fold();
            }
        }
        self.count -= frame.runs.len();
        AcknowledgedRow::delete(frame.index, batch);
    }
}

impl Cursor {
    /// Whether this lease was settled within the window.
    pub(super) fn was_settled(&self, lease: u64, offset: u64) -> bool {
        let run = self.settled_runs.range(..=lease).next_back();
        run.is_some_and(|(first, (first_offset, count))| {
            lease - first < *count && offset.checked_sub(*first_offset) == Some(lease - first)
        })
    }
}
