//! A message that is in the log but not yet in its queue: it waits for its time, or for the end of
//! its transaction.
//!
//! ```text
//! varint topic | varint queue | u64 position | varint length | u64 tag hash | u64 order hash | u128 id
//! ```

use super::consume_queue::{Entry, QueueNumbers};
use crate::coding::{Reader, put_varint};
use crate::position::LogPosition;

/// Where the message goes, and what its entry there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The queue it goes to.
    pub queue: QueueNumbers,
    /// Its entry there.
    pub entry: Entry,
    /// The message id as the window of ids knows it, 0 for none.
    pub id: u128,
}

impl Pending {
    pub(super) fn put(&self, value: &mut Vec<u8>) {
        put_varint(value, u64::from(self.queue.0));
        put_varint(value, u64::from(self.queue.1));
        value.extend_from_slice(&self.entry.position.0.to_le_bytes());
        put_varint(value, u64::from(self.entry.length));
        value.extend_from_slice(&self.entry.tag_hash.to_le_bytes());
        value.extend_from_slice(&self.entry.order_hash.to_le_bytes());
        value.extend_from_slice(&self.id.to_le_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Pending> {
        let queue = (reader.varint32()?, reader.varint32()?);
        let entry = Entry {
            position: LogPosition(reader.u64()?),
            length: reader.varint32()?,
            tag_hash: reader.u64()?,
            order_hash: reader.u64()?,
            held: false,
        };
        Some(Pending { queue, entry, id: reader.u128()? })
    }
}
