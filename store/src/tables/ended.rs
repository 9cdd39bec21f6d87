//! What became of messages that waited: recalled timers and ended transactions, remembered for a
//! while, so that a repeated request is answered like the first one and a lost transaction can be
//! looked at.
//!
//! ```text
//! key: 69 | u64 ended_ms | u64 number                    (big endian)
//! value: u128 id | u8 how: 1 recalled, 2 committed, 3 rolled back, 4 given up
//!   committed: varint topic | varint queue | varint offset
//!   given up: the message (see [`super::pending`]) | varint stored_ms | varint checks
//! ```

use super::consume_queue::QueueNumbers;
use super::pending::Pending;
use super::row_kind::key_u64;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A timer was recalled.
    Recalled,
    /// A transaction was committed: its message is here.
    Committed {
        /// The queue.
        queue: QueueNumbers,
        /// The message's offset there.
        offset: u64,
    },
    /// A transaction was rolled back.
    RolledBack,
    /// Nobody ended the transaction in time.
    GivenUp {
        /// The message.
        message: Pending,
        /// When the log took it, in milliseconds since 1970.
        stored_ms: u64,
        /// How often a producer was asked.
        checks: u32,
    },
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedRow {
    /// When it ended, by the log's time, in milliseconds since 1970.
    pub ended_ms: u64,
    /// The number of the timer or the half message.
    pub number: u64,
    /// The message id as the window of ids knows it.
    pub id: u128,
    /// How.
    pub end: End,
}

impl EndedRow {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = Vec::with_capacity(96);
        value.extend_from_slice(&self.id.to_le_bytes());
        match &self.end {
            End::Recalled => value.push(1),
            End::Committed { queue, offset } => {
                value.push(2);
                put_varint(&mut value, u64::from(queue.0));
                put_varint(&mut value, u64::from(queue.1));
                put_varint(&mut value, *offset);
            }
            End::RolledBack => value.push(3),
            End::GivenUp { message, stored_ms, checks } => {
                value.push(4);
                message.put(&mut value);
                put_varint(&mut value, *stored_ms);
                put_varint(&mut value, u64::from(*checks));
            }
        }
        batch.put(&ended_key(self.ended_ms, self.number), &value);
    }

    /// Reads a row; `None` if it is not one.
    pub fn read(key: &[u8], value: &[u8]) -> Option<EndedRow> {
        let (ended_ms, number) = (key_u64(key, 1)?, key_u64(key, 9)?);
        let mut reader = Reader::new(value);
        let id = reader.u128()?;
        let end = match reader.u8()? {
            1 => End::Recalled,
            2 => End::Committed { queue: (reader.varint32()?, reader.varint32()?), offset: reader.varint()? },
            3 => End::RolledBack,
            4 => End::GivenUp {
                message: Pending::read(&mut reader)?,
                stored_ms: reader.varint()?,
                checks: reader.varint32()?,
            },
            _ => return None,
        };
        reader.is_empty().then_some(EndedRow { ended_ms, number, id, end })
    }

    /// Removes the row.
    pub fn delete(&self, batch: &mut Batch) {
        batch.delete(&ended_key(self.ended_ms, self.number));
    }
}

fn ended_key(ended_ms: u64, number: u64) -> [u8; 17] {
    let mut key = [RowKind::Ended as u8; 17];
    key[1..9].copy_from_slice(&ended_ms.to_be_bytes());
    key[9..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::{End, EndedRow};
    use crate::position::LogPosition;
    use crate::tables::consume_queue::Entry;
    use crate::tables::pending::Pending;
    use crate::tables::{Batch, Operation};

    #[test]
    fn every_row_survives_its_encoding() {
        let entry =
            Entry { position: LogPosition(4096), length: 300, tag_hash: 5, order_hash: 0, held: false };
        let message = Pending { queue: (1, 2), entry, id: 3 };
        let given_up = End::GivenUp { message, stored_ms: 5, checks: 15 };
        for end in [End::Recalled, End::Committed { queue: (1, 2), offset: 300 }, End::RolledBack, given_up] {
            let row = EndedRow { ended_ms: 1 << 40, number: 4096, id: 3, end };
            let mut batch = Batch::default();
            row.put(&mut batch);
            let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
            assert_eq!(EndedRow::read(key, value), Some(row));
        }
    }
}
