//! The newest lease of a consumer group in a topic whose subscription was deleted.
//!
//! ```text
//! key: 6d | u32 consumer | u32 topic   (big endian)
//! value: varint last lease
//! ```
//! Its cursors are gone, but leases go on behind it: a receipt of before must never be one of afterwards.

use super::row_kind::key_u32;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftRow {
    /// The consumer group's number.
    pub consumer: u32,
    /// The topic's number.
    pub topic: u32,
    /// No lease up to here is given again in any queue of the topic.
    pub last_lease: u64,
}

impl LeftRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(10);
        put_varint(&mut value, self.last_lease);
        batch.put(&key(self.consumer, self.topic), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<LeftRow> {
        let mut reader = Reader::new(value);
        let row =
            LeftRow { consumer: key_u32(key, 1)?, topic: key_u32(key, 5)?, last_lease: reader.varint()? };
        (key.len() == 9 && reader.is_empty()).then_some(row)
    }

    /// Removes the row.
    pub fn delete(consumer: u32, topic: u32, batch: &mut Batch) {
        batch.delete(&key(consumer, topic));
    }
}

fn key(consumer: u32, topic: u32) -> Vec<u8> {
    let mut key = vec![RowKind::Left as u8];
    key.extend_from_slice(&consumer.to_be_bytes());
    key.extend_from_slice(&topic.to_be_bytes());
    key
}
