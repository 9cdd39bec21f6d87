//! The delivery journal: what each frame leased and settled, for people who ask what became of a
//! message. A row a frame, not a row a message; and a row for each 4096 frames, so that what is too old
//! or too much goes in one range, and is known without reading the rows.
//!
//! ```text
//! frame  key: 65 | 00 | u64 frame index        value: u64 stamp_ms | runs
//! chunk  key: 65 | 01 | u64 frame index / 4096  value: u64 stamp_ms of its newest frame | varint runs
//! run    u8 flags: what (3 bits), 8 same consumer group and queue as before, 16 same client,
//!                  32 the same duration
//!        varint consumer, topic, queue unless flag 8
//!        zigzag distance of the first offset from the end of the run before | varint count
//!        varint attempt | u64 client unless flag 16 | varint duration, ms, unless flag 32
//! ```

use std::ops::ControlFlow;

use super::cursor::CursorNumbers;
use super::row_kind::key_u64;
use super::{Batch, RowKind, TableError, TableStore};
use crate::coding::{Reader, put_varint, put_zigzag};

/// Frames of one chunk, as a power of two.
const CHUNK_BITS: u32 = 12;
const FRAME: u8 = 0;
const CHUNK: u8 = 1;
const WHAT: u8 = 7;
const SAME_CURSOR: u8 = 8;
const SAME_CLIENT: u8 = 16;
const SAME_DURATION: u8 = 32;

/// What happened to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Happened {
    /// Leased to a client, for the duration.
    Leased = 1,
    /// Settled by its client.
    Settled = 2,
    /// Moved to the dead letters.
    DeadLettered = 3,
    /// The client set another end of the lease: so long from then. 0: given back.
    Changed = 4,
    /// Given back because the client left.
    Released = 5,
}

/// Messages in a row of a queue, to which the same happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalRun {
    /// What.
    pub what: Happened,
    /// Consumer group and queue.
    pub cursor: CursorNumbers,
    /// The first offset.
    pub offset: u64,
    /// How many.
    pub count: u64,
    /// Which delivery of them it was, 0 where that is not known.
    pub attempt: u16,
    /// Hash of the client id, 0 where that is not known.
    pub client: u64,
    /// How long a lease was given for, in milliseconds.
    pub duration_ms: u64,
}

/// The row of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// The frame.
    pub index: u64,
    /// Its stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// What it did, in its order.
    pub runs: Vec<JournalRun>,
}

/// The row of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalChunk {
    /// Its number.
    pub number: u64,
    /// The stamp of its newest frame, in milliseconds since 1970.
    pub newest_ms: u64,
    /// How many runs its frames have.
    pub runs: u64,
}

/// The chunk of a frame.
pub fn chunk_of(index: u64) -> u64 {
    index >> CHUNK_BITS
}

impl JournalRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(8 + self.runs.len() * 16);
        value.extend_from_slice(&self.stamp_ms.to_le_bytes());
        let (mut cursor, mut end, mut client, mut duration_ms) = (None, 0u64, 0, 0);
        for run in &self.runs {
            let flag = |is: bool, flag: u8| if is { flag } else { 0 };
            let flags = run.what as u8
                | flag(cursor == Some(run.cursor), SAME_CURSOR)
                | flag(client == run.client, SAME_CLIENT)
                | flag(duration_ms == run.duration_ms, SAME_DURATION);
            value.push(flags);
            if flags & SAME_CURSOR == 0 {
                for number in [run.cursor.0, run.cursor.1, run.cursor.2] {
                    put_varint(&mut value, u64::from(number));
                }
            }
            put_zigzag(&mut value, run.offset.wrapping_sub(end) as i64);
            put_varint(&mut value, run.count);
            put_varint(&mut value, u64::from(run.attempt));
            if flags & SAME_CLIENT == 0 {
                value.extend_from_slice(&run.client.to_le_bytes());
            }
            if flags & SAME_DURATION == 0 {
                put_varint(&mut value, run.duration_ms);
            }
            (cursor, end) = (Some(run.cursor), run.offset.wrapping_add(run.count));
            (client, duration_ms) = (run.client, run.duration_ms);
        }
        batch.put(&key(FRAME, self.index), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<JournalRow> {
        let mut reader = Reader::new(value);
        let mut row = JournalRow { index: key_u64(key, 2)?, stamp_ms: reader.u64()?, runs: Vec::new() };
        let (mut cursor, mut end, mut client, mut duration_ms) = (None, 0u64, 0, 0);
        while !reader.is_empty() {
            let flags = reader.u8()?;
            let what = match flags & WHAT {
                1 => Happened::Leased,
                2 => Happened::Settled,
                3 => Happened::DeadLettered,
                4 => Happened::Changed,
                5 => Happened::Released,
                _ => return None,
            };
            if flags & SAME_CURSOR == 0 {
                cursor = Some((reader.varint32()?, reader.varint32()?, reader.varint32()?));
            }
            let offset = end.wrapping_add(reader.zigzag()? as u64);
            let count = reader.varint()?;
            let attempt = reader.varint()?.try_into().ok()?;
            if flags & SAME_CLIENT == 0 {
                client = reader.u64()?;
            }
            if flags & SAME_DURATION == 0 {
                duration_ms = reader.varint()?;
            }
            end = offset.wrapping_add(count);
            row.runs.push(JournalRun { what, cursor: cursor?, offset, count, attempt, client, duration_ms });
        }
        Some(row)
    }

    /// Visits the rows of a chunk and of those behind it, by ascending frame, until the visitor breaks.
    ///
    /// # Errors
    /// The environment failed, or a row is malformed.
    pub fn scan(
        tables: &impl TableStore,
        from_chunk: u64,
        mut visit: impl FnMut(JournalRow) -> ControlFlow<()>,
    ) -> Result<(), TableError> {
        let (from, to) = (key(FRAME, from_chunk << CHUNK_BITS), key(CHUNK, 0));
        let mut malformed = None;
        tables.scan(&from, Some(&to), &mut |key, value| match JournalRow::read(key, value) {
            Some(row) => visit(row),
            None => {
                malformed = Some(RowKind::Journal.malformed(key));
                ControlFlow::Break(())
            }
        })?;
        malformed.map_or(Ok(()), Err)
    }
}

impl JournalChunk {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(16);
        value.extend_from_slice(&self.newest_ms.to_le_bytes());
        put_varint(&mut value, self.runs);
        batch.put(&key(CHUNK, self.number), &value);
    }

    /// Every chunk, ascending.
    ///
    /// # Errors
    /// The environment failed, or a row is malformed.
    pub fn all(tables: &impl TableStore) -> Result<Vec<JournalChunk>, TableError> {
        let (mut found, mut malformed) = (Vec::new(), None);
        tables.scan(&key(CHUNK, 0), Some(&RowKind::Journal.end_key()), &mut |key, value| {
            let mut reader = Reader::new(value);
            let mut read = || {
                Some(JournalChunk {
                    number: key_u64(key, 2)?,
                    newest_ms: reader.u64()?,
                    runs: reader.varint()?,
                })
            };
            match read() {
                Some(chunk) => {
                    found.push(chunk);
                    ControlFlow::Continue(())
                }
                None => {
                    malformed = Some(RowKind::Journal.malformed(key));
                    ControlFlow::Break(())
                }
            }
        })?;
        malformed.map_or(Ok(found), Err)
    }

    /// Removes a chunk with its frames.
    pub fn delete(number: u64, batch: &mut Batch) {
        batch.delete_range(&key(FRAME, number << CHUNK_BITS), &key(FRAME, (number + 1) << CHUNK_BITS));
        batch.delete(&key(CHUNK, number));
    }
}

fn key(part: u8, number: u64) -> [u8; 10] {
    let mut key = [RowKind::Journal as u8; 10];
    key[1] = part;
    key[2..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::{Happened, JournalChunk, JournalRow, JournalRun};
    use crate::tables::{Batch, MemoryTables, Operation, TableStore};

    fn run(what: Happened, offset: u64, count: u64) -> JournalRun {
        let cursor = (1, 2, 3);
        JournalRun { what, cursor, offset, count, attempt: 1, client: 7, duration_ms: 30_000 }
    }

    #[test]
    fn the_bytes_of_the_row_are_part_of_the_format() {
        let settled = JournalRun { client: 0, duration_ms: 0, attempt: 0, ..run(Happened::Settled, 300, 32) };
        let other = JournalRun { cursor: (1, 2, 4), ..run(Happened::Leased, 5, 1) };
        let row = JournalRow {
            index: 9,
            stamp_ms: 5,
            runs: vec![run(Happened::Leased, 300, 32), settled, run(Happened::Changed, 332, 1), other],
        };
        let mut batch = Batch::default();
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        assert_eq!(JournalRow::read(key, value), Some(row));
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(key), "65000000000000000009");
        assert_eq!(
            hex(value),
            "0500000000000000\
             01010203d80420010700000000000000b0ea01\
             0a3f2000000000000000000000\
             0c0001010700000000000000b0ea01\
             310102048f050101"
        );
    }

    #[test]
    fn a_chunk_goes_with_its_frames() {
        let tables = MemoryTables::new();
        let mut batch = Batch::default();
        for index in [4095, 4096, 5000, 8191, 8192] {
            JournalRow { index, stamp_ms: index, runs: vec![run(Happened::Leased, 0, 1)] }.put(&mut batch);
        }
        let chunks = [0, 1, 2].map(|number| JournalChunk { number, newest_ms: number, runs: 9 });
        chunks.iter().for_each(|chunk| chunk.put(&mut batch));
        JournalChunk::delete(1, &mut batch);
        tables.write(&batch).unwrap();
        assert_eq!(JournalChunk::all(&tables).unwrap(), [chunks[0], chunks[2]]);
        let mut found = Vec::new();
        JournalRow::scan(&tables, 0, |row| {
            found.push(row.index);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(found, [4095, 8192]);
    }
}
