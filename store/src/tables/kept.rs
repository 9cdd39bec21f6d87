//! Messages that their queue has let go of while a consumer group has not settled them.
//!
//! ```text
//! key: 62 | u32 topic | u32 queue | u64 offset           (big endian)
//! value: varint position | varint length | u64 tag hash | u64 order hash | u64 stored_ms
//! ```
//! For each there is a row of [`super::held`] too. It goes when the last consumer group settles it.

use super::consume_queue::{Entry, QueueNumbers};
use super::row_kind::{key_u32, key_u64};
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};
use crate::position::LogPosition;

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptRow {
    /// The queue it was in.
    pub queue: QueueNumbers,
    /// Its offset there.
    pub offset: u64,
    /// What the queue knew of it.
    pub entry: Entry,
    /// When it was stored, in milliseconds since 1970.
    pub stored_ms: u64,
}

impl KeptRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(40);
        put_varint(&mut value, self.entry.position.0);
        put_varint(&mut value, u64::from(self.entry.length));
        for number in [self.entry.tag_hash, self.entry.order_hash, self.stored_ms] {
            value.extend_from_slice(&number.to_le_bytes());
        }
        batch.put(&key(self.queue, self.offset), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<KeptRow> {
        let mut reader = Reader::new(value);
        let entry = Entry {
            position: LogPosition(reader.varint()?),
            length: reader.varint32()?,
            tag_hash: reader.u64()?,
            order_hash: reader.u64()?,
            held: true,
        };
        let stored_ms = reader.u64()?;
        let queue = (key_u32(key, 1)?, key_u32(key, 5)?);
        reader.is_empty().then_some(KeptRow { queue, offset: key_u64(key, 9)?, entry, stored_ms })
    }

    /// Removes the row, if it is there.
    pub fn delete(queue: QueueNumbers, offset: u64, batch: &mut Batch) {
        batch.delete(&key(queue, offset));
    }
}

fn key(queue: QueueNumbers, offset: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(RowKind::Kept as u8);
    key.extend_from_slice(&queue.0.to_be_bytes());
    key.extend_from_slice(&queue.1.to_be_bytes());
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::KeptRow;
    use crate::position::LogPosition;
    use crate::tables::consume_queue::Entry;
    use crate::tables::{Batch, Operation};

    #[test]
    fn the_bytes_of_a_row_are_part_of_the_format() {
        let entry = Entry { position: LogPosition(300), length: 200, tag_hash: 7, order_hash: 8, held: true };
        let row = KeptRow { queue: (1, 2), offset: 3, entry, stored_ms: 9 };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(key), "6200000001000000020000000000000003");
        assert_eq!(hex(value), "ac02c801070000000000000008000000000000000900000000000000");
        assert_eq!(KeptRow::read(key, value), Some(row));
        assert_eq!(KeptRow::read(key, &value[..value.len() - 1]), None);
    }
}
