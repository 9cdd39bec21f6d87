//! Where a consumer group stands in a queue.
//!
//! ```text
//! key: 20 | u32 consumer | u32 topic | u32 queue         (big endian)
//! value: varint next | varint last lease
//! ```
//! What lies below `next` and has no entry in a [`super::lease`] row is settled.

use super::row_kind::key_u32;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// A consumer group's place in a queue: the numbers of consumer group, topic and queue.
pub type CursorNumbers = (u32, u32, u32);

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorRow {
    /// Whose it is.
    pub cursor: CursorNumbers,
    /// The first offset that was never delivered, nor passed over.
    pub next: u64,
    /// The newest lease; they count from 1.
    pub last_lease: u64,
}

impl CursorRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(12);
        put_varint(&mut value, self.next);
        put_varint(&mut value, self.last_lease);
        batch.put(&cursor_key(RowKind::Cursor, self.cursor), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<CursorRow> {
        let mut reader = Reader::new(value);
        Some(CursorRow { cursor: cursor_numbers(key)?, next: reader.varint()?, last_lease: reader.varint()? })
    }

    /// Removes the row.
    pub fn delete(cursor: CursorNumbers, batch: &mut Batch) {
        batch.delete(&cursor_key(RowKind::Cursor, cursor));
    }
}

pub(super) fn cursor_key(kind: RowKind, cursor: CursorNumbers) -> Vec<u8> {
    let mut key = Vec::with_capacity(21);
    key.push(kind as u8);
    for number in [cursor.0, cursor.1, cursor.2] {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

pub(super) fn cursor_numbers(key: &[u8]) -> Option<CursorNumbers> {
    Some((key_u32(key, 1)?, key_u32(key, 5)?, key_u32(key, 9)?))
}
