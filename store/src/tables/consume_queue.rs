//! Queues, and the index from a queue's offsets to the log: a block for each (queue, frame).
//!
//! ```text
//! queue  key: 10 | u32 topic | u32 queue                 (keys are big endian)
//!        value: varint first offset | varint end, at least
//! block  key: 11 | u32 topic | u32 queue | u64 first offset
//!        value: varint count | u64 stored_ms | count entries:
//!          zigzag distance of the position from the end of the entry before (from 0 for the first)
//!          varint length
//!          u8 flags: 1 tag hash, 2 the same tag hash as before, 4 order hash, 8 the same order hash,
//!            16 held: out of the queue's order, with a row of its own (see [`super::held`])
//!          u64 tag hash if flag 1 | u64 order hash if flag 4
//! ```
//! The block that holds an offset is the last one whose first offset is not behind it.

use std::ops::ControlFlow;

use super::row_kind::{key_u32, key_u64};
use super::{Batch, RowKind, TableError, TableStore};
use crate::coding::{Reader, put_varint, put_zigzag};
use crate::position::LogPosition;

const HAS_TAG: u8 = 1;
const SAME_TAG: u8 = 2;
const HAS_ORDER: u8 = 4;
const SAME_ORDER: u8 = 8;
const IS_HELD: u8 = 16;

/// Blocks of a queue that goes are removed one by one if they are no more than this.
const BLOCKS_ONE_BY_ONE: usize = 16;

/// A queue's place in the tables: the numbers of its topic and of the queue.
pub type QueueNumbers = (u32, u32);

/// One message of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where its record begins in the log.
    pub position: LogPosition,
    /// How many bytes the record has.
    pub length: u32,
    /// Hash of its tag, 0 for none.
    pub tag_hash: u64,
    /// Hash of its message group, 0 for none.
    pub order_hash: u64,
    /// The record is not in the frame that put the message into the queue, so it lies out of the
    /// queue's order; a row of [`super::held`] says so.
    pub held: bool,
}

/// The messages of a queue that came with one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The offset of the first one.
    pub first: u64,
    /// The stamp of the frame, in milliseconds since 1970.
    pub stored_ms: u64,
    /// The messages, by ascending offset.
    pub entries: Vec<Entry>,
}

impl Block {
    /// The offset behind the last entry.
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entry at `offset`, if the block has it.
    pub fn entry(&self, offset: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(offset.checked_sub(self.first)?).ok()?)
    }

    /// Writes the row.
    pub fn put(&self, queue: QueueNumbers, batch: &mut Batch) {
        let mut value = Vec::with_capacity(16 + self.entries.len() * 12);
        put_varint(&mut value, self.entries.len() as u64);
        value.extend_from_slice(&self.stored_ms.to_le_bytes());
        let (mut end, mut tag, mut order) = (0u64, 0, 0);
        for entry in &self.entries {
            put_zigzag(&mut value, entry.position.0.wrapping_sub(end) as i64);
            put_varint(&mut value, u64::from(entry.length));
            let flags = hash_flags(entry.tag_hash, tag, HAS_TAG, SAME_TAG)
                | hash_flags(entry.order_hash, order, HAS_ORDER, SAME_ORDER)
                | if entry.held { IS_HELD } else { 0 };
            value.push(flags);
            if flags & HAS_TAG != 0 {
                value.extend_from_slice(&entry.tag_hash.to_le_bytes());
            }
            if flags & HAS_ORDER != 0 {
                value.extend_from_slice(&entry.order_hash.to_le_bytes());
            }
            (tag, order) = (entry.tag_hash, entry.order_hash);
            end = entry.position.0 + u64::from(entry.length);
        }
        batch.put(&block_key(queue, self.first), &value);
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Block> {
        let first = key_u64(key, 9)?;
        let mut reader = Reader::new(value);
        let count = reader.varint()?;
        let stored_ms = reader.u64()?;
        // Three bytes an entry at least: a damaged count must not reserve memory.
        let mut entries = Vec::with_capacity(usize::try_from(count).ok()?.min(value.len() / 3));
        let (mut end, mut tag, mut order) = (0u64, 0, 0);
        for _ in 0..count {
            let position = end.wrapping_add(reader.zigzag()? as u64);
            let length = reader.varint32()?;
            let flags = reader.u8()?;
            tag = read_hash(&mut reader, flags & HAS_TAG, flags & SAME_TAG, tag)?;
            order = read_hash(&mut reader, flags & HAS_ORDER, flags & SAME_ORDER, order)?;
            end = position.checked_add(u64::from(length))?;
            entries.push(Entry {
                position: LogPosition(position),
                length,
                tag_hash: tag,
                order_hash: order,
                held: flags & IS_HELD != 0,
            });
        }
        reader.is_empty().then_some(Block { first, stored_ms, entries })
    }

    /// The last block of the queue that begins at `offset` or before it.
    ///
    /// # Errors
    /// The environment failed, or the row is malformed.
    pub fn at_or_before(
        tables: &impl TableStore,
        queue: QueueNumbers,
        offset: u64,
    ) -> Result<Option<Block>, TableError> {
        let row = tables.last(&block_key(queue, 0), &block_key(queue, offset))?;
        row.map(|(key, value)| Block::read(&key, &value).ok_or_else(|| RowKind::Block.malformed(&key)))
            .transpose()
    }

    /// Removes the blocks of a queue that begin before the offset `first`.
    pub fn delete_before(queue: QueueNumbers, first: u64, batch: &mut Batch) {
        batch.delete_range(&block_key(queue, 0), &block_key(queue, first));
    }

    /// Removes the blocks of a queue, one by one as long as they are few: a million removed ranges would
    /// weigh on every read.
    ///
    /// # Errors
    /// The environment failed.
    pub fn delete_queue(
        tables: &impl TableStore,
        queue: QueueNumbers,
        batch: &mut Batch,
    ) -> Result<(), TableError> {
        let (from, to) = (block_key(queue, 0), block_key(queue, u64::MAX));
        let mut keys = Vec::new();
        tables.scan(&from, Some(&to), &mut |key, _| {
            keys.push(key.to_vec());
            if keys.len() > BLOCKS_ONE_BY_ONE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match keys.len() > BLOCKS_ONE_BY_ONE {
            true => batch.delete_range(&from, &to),
            false => keys.iter().for_each(|key| batch.delete(key)),
        }
        Ok(())
    }

    /// Removes every block of a topic.
    pub fn delete_topic(topic: u32, batch: &mut Batch) {
        delete_topic_rows(RowKind::Block, topic, batch);
    }
}

/// The row of a queue. It is written when the queue is made and when its first offset moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// Topic and queue.
    pub queue: QueueNumbers,
    /// The first offset that can still be read.
    pub first: u64,
    /// The end of the queue if it has no block.
    pub end_at_least: u64,
}

impl QueueRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(8);
        put_varint(&mut value, self.first);
        put_varint(&mut value, self.end_at_least);
        batch.put(&queue_key(self.queue), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<QueueRow> {
        let mut reader = Reader::new(value);
        Some(QueueRow {
            queue: (key_u32(key, 1)?, key_u32(key, 5)?),
            first: reader.varint()?,
            end_at_least: reader.varint()?,
        })
    }

    /// Removes the row of a queue.
    pub fn delete(queue: QueueNumbers, batch: &mut Batch) {
        batch.delete(&queue_key(queue));
    }

    /// Removes every queue of a topic.
    pub fn delete_topic(topic: u32, batch: &mut Batch) {
        delete_topic_rows(RowKind::Queue, topic, batch);
    }
}

fn hash_flags(hash: u64, before: u64, has: u8, same: u8) -> u8 {
    match hash {
        0 => 0,
        hash if hash == before => same,
        _ => has,
    }
}

fn read_hash(reader: &mut Reader<'_>, has: u8, same: u8, before: u64) -> Option<u64> {
    match (has, same) {
        (0, 0) => Some(0),
        (0, _) => Some(before),
        _ => reader.u64(),
    }
}

fn queue_key(queue: QueueNumbers) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(RowKind::Queue as u8);
    key.extend_from_slice(&queue.0.to_be_bytes());
    key.extend_from_slice(&queue.1.to_be_bytes());
    key
}

fn block_key(queue: QueueNumbers, first: u64) -> Vec<u8> {
    let mut key = queue_key(queue);
    key[0] = RowKind::Block as u8;
    key.extend_from_slice(&first.to_be_bytes());
    key
}

fn delete_topic_rows(kind: RowKind, topic: u32, batch: &mut Batch) {
    let from = [&[kind as u8], &topic.to_be_bytes()[..]].concat();
    match topic.checked_add(1) {
        Some(next) => batch.delete_range(&from, &[&[kind as u8], &next.to_be_bytes()[..]].concat()),
        None => batch.delete_range(&from, &kind.end_key()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Block, Entry, QueueRow};
    use crate::position::LogPosition;
    use crate::tables::{Batch, MemoryTables, Operation, TableStore};

    fn entry(position: u64, length: u32, tag_hash: u64, order_hash: u64) -> Entry {
        Entry { position: LogPosition(position), length, tag_hash, order_hash, held: length % 2 == 1 }
    }

    fn bytes_of(batch: &Batch) -> String {
        let mut text = String::new();
        for operation in batch.operations() {
            let Operation::Put(key, value) = operation else { panic!("not a put: {operation:?}") };
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            text += &format!("{} = {}", hex(key), hex(value));
        }
        text
    }

    #[test]
    fn the_bytes_of_the_rows_are_part_of_the_format() {
        let mut batch = Batch::default();
        QueueRow { queue: (1, 2), first: 300, end_at_least: 5 }.put(&mut batch);
        assert_eq!(bytes_of(&batch), "100000000100000002 = ac0205");
        batch.clear();
        let entries = vec![entry(100, 50, 7, 0), entry(195, 50, 7, 9), entry(20, 1, 0, 9)];
        Block { first: 4, stored_ms: 6, entries }.put((1, 2), &mut batch);
        assert_eq!(
            bytes_of(&batch),
            "1100000001000000020000000000000004 = 030600000000000000\
             c801320107000000000000005a32060900000000000000c1030118"
        );
    }

    #[test]
    fn the_block_that_holds_an_offset_is_found() {
        let tables = MemoryTables::new();
        let mut batch = Batch::default();
        let blocks =
            [0, 3, 4].map(|first| Block { first, stored_ms: first, entries: vec![entry(1, 1, 0, 0)] });
        for block in &blocks {
            block.put((7, 1), &mut batch);
        }
        blocks[0].put((7, 0), &mut batch);
        tables.write(&batch).unwrap();
        let found = |queue, offset| Block::at_or_before(&tables, queue, offset).unwrap().map(|b| b.first);
        assert_eq!(found((7, 1), 2), Some(0));
        assert_eq!(found((7, 1), 3), Some(3));
        assert_eq!(found((7, 1), u64::MAX), Some(4));
        assert_eq!(found((7, 2), u64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_block_survives_its_encoding(
            first: u64,
            stored_ms: u64,
            raw in proptest::collection::vec((0u64..1 << 60, any::<u32>(), 0u64..3, 0u64..3), 0..20),
        ) {
            let entries = raw.into_iter().map(|(p, l, t, o)| entry(p, l, t, o)).collect();
            let block = Block { first, stored_ms, entries };
            let tables = MemoryTables::new();
            let mut batch = Batch::default();
            block.put((1, 2), &mut batch);
            tables.write(&batch).unwrap();
            prop_assert_eq!(Block::at_or_before(&tables, (1, 2), first).unwrap(), Some(block));
        }
    }
}
