//! Records that somebody refers to out of the order of a queue, and how far the log is not needed any more.
//!
//! ```text
//! held   key: 61 | u64 position | u8 what | who            (big endian)
//!          what 0 timer: u64 due_ms | u64 number      what 1 half message: u64 number
//!          what 2 queue entry, what 3 kept entry: u32 topic | u32 queue | u64 offset
//!        value: varint length of the record
//! floor  key: 66                         value: varint position
//! ```
//! The entries of a queue lie in the log in the order of their offsets, so the first one says from
//! where on the queue needs the log. Whoever refers to a record in another place (a dead letter, a
//! message that was due later) writes a row here: what lies below it in the log cannot go before
//! the record is carried forward.

use std::ops::ControlFlow;

use super::consume_queue::QueueNumbers;
use super::row_kind::{key_u32, key_u64};
use super::{Batch, RowKind, TableError, TableStore};
use crate::coding::{Reader, put_varint};
use crate::position::LogPosition;

/// Who refers to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A message that is not due yet.
    Timer {
        /// When it is, in milliseconds since 1970.
        due_ms: u64,
        /// Its number: see [`super::timer`].
        number: u64,
    },
    /// A message whose transaction is open.
    Half {
        /// Its number: see [`super::half`].
        number: u64,
    },
    /// An entry of a queue that lies out of its order; it is marked as such.
    Entry {
        /// The queue.
        queue: QueueNumbers,
        /// The entry's offset.
        offset: u64,
    },
    /// A message that its queue has let go of, but not every consumer group: see [`super::kept`].
    Kept {
        /// The queue.
        queue: QueueNumbers,
        /// The message's offset.
        offset: u64,
    },
}

/// The row: where the record is, and who holds it. A record can be held by several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldKey {
    /// Where the record begins in the log.
    pub position: LogPosition,
    /// Who refers to it.
    pub holder: Holder,
}

impl HeldKey {
    /// Writes the row of a record of `length` bytes.
    pub fn put(&self, length: u32, batch: &mut Batch) {
        let mut value = Vec::with_capacity(5);
        put_varint(&mut value, u64::from(length));
        batch.put(&self.bytes(), &value);
    }

    /// Removes the row, if it is there.
    pub fn delete(&self, batch: &mut Batch) {
        batch.delete(&self.bytes());
    }

    /// Visits the rows with `from <= position < to`, ascending, each with its record's length, until
    /// the visitor breaks.
    ///
    /// # Errors
    /// The environment failed, or a row is malformed.
    pub fn scan(
        tables: &impl TableStore,
        from: LogPosition,
        to: LogPosition,
        mut visit: impl FnMut(HeldKey, u32) -> ControlFlow<()>,
    ) -> Result<(), TableError> {
        let mut malformed = None;
        tables.scan(&key_from(from), Some(&key_from(to)), &mut |key, value| match read(key, value) {
            Some((held, length)) => visit(held, length),
            None => {
                malformed = Some(RowKind::Held.malformed(key));
                ControlFlow::Break(())
            }
        })?;
        malformed.map_or(Ok(()), Err)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut key = key_from(self.position);
        match self.holder {
            Holder::Timer { due_ms, number } => {
                key.push(0);
                key.extend_from_slice(&due_ms.to_be_bytes());
                key.extend_from_slice(&number.to_be_bytes());
            }
            Holder::Half { number } => {
                key.push(1);
                key.extend_from_slice(&number.to_be_bytes());
            }
            Holder::Entry { queue, offset } => put_place(&mut key, 2, queue, offset),
            Holder::Kept { queue, offset } => put_place(&mut key, 3, queue, offset),
        }
        key
    }
}

fn put_place(key: &mut Vec<u8>, what: u8, queue: QueueNumbers, offset: u64) {
    key.push(what);
    key.extend_from_slice(&queue.0.to_be_bytes());
    key.extend_from_slice(&queue.1.to_be_bytes());
    key.extend_from_slice(&offset.to_be_bytes());
}

fn key_from(position: LogPosition) -> Vec<u8> {
    let mut key = Vec::with_capacity(26);
    key.push(RowKind::Held as u8);
    key.extend_from_slice(&position.0.to_be_bytes());
    key
}

fn read(key: &[u8], value: &[u8]) -> Option<(HeldKey, u32)> {
    let place = || Some(((key_u32(key, 10)?, key_u32(key, 14)?), key_u64(key, 18)?));
    let (holder, key_bytes) = match key.get(9)? {
        0 => (Holder::Timer { due_ms: key_u64(key, 10)?, number: key_u64(key, 18)? }, 26),
        1 => (Holder::Half { number: key_u64(key, 10)? }, 18),
        2 => place().map(|(queue, offset)| (Holder::Entry { queue, offset }, 26))?,
        3 => place().map(|(queue, offset)| (Holder::Kept { queue, offset }, 26))?,
        _ => return None,
    };
    let mut reader = Reader::new(value);
    let length = reader.varint32()?;
    let whole = key.len() == key_bytes && reader.is_empty();
    whole.then_some((HeldKey { position: LogPosition(key_u64(key, 1)?), holder }, length))
}

/// How far the log is not needed any more: nothing refers to what lies below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor(pub LogPosition);

impl Floor {
    /// Writes the row.
    pub fn put(self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(10);
        put_varint(&mut value, self.0.0);
        batch.put(&RowKind::Floor.first_key(), &value);
    }

    /// Reads the row; the log's beginning if it was never written.
    ///
    /// # Errors
    /// The environment failed, or the row is malformed.
    pub fn get(tables: &impl TableStore) -> Result<Floor, TableError> {
        let key = RowKind::Floor.first_key();
        let Some(value) = tables.get(&key)? else { return Ok(Floor::default()) };
        let position = Reader::new(&value).varint().ok_or_else(|| RowKind::Floor.malformed(&key))?;
        Ok(Floor(LogPosition(position)))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::{Floor, HeldKey, Holder};
    use crate::position::LogPosition;
    use crate::tables::{Batch, MemoryTables, Operation, TableStore};

    fn held(position: u64, holder: Holder) -> HeldKey {
        HeldKey { position: LogPosition(position), holder }
    }

    fn all() -> [HeldKey; 5] {
        [
            held(1, Holder::Half { number: 1 }),
            held(2, Holder::Timer { due_ms: 3, number: 2 }),
            held(2, Holder::Entry { queue: (4, 5), offset: 6 }),
            held(2, Holder::Kept { queue: (4, 5), offset: 6 }),
            held(1 << 40, Holder::Half { number: 9 }),
        ]
    }

    #[test]
    fn the_bytes_of_the_rows_are_part_of_the_format() {
        let mut batch = Batch::default();
        all().iter().for_each(|held| held.put(300, &mut batch));
        Floor(LogPosition(300)).put(&mut batch);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let keys = batch.operations().map(|operation| match operation {
            Operation::Put(key, value) if hex(value) == "ac02" => hex(key),
            other => panic!("{other:?}"),
        });
        let expected = [
            "610000000000000001010000000000000001",
            "6100000000000000020000000000000000030000000000000002",
            "6100000000000000020200000004000000050000000000000006",
            "6100000000000000020300000004000000050000000000000006",
            "610000010000000000010000000000000009",
            "66",
        ];
        assert_eq!(keys.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rows_are_found_by_position() {
        let tables = MemoryTables::new();
        let mut batch = Batch::default();
        all().iter().for_each(|held| held.put(7, &mut batch));
        tables.write(&batch).unwrap();
        let found = |from, to| {
            let mut found = Vec::new();
            HeldKey::scan(&tables, LogPosition(from), LogPosition(to), |held, length| {
                assert_eq!(length, 7);
                found.push(held);
                ControlFlow::Continue(())
            })
            .unwrap();
            found
        };
        assert_eq!(found(0, u64::MAX), all());
        assert_eq!(found(2, 3), all()[1..4]);
        assert_eq!(found(3, 1 << 40), []);
        batch.clear();
        all()[1].delete(&mut batch);
        tables.write(&batch).unwrap();
        assert_eq!(found(2, 3), all()[2..4]);
    }

    #[test]
    fn the_floor_begins_at_the_logs_beginning() {
        let tables = MemoryTables::new();
        assert_eq!(Floor::get(&tables).unwrap(), Floor(LogPosition(0)));
        let mut batch = Batch::default();
        Floor(LogPosition(1 << 33)).put(&mut batch);
        tables.write(&batch).unwrap();
        assert_eq!(Floor::get(&tables).unwrap(), Floor(LogPosition(1 << 33)));
    }
}
