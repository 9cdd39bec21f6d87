//! The message ids of one frame, for the window in which a repeated one is recognized.
//!
//! ```text
//! key: 30 | u64 frame index                              (big endian)
//! value: u64 stamp_ms | for each id: u128 id | varint topic | varint queue | varint place
//! place: the offset, or 2^63 and the number of a message that waits (see [`super::timer`])
//! ```

use super::consume_queue::QueueNumbers;
use super::row_kind::key_u64;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// An id and where its message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupEntry {
    /// The id.
    pub id: u128,
    /// The queue that holds the message, or will hold it.
    pub queue: QueueNumbers,
    /// Its offset there, or 2^63 and its number while it waits.
    pub place: u64,
}

/// The row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DedupRow {
    /// The frame.
    pub index: u64,
    /// The frame's stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// Its ids, in the order of the frame.
    pub entries: Vec<DedupEntry>,
}

impl DedupRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(8 + self.entries.len() * 24);
        value.extend_from_slice(&self.stamp_ms.to_le_bytes());
        for entry in &self.entries {
            value.extend_from_slice(&entry.id.to_le_bytes());
            put_varint(&mut value, u64::from(entry.queue.0));
            put_varint(&mut value, u64::from(entry.queue.1));
            put_varint(&mut value, entry.place);
        }
        batch.put(&frame_key(RowKind::Dedup, self.index), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<DedupRow> {
        let mut reader = Reader::new(value);
        let mut row = DedupRow { index: key_u64(key, 1)?, stamp_ms: reader.u64()?, entries: Vec::new() };
        while !reader.is_empty() {
            row.entries.push(DedupEntry {
                id: reader.u128()?,
                queue: (reader.varint32()?, reader.varint32()?),
                place: reader.varint()?,
            });
        }
        Some(row)
    }

    /// Removes the row of a frame.
    pub fn delete(index: u64, batch: &mut Batch) {
        batch.delete(&frame_key(RowKind::Dedup, index));
    }
}

pub(super) fn frame_key(kind: RowKind, index: u64) -> [u8; 9] {
    let mut key = [kind as u8; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::{DedupEntry, DedupRow};
    use crate::tables::{Batch, Operation};

    #[test]
    fn a_row_survives_its_encoding() {
        let entries = vec![DedupEntry { id: 1 << 127, queue: (1, 200), place: 300 }; 3];
        let row = DedupRow { index: 9, stamp_ms: 5, entries };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!((key.len(), value.len()), (9, 8 + 3 * 21));
        assert_eq!(DedupRow::read(key, value), Some(row));
    }
}
