//! Messages that wait for their time, in the order in which they fall due.
//!
//! ```text
//! key: 60 | u64 due_ms | u64 number                      (big endian)
//! value: see [`super::pending`]
//! ```
//! The number is the log position at which the message was first stored. It names the timer for as
//! long as it waits, also when its record moves in the log.

use super::pending::Pending;
use super::row_kind::key_u64;
use super::{Batch, RowKind};
use crate::coding::Reader;

/// Names a timer: when it falls due, in milliseconds since 1970, and its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    /// When the message becomes visible.
    pub due_ms: u64,
    /// Where it was first stored.
    pub number: u64,
}

impl TimerKey {
    /// The key of the row.
    pub fn bytes(self) -> [u8; 17] {
        let mut key = [RowKind::Timer as u8; 17];
        key[1..9].copy_from_slice(&self.due_ms.to_be_bytes());
        key[9..].copy_from_slice(&self.number.to_be_bytes());
        key
    }

    /// Removes the row.
    pub fn delete(self, batch: &mut Batch) {
        batch.delete(&self.bytes());
    }
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// Its name.
    pub key: TimerKey,
    /// The message.
    pub message: Pending,
}

impl TimerRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(64);
        self.message.put(&mut value);
        batch.put(&self.key.bytes(), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<TimerRow> {
        let key = TimerKey { due_ms: key_u64(key, 1)?, number: key_u64(key, 9)? };
        let mut reader = Reader::new(value);
        let message = Pending::read(&mut reader)?;
        reader.is_empty().then_some(TimerRow { key, message })
    }
}

#[cfg(test)]
mod tests {
    use super::{TimerKey, TimerRow};
    use crate::position::LogPosition;
    use crate::tables::consume_queue::Entry;
    use crate::tables::pending::Pending;
    use crate::tables::{Batch, Operation};

    #[test]
    fn a_row_survives_its_encoding_and_sorts_by_due_time() {
        let entry =
            Entry { position: LogPosition(1 << 50), length: 300, tag_hash: 5, order_hash: 0, held: false };
        let key = TimerKey { due_ms: 7, number: 9 };
        let row = TimerRow { key, message: Pending { queue: (1, 200), entry, id: 1 << 127 } };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(bytes, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!(TimerRow::read(bytes, value), Some(row));
        assert!(key.bytes() < TimerKey { due_ms: 256, number: 0 }.bytes());
    }
}
