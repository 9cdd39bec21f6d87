//! Where the queues of a topic stood when its message groups were spread over more of them, and which consumer groups
//! have settled everything before that.
//!
//! ```text
//! step:    70 | u32 topic | u32 generation   (big endian)
//! value:   varint from | varint to | varint count | count times: varint queue, varint end
//!
//! cleared: 71 | u32 topic | u32 consumer     (big endian)
//! value:   varint generation | varint moved ms
//! ```

use super::row_kind::key_u32;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// A step: message groups that were spread over the first `from` queues of a topic are spread over its first `to` ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadRow {
    /// The topic's number.
    pub topic: u32,
    /// Which step, from 1 on.
    pub generation: u32,
    /// Over so many queues before.
    pub from: u32,
    /// Over so many afterwards.
    pub to: u32,
    /// The queues of this broker group that had a message by then, ascending, each with the offset behind its last one.
    pub ends: Vec<(u32, u64)>,
}

impl SpreadRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(8 + self.ends.len() * 8);
        put_varint(&mut value, u64::from(self.from));
        put_varint(&mut value, u64::from(self.to));
        put_varint(&mut value, self.ends.len() as u64);
        for (queue, end) in &self.ends {
            put_varint(&mut value, u64::from(*queue));
            put_varint(&mut value, *end);
        }
        batch.put(&key(RowKind::Spread, self.topic, self.generation), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<SpreadRow> {
        let mut reader = Reader::new(value);
        let (topic, generation) = (key_u32(key, 1)?, key_u32(key, 5)?);
        let (from, to, count) = (reader.varint32()?, reader.varint32()?, reader.varint()?);
        let mut end = || Some((reader.varint32()?, reader.varint()?));
        let ends = (0..count).map(|_| end()).collect::<Option<_>>()?;
        (key.len() == 9 && reader.is_empty()).then_some(SpreadRow { topic, generation, from, to, ends })
    }

    /// Removes the row.
    pub fn delete(topic: u32, generation: u32, batch: &mut Batch) {
        batch.delete(&key(RowKind::Spread, topic, generation));
    }

    /// Where a queue of the topic ended.
    pub fn end_of(&self, queue: u32) -> u64 {
        let found = self.ends.binary_search_by_key(&queue, |(number, _)| *number);
        found.map_or(0, |at| self.ends[at].1)
    }
}

/// What a consumer group is known to have settled everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClearedRow {
    /// The topic's number.
    pub topic: u32,
    /// The consumer group's number.
    pub consumer: u32,
    /// Everything that came before this step; 0: nothing is known.
    pub generation: u32,
    /// When the consumer group was last moved, by the log's time, in milliseconds since 1970; 0: not since the first step.
    pub moved_ms: u64,
}

impl ClearedRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(12);
        put_varint(&mut value, u64::from(self.generation));
        put_varint(&mut value, self.moved_ms);
        batch.put(&key(RowKind::Cleared, self.topic, self.consumer), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<ClearedRow> {
        let mut reader = Reader::new(value);
        let (topic, consumer) = (key_u32(key, 1)?, key_u32(key, 5)?);
        let (generation, moved_ms) = (reader.varint32()?, reader.varint()?);
        let whole = key.len() == 9 && reader.is_empty();
        whole.then_some(ClearedRow { topic, consumer, generation, moved_ms })
    }

    /// Removes the row.
    pub fn delete(topic: u32, consumer: u32, batch: &mut Batch) {
        batch.delete(&key(RowKind::Cleared, topic, consumer));
    }
}

fn key(kind: RowKind, topic: u32, number: u32) -> Vec<u8> {
    let mut key = vec![kind as u8];
    key.extend_from_slice(&topic.to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{MemoryTables, TableStore};

    #[test]
    fn rows_are_read_back_byte_for_byte() {
        let step = SpreadRow { topic: 7, generation: 2, from: 4, to: 8, ends: vec![(0, 300), (2, 5)] };
        let cleared = ClearedRow { topic: 7, consumer: 9, generation: 2, moved_ms: 1 };
        let (tables, mut batch) = (MemoryTables::new(), Batch::default());
        step.put(&mut batch);
        cleared.put(&mut batch);
        tables.write(&batch).unwrap();
        let (key, value) = tables.last(&[0x70], &[0x70, 0xff]).unwrap().unwrap();
        assert_eq!(
            (&key[..], &value[..]),
            (&[0x70, 0, 0, 0, 7, 0, 0, 0, 2][..], &[4, 8, 2, 0, 0xac, 2, 2, 5][..])
        );
        assert_eq!(SpreadRow::read(&key, &value).as_ref(), Some(&step));
        assert_eq!((step.end_of(0), step.end_of(1), step.end_of(2)), (300, 0, 5));
        let (key, value) = tables.last(&[0x71], &[0x71, 0xff]).unwrap().unwrap();
        assert_eq!((&key[..], &value[..]), (&[0x71, 0, 0, 0, 7, 0, 0, 0, 9][..], &[2, 1][..]));
        assert_eq!(ClearedRow::read(&key, &value), Some(cleared));
        assert_eq!((SpreadRow::read(&key, &value), ClearedRow::read(&key[..8], &value)), (None, None));
    }
}
