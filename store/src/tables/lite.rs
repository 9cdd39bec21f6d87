//! Lite topics: queues of a topic that come into being with their first message, found by the hash
//! of their name.
//!
//! ```text
//! key: 67 | u32 topic | u64 name hash                    (big endian)
//! value: varint queue
//! key: 6a | u32 topic
//! value: varint number of the next queue, at least
//! ```
//! Lite topics that nobody uses go; the second row keeps the numbers of their queues from being used again.

use super::row_kind::{key_u32, key_u64};
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiteRow {
    /// The topic's number.
    pub topic: u32,
    /// Hash of the lite topic's name.
    pub name_hash: u64,
    /// The number of its queue.
    pub queue: u32,
}

impl LiteRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(5);
        put_varint(&mut value, u64::from(self.queue));
        batch.put(&lite_key(self.topic, self.name_hash), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<LiteRow> {
        let mut reader = Reader::new(value);
        let row = LiteRow { topic: key_u32(key, 1)?, name_hash: key_u64(key, 5)?, queue: reader.varint32()? };
        reader.is_empty().then_some(row)
    }

    /// Removes the row.
    pub fn delete(&self, batch: &mut Batch) {
        batch.delete(&lite_key(self.topic, self.name_hash));
    }

    /// Removes every row of a topic.
    pub fn delete_topic(topic: u32, batch: &mut Batch) {
        let mut end = lite_key(topic, u64::MAX).to_vec();
        end.push(0);
        batch.delete_range(&lite_key(topic, 0), &end);
    }
}

/// Where the numbers of a topic's next lite topics begin, if lite topics of it have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiteNumberRow {
    /// The topic's number.
    pub topic: u32,
    /// No lite topic to come has a queue of a lower number.
    pub next: u64,
}

impl LiteNumberRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(5);
        put_varint(&mut value, self.next);
        batch.put(&number_key(self.topic), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<LiteNumberRow> {
        let mut reader = Reader::new(value);
        let row = LiteNumberRow { topic: key_u32(key, 1)?, next: reader.varint()? };
        reader.is_empty().then_some(row)
    }

    /// Removes the row of a topic.
    pub fn delete(topic: u32, batch: &mut Batch) {
        batch.delete(&number_key(topic));
    }
}

fn number_key(topic: u32) -> [u8; 5] {
    let mut key = [RowKind::LiteNumber as u8; 5];
    key[1..].copy_from_slice(&topic.to_be_bytes());
    key
}

fn lite_key(topic: u32, name_hash: u64) -> [u8; 13] {
    let mut key = [RowKind::Lite as u8; 13];
    key[1..5].copy_from_slice(&topic.to_be_bytes());
    key[5..].copy_from_slice(&name_hash.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::{LiteNumberRow, LiteRow};
    use crate::tables::{Batch, Operation};

    #[test]
    fn a_row_survives_its_encoding() {
        let row = LiteRow { topic: 7, name_hash: 1 << 63, queue: 1 << 20 };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!(LiteRow::read(key, value), Some(row));
        let row = LiteNumberRow { topic: 7, next: 1 << 32 };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!(LiteNumberRow::read(key, value), Some(row));
    }
}
