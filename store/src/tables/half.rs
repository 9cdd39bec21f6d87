//! Half messages: sent within a transaction that has not ended yet.
//!
//! ```text
//! key: 63 | u64 number                                   (big endian)
//! value: the message (see [`super::pending`]) | varint stored_ms | varint next check_ms | varint checks
//! ```
//! The number is the log position at which the message was first stored; see [`super::timer`].

use super::pending::Pending;
use super::row_kind::key_u64;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfRow {
    /// Names the transaction.
    pub number: u64,
    /// The message.
    pub message: Pending,
    /// When the log took it, in milliseconds since 1970.
    pub stored_ms: u64,
    /// When its producer is to be asked, by the log's time, in milliseconds since 1970.
    pub next_check_ms: u64,
    /// How often a producer was asked.
    pub checks: u32,
}

impl HalfRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(80);
        self.message.put(&mut value);
        put_varint(&mut value, self.stored_ms);
        put_varint(&mut value, self.next_check_ms);
        put_varint(&mut value, u64::from(self.checks));
        batch.put(&half_key(self.number), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<HalfRow> {
        let mut reader = Reader::new(value);
        Some(HalfRow {
            number: key_u64(key, 1)?,
            message: Pending::read(&mut reader)?,
            stored_ms: reader.varint()?,
            next_check_ms: reader.varint()?,
            checks: reader.varint32()?,
        })
    }

    /// Removes the row.
    pub fn delete(number: u64, batch: &mut Batch) {
        batch.delete(&half_key(number));
    }
}

fn half_key(number: u64) -> [u8; 9] {
    let mut key = [RowKind::Half as u8; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::HalfRow;
    use crate::position::LogPosition;
    use crate::tables::consume_queue::Entry;
    use crate::tables::pending::Pending;
    use crate::tables::{Batch, Operation};

    #[test]
    fn a_row_survives_its_encoding() {
        let entry =
            Entry { position: LogPosition(4096), length: 300, tag_hash: 5, order_hash: 0, held: false };
        let message = Pending { queue: (1, 2), entry, id: 3 };
        let row = HalfRow { number: 4096, message, stored_ms: 1 << 40, next_check_ms: 1 << 41, checks: 3 };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!(HalfRow::read(key, value), Some(row));
    }
}
