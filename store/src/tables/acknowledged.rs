//! The leases that one frame settled, for the window in which a repeated acknowledgement is recognized.
//!
//! ```text
//! key: 31 | u64 frame index                              (big endian)
//! value: u64 stamp_ms | for each run:
//!   varint consumer | varint topic | varint queue | varint lease | varint offset | varint count
//! ```
//! A run stands for `count` leases whose numbers and offsets follow each other.

use super::cursor::CursorNumbers;
use super::dedup::frame_key;
use super::row_kind::key_u64;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// Leases that follow each other, with offsets that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whose they were.
    pub cursor: CursorNumbers,
    /// The first lease.
    pub lease: u64,
    /// Its offset.
    pub offset: u64,
    /// How many there are.
    pub count: u64,
}

/// The row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcknowledgedRow {
    /// The frame.
    pub index: u64,
    /// The frame's stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// What it settled, in the order of the frame.
    pub runs: Vec<Run>,
}

impl AcknowledgedRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(8 + self.runs.len() * 12);
        value.extend_from_slice(&self.stamp_ms.to_le_bytes());
        for run in &self.runs {
            for number in [run.cursor.0, run.cursor.1, run.cursor.2] {
                put_varint(&mut value, u64::from(number));
            }
            for number in [run.lease, run.offset, run.count] {
                put_varint(&mut value, number);
            }
        }
        batch.put(&frame_key(RowKind::Acknowledged, self.index), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<AcknowledgedRow> {
        let mut reader = Reader::new(value);
        let mut row = AcknowledgedRow { index: key_u64(key, 1)?, stamp_ms: reader.u64()?, runs: Vec::new() };
        while !reader.is_empty() {
            row.runs.push(Run {
                cursor: (reader.varint32()?, reader.varint32()?, reader.varint32()?),
                lease: reader.varint()?,
                offset: reader.varint()?,
                count: reader.varint()?,
            });
        }
        Some(row)
    }

    /// Removes the row of a frame.
    pub fn delete(index: u64, batch: &mut Batch) {
        batch.delete(&frame_key(RowKind::Acknowledged, index));
    }
}

#[cfg(test)]
mod tests {
    use super::{AcknowledgedRow, Run};
    use crate::tables::{Batch, Operation};

    #[test]
    fn a_row_survives_its_encoding() {
        let runs = vec![Run { cursor: (1, 2, 3), lease: 400, offset: 5, count: 32 }; 2];
        let row = AcknowledgedRow { index: 9, stamp_ms: 5, runs };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!(AcknowledgedRow::read(key, value), Some(row));
    }
}
