//! Topics and consumer groups that are gone. Their numbers are never used again, so a late command
//! for one of them is told apart from the first command for a new one.
//!
//! ```text
//! key: 40 | u8 what: 0 topic, 1 consumer group | u32 number        (big endian)
//! value: empty
//! ```

use super::row_kind::key_u32;
use super::{Batch, RowKind};

/// What is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deleted {
    /// A topic.
    Topic(u32),
    /// A consumer group.
    Consumer(u32),
}

impl Deleted {
    /// Writes the row.
    pub fn put(self, batch: &mut Batch) {
        batch.put(&self.key(), &[]);
    }

    /// Removes the row.
    pub fn delete(self, batch: &mut Batch) {
        batch.delete(&self.key());
    }

    /// Reads a row's key; `None` if it is not one.
    pub fn read(key: &[u8]) -> Option<Deleted> {
        let number = key_u32(key, 2)?;
        match key.get(1)? {
            0 => Some(Deleted::Topic(number)),
            1 => Some(Deleted::Consumer(number)),
            _ => None,
        }
    }

    fn key(self) -> [u8; 6] {
        let (what, number) = match self {
            Deleted::Topic(number) => (0, number),
            Deleted::Consumer(number) => (1, number),
        };
        let [a, b, c, d] = number.to_be_bytes();
        [RowKind::Deleted as u8, what, a, b, c, d]
    }
}
