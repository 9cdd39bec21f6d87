//! What became of messages that waited, for as long as it is remembered.

use std::collections::{BTreeMap, VecDeque};

use store::tables::ended::{End, EndedRow};
use store::tables::{Batch, RowKind, TableStore};

use super::MachineFailure;
use super::broker::each_row;
use crate::limits::{ENDED_MAX, ENDED_WINDOW_MS, GIVEN_UP_MAX, GIVEN_UP_WINDOW_MS};

/// Recalled timers and ended transactions, by number.
#[derive(Default)]
pub(super) struct EndedWindow {
    rows: BTreeMap<u64, EndedRow>,
    /// Numbers in the order in which they ended; those that were given up apart: they stay longer.
    ended: VecDeque<u64>,
    given_up: VecDeque<u64>,
}

impl EndedWindow {
    pub(super) fn open(tables: &impl TableStore) -> Result<EndedWindow, MachineFailure> {
        let mut window = EndedWindow::default();
        each_row(tables, RowKind::Ended, |key, value| {
            window.load(EndedRow::read(key, value)?);
            Some(())
        })?;
        Ok(window)
    }

    pub(super) fn get(&self, number: u64) -> Option<&EndedRow> {
        self.rows.get(&number)
    }

    pub(super) fn given_up(&self) -> impl Iterator<Item = &EndedRow> {
        self.given_up.iter().map(|number| &self.rows[number])
    }

    /// Remembers an end.
    pub(super) fn put(&mut self, row: EndedRow, batch: &mut Batch) {
        row.put(batch);
        self.load(row);
    }

    fn load(&mut self, row: EndedRow) {
        let order = match row.end {
            End::GivenUp { .. } => &mut self.given_up,
            _ => &mut self.ended,
        };
        order.push_back(row.number);
        self.rows.insert(row.number, row);
    }

    /// Lets go of what is too old at `stamp_ms`, or too much.
    pub(super) fn begin_frame(&mut self, stamp_ms: u64, batch: &mut Batch) {
        let bounds = [
            (&mut self.ended, ENDED_WINDOW_MS, ENDED_MAX),
            (&mut self.given_up, GIVEN_UP_WINDOW_MS, GIVEN_UP_MAX),
        ];
        for (order, window_ms, max) in bounds {
            while let Some(number) = order.front() {
                if self.rows[number].ended_ms + window_ms >= stamp_ms && order.len() <= max {
                    break;
                }
                self.rows.remove(number).expect("what is in order has a row").delete(batch);
                order.pop_front();
            }
        }
    }
}
