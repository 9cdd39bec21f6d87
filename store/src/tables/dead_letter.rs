//! Where a dead letter came from, and whether it was sent again.
//!
//! ```text
//! key: 68 | u32 topic | u32 queue | u64 offset           (big endian): its place among the dead letters
//! value: varint consumer | varint topic | varint queue | varint offset | varint attempts | varint buried ms
//!        | varint times sent again | if that is not 0: varint offset | varint sent again ms
//! ```

use std::ops::ControlFlow;

use super::consume_queue::QueueNumbers;
use super::row_kind::{key_u32, key_u64};
use super::{Batch, RowKind, TableError, TableStore};
use crate::coding::{Reader, put_varint};

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// The queue of dead letters.
    pub queue: QueueNumbers,
    /// Its offset there.
    pub offset: u64,
    /// The consumer group that could not settle it.
    pub consumer: u32,
    /// The queue that it came from.
    pub from: QueueNumbers,
    /// Its offset there.
    pub from_offset: u64,
    /// How often it was delivered.
    pub attempts: u16,
    /// When it was given up, by the log's time, in milliseconds since 1970.
    pub buried_ms: u64,
    /// Where it was put again.
    pub resent: Option<Resent>,
}

/// How a dead letter went back into the queue that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resent {
    /// Its new offset there.
    pub offset: u64,
    /// When, by the log's time, in milliseconds since 1970.
    pub resent_ms: u64,
}

impl DeadLetterRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(24);
        let from = [u64::from(self.from.0), u64::from(self.from.1), self.from_offset];
        put_varint(&mut value, u64::from(self.consumer));
        for number in from.into_iter().chain([u64::from(self.attempts), self.buried_ms]) {
            put_varint(&mut value, number);
        }
        match self.resent {
            None => put_varint(&mut value, 0),
            Some(resent) => {
                for number in [1, resent.offset, resent.resent_ms] {
                    put_varint(&mut value, number);
                }
            }
        }
        batch.put(&key(self.queue, self.offset), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<DeadLetterRow> {
        let mut reader = Reader::new(value);
        Some(DeadLetterRow {
            queue: (key_u32(key, 1)?, key_u32(key, 5)?),
            offset: key_u64(key, 9)?,
            consumer: reader.varint32()?,
            from: (reader.varint32()?, reader.varint32()?),
            from_offset: reader.varint()?,
            attempts: reader.varint()?.try_into().ok()?,
            buried_ms: reader.varint()?,
            resent: match reader.varint()? {
                0 => None,
                _ => Some(Resent { offset: reader.varint()?, resent_ms: reader.varint()? }),
            },
        })
    }

    /// The row of one dead letter.
    ///
    /// # Errors
    /// The environment failed, or the row is damaged.
    pub fn get(
        tables: &impl TableStore,
        queue: QueueNumbers,
        offset: u64,
    ) -> Result<Option<DeadLetterRow>, TableError> {
        let key = key(queue, offset);
        let Some(value) = tables.get(&key)? else { return Ok(None) };
        let row = DeadLetterRow::read(&key, &value);
        row.map(Some).ok_or_else(|| RowKind::DeadLetter.malformed(&key))
    }

    /// Visits the dead letters of a queue from an offset on, ascending, until the visitor breaks.
    ///
    /// # Errors
    /// The environment failed, or a row is damaged.
    pub fn scan(
        tables: &impl TableStore,
        queue: QueueNumbers,
        from: u64,
        mut visit: impl FnMut(DeadLetterRow) -> ControlFlow<()>,
    ) -> Result<(), TableError> {
        let mut malformed = None;
        tables.scan(&key(queue, from), Some(&end_of(queue)), &mut |key, value| match DeadLetterRow::read(
            key, value,
        ) {
            Some(row) => visit(row),
            None => {
                malformed = Some(RowKind::DeadLetter.malformed(key));
                ControlFlow::Break(())
            }
        })?;
        malformed.map_or(Ok(()), Err)
    }

    /// Removes the rows of a queue before an offset, if there are any.
    ///
    /// # Errors
    /// The environment failed.
    pub fn delete_before(
        tables: &impl TableStore,
        queue: QueueNumbers,
        first: u64,
        batch: &mut Batch,
    ) -> Result<(), TableError> {
        let Some(last) = first.checked_sub(1) else { return Ok(()) };
        let (from, to) = (key(queue, 0), key(queue, last));
        if tables.last(&from, &to)?.is_some() {
            batch.delete_range(&from, &key(queue, first));
        }
        Ok(())
    }

    /// Removes the rows of a topic of dead letters.
    pub fn delete_topic(topic: u32, batch: &mut Batch) {
        let from = [&[RowKind::DeadLetter as u8], &topic.to_be_bytes()[..]].concat();
        match topic.checked_add(1) {
            Some(next) => {
                batch.delete_range(&from, &[&[RowKind::DeadLetter as u8], &next.to_be_bytes()[..]].concat());
            }
            None => batch.delete_range(&from, &RowKind::DeadLetter.end_key()),
        }
    }
}

fn key(queue: QueueNumbers, offset: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(RowKind::DeadLetter as u8);
    key.extend_from_slice(&queue.0.to_be_bytes());
    key.extend_from_slice(&queue.1.to_be_bytes());
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// The least key behind those of a queue.
fn end_of(queue: QueueNumbers) -> Vec<u8> {
    let mut end = key(queue, u64::MAX);
    end.push(0);
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{MemoryTables, Operation};

    fn row(offset: u64, resent: Option<Resent>) -> DeadLetterRow {
        DeadLetterRow {
            queue: (9, 1),
            offset,
            consumer: 7,
            from: (300, 2),
            from_offset: 1 << 40,
            attempts: 16,
            buried_ms: 1 << 41,
            resent,
        }
    }

    #[test]
    fn a_row_survives_its_encoding() {
        for resent in [None, Some(Resent { offset: 1 << 41, resent_ms: 1 << 42 })] {
            let mut batch = Batch::default();
            row(3, resent).put(&mut batch);
            let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
            assert_eq!(key, [0x68, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3]);
            assert_eq!(DeadLetterRow::read(key, value), Some(row(3, resent)));
        }
    }

    #[test]
    fn rows_go_with_the_beginning_of_their_queue() {
        let tables = MemoryTables::new();
        let mut batch = Batch::default();
        (0..5).for_each(|offset| row(offset, None).put(&mut batch));
        DeadLetterRow { queue: (9, 2), ..row(0, None) }.put(&mut batch);
        tables.write(&batch).unwrap();
        let mut batch = Batch::default();
        DeadLetterRow::delete_before(&tables, (9, 1), 3, &mut batch).unwrap();
        DeadLetterRow::delete_before(&tables, (8, 1), 3, &mut batch).unwrap();
        assert_eq!(batch.operations().count(), 1);
        tables.write(&batch).unwrap();
        let mut left = Vec::new();
        DeadLetterRow::scan(&tables, (9, 1), 0, |row| {
            left.push(row.offset);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(left, [3, 4]);
        assert_eq!(DeadLetterRow::get(&tables, (9, 1), 2).unwrap(), None);
        assert_eq!(DeadLetterRow::get(&tables, (9, 1), 3).unwrap(), Some(row(3, None)));
        let mut batch = Batch::default();
        DeadLetterRow::delete_topic(9, &mut batch);
        tables.write(&batch).unwrap();
        assert_eq!(DeadLetterRow::get(&tables, (9, 2), 0).unwrap(), None);
    }
}
