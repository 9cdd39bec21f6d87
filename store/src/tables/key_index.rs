//! Where messages are by their keys: a row for each key of a message, by hours of the log's time, so
//! that what is too old goes in one range.
//!
//! ```text
//! key:   64 | u32 topic | u32 hour | u64 hash of the key | u64 ms | u32 queue | u64 number
//! value: u8 1 number is the offset | 2 number is that of a timer, ms when it is due
//!        | 3 number is that of a half message
//! ```
//! The hour is that of `ms`: when the message was stored, or when it is due.

use std::ops::ControlFlow;

use super::row_kind::{key_u32, key_u64};
use super::{Batch, RowKind, TableError, TableStore};

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// Where the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyedPlace {
    /// In its queue.
    Queued = 1,
    /// It waits for its time.
    Timer = 2,
    /// It waits for the end of its transaction.
    Half = 3,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The topic.
    pub topic: u32,
    /// The hash of the key.
    pub hash: u64,
    /// When the message was stored, or is due, in milliseconds since 1970.
    pub ms: u64,
    /// The number of its queue.
    pub queue: u32,
    /// Its offset, or the number under which it waits.
    pub number: u64,
    /// Which of the two.
    pub place: KeyedPlace,
}

/// The hour of a time.
pub fn hour_of(ms: u64) -> u32 {
    u32::try_from(ms / HOUR_MS).unwrap_or(u32::MAX)
}

impl KeyRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut key = hash_key(self.topic, hour_of(self.ms), self.hash);
        key.extend_from_slice(&self.ms.to_be_bytes());
        key.extend_from_slice(&self.queue.to_be_bytes());
        key.extend_from_slice(&self.number.to_be_bytes());
        batch.put(&key, &[self.place as u8]);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<KeyRow> {
        let place = match value {
            [1] => KeyedPlace::Queued,
            [2] => KeyedPlace::Timer,
            [3] => KeyedPlace::Half,
            _ => return None,
        };
        Some(KeyRow {
            topic: key_u32(key, 1)?,
            hash: key_u64(key, 9)?,
            ms: key_u64(key, 17)?,
            queue: key_u32(key, 25)?,
            number: key_u64(key, 29)?,
            place,
        })
    }

    /// Visits the rows of a key from a time on, by ascending time, until the visitor breaks.
    ///
    /// # Errors
    /// The environment failed, or a row is malformed.
    pub fn scan(
        tables: &impl TableStore,
        (topic, hash): (u32, u64),
        from_ms: u64,
        mut visit: impl FnMut(KeyRow) -> ControlFlow<()>,
    ) -> Result<(), TableError> {
        let mut from = hash_key(topic, hour_of(from_ms), hash);
        from.extend_from_slice(&from_ms.to_be_bytes());
        let end = topic_end(topic);
        // Each turn ends at a row of another key, and begins at the next one that may be of this.
        loop {
            let (mut next, mut malformed) = (None, None);
            tables.scan(&from, Some(&end), &mut |key, value| {
                let Some(row) = KeyRow::read(key, value) else {
                    malformed = Some(RowKind::Key.malformed(key));
                    return ControlFlow::Break(());
                };
                if row.hash == hash {
                    return visit(row);
                }
                let hour = hour_of(row.ms);
                next = Some(hash_key(topic, if row.hash < hash { hour } else { hour + 1 }, hash));
                ControlFlow::Break(())
            })?;
            match (malformed, next) {
                (Some(error), _) => return Err(error),
                (None, Some(next)) => from = next,
                (None, None) => return Ok(()),
            }
        }
    }

    /// The hour of the oldest row of each topic, by ascending topic.
    ///
    /// # Errors
    /// The environment failed, or a row is malformed.
    pub fn first_hours(tables: &impl TableStore) -> Result<Vec<(u32, u32)>, TableError> {
        let mut found: Vec<(u32, u32)> = Vec::new();
        let mut from = RowKind::Key.first_key().to_vec();
        loop {
            let mut row = None;
            tables.scan(&from, Some(&RowKind::Key.end_key()), &mut |key, value| {
                row = Some(KeyRow::read(key, value).ok_or_else(|| RowKind::Key.malformed(key)));
                ControlFlow::Break(())
            })?;
            let Some(row) = row.transpose()? else { return Ok(found) };
            found.push((row.topic, hour_of(row.ms)));
            from = topic_end(row.topic);
        }
    }

    /// Removes the rows of a topic that are older than an hour.
    pub fn delete_before(topic: u32, hour: u32, batch: &mut Batch) {
        batch.delete_range(&hour_key(topic, 0), &hour_key(topic, hour));
    }

    /// Removes every row of a topic.
    pub fn delete_topic(topic: u32, batch: &mut Batch) {
        batch.delete_range(&hour_key(topic, 0), &topic_end(topic));
    }
}

fn hour_key(topic: u32, hour: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(37);
    key.push(RowKind::Key as u8);
    key.extend_from_slice(&topic.to_be_bytes());
    key.extend_from_slice(&hour.to_be_bytes());
    key
}

fn hash_key(topic: u32, hour: u32, hash: u64) -> Vec<u8> {
    let mut key = hour_key(topic, hour);
    key.extend_from_slice(&hash.to_be_bytes());
    key
}

fn topic_end(topic: u32) -> Vec<u8> {
    match topic.checked_add(1) {
        Some(next) => [&[RowKind::Key as u8], &next.to_be_bytes()[..]].concat(),
        None => RowKind::Key.end_key().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::{HOUR_MS, KeyRow, KeyedPlace};
    use crate::tables::{Batch, MemoryTables, Operation, TableStore};
    use std::ops::ControlFlow;

    fn row(topic: u32, hash: u64, ms: u64) -> KeyRow {
        KeyRow { topic, hash, ms, queue: 2, number: ms + 1, place: KeyedPlace::Queued }
    }

    fn found(tables: &MemoryTables, topic: u32, hash: u64, from_ms: u64) -> Vec<u64> {
        let mut found = Vec::new();
        KeyRow::scan(tables, (topic, hash), from_ms, |row| {
            assert_eq!((row.topic, row.hash), (topic, hash));
            found.push(row.ms);
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }

    #[test]
    fn the_bytes_of_the_row_are_part_of_the_format() {
        let mut batch = Batch::default();
        let row =
            KeyRow { topic: 1, hash: 2, ms: HOUR_MS * 3 + 4, queue: 5, number: 6, place: KeyedPlace::Half };
        row.put(&mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        let hex = key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex, "64000000010000000300000000000000020000000000a4cb84000000050000000000000006");
        assert_eq!((value, KeyRow::read(key, value)), (&[3u8][..], Some(row)));
    }

    #[test]
    fn rows_of_a_key_are_found_over_hours_and_among_others_and_go_by_hours() {
        let tables = MemoryTables::new();
        let mut batch = Batch::default();
        for topic in [1, 2] {
            for hash in [7, 8, 9] {
                for hour in [0, 1, 5, 6] {
                    row(topic, hash, hour * HOUR_MS + hash).put(&mut batch);
                }
            }
        }
        row(1, 8, 5 * HOUR_MS + 9).put(&mut batch);
        tables.write(&batch).unwrap();
        let at = |hour: u64| hour * HOUR_MS + 8;
        assert_eq!(found(&tables, 1, 8, 0), [at(0), at(1), at(5), at(5) + 1, at(6)]);
        assert_eq!(found(&tables, 2, 8, at(5)), [at(5), at(6)]);
        assert_eq!(found(&tables, 1, 10, 0), [0; 0]);
        assert_eq!(KeyRow::first_hours(&tables).unwrap(), [(1, 0), (2, 0)]);
        batch.clear();
        KeyRow::delete_before(1, 5, &mut batch);
        KeyRow::delete_topic(2, &mut batch);
        tables.write(&batch).unwrap();
        assert_eq!(found(&tables, 1, 8, 0), [at(5), at(5) + 1, at(6)]);
        assert_eq!(KeyRow::first_hours(&tables).unwrap(), [(1, 5)]);
    }
}
