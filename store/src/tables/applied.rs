//! How far the tables are: the last applied log id, and the last applied membership.
//!
//! ```text
//! applied     key: 01                value: u64 index | u64 term | u64 leader | u64 stamp_ms
//! membership  key: 02                value: u64 index | u64 term | u64 leader | opaque bytes
//! ```

use super::{Batch, RowKind, TableError, TableStore};
use crate::coding::Reader;

/// The log id of an applied frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppliedMark {
    /// Its term.
    pub term: u64,
    /// The node that led the term.
    pub leader: u64,
    /// Its index.
    pub index: u64,
}

/// The applied row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last applied frame.
    pub mark: AppliedMark,
    /// The log's time: the greatest stamp of all applied frames, in milliseconds since 1970.
    pub stamp_ms: u64,
}

impl Applied {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = mark_bytes(self.mark);
        value.extend_from_slice(&self.stamp_ms.to_le_bytes());
        batch.put(&RowKind::Applied.first_key(), &value);
    }

    /// Reads the row; `None` if nothing was ever applied.
    ///
    /// # Errors
    /// The environment failed, or the row is malformed.
    pub fn get(tables: &impl TableStore) -> Result<Option<Applied>, TableError> {
        let key = RowKind::Applied.first_key();
        let Some(value) = tables.get(&key)? else { return Ok(None) };
        let mut reader = Reader::new(&value);
        read_mark(&mut reader)
            .zip(reader.u64())
            .map(|(mark, stamp_ms)| Some(Applied { mark, stamp_ms }))
            .ok_or_else(|| RowKind::Applied.malformed(&key))
    }
}

/// The membership row. The bytes are the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The frame that brought it.
    pub mark: AppliedMark,
    /// What it is.
    pub bytes: Vec<u8>,
}

impl Membership {
    /// Writes the row.
    pub fn put(&self, batch: &mut Batch) {
        let mut value = mark_bytes(self.mark);
        value.extend_from_slice(&self.bytes);
        batch.put(&RowKind::Membership.first_key(), &value);
    }

    /// Reads the row; `None` if no membership was ever applied.
    ///
    /// # Errors
    /// The environment failed, or the row is malformed.
    pub fn get(tables: &impl TableStore) -> Result<Option<Membership>, TableError> {
        let key = RowKind::Membership.first_key();
        let Some(value) = tables.get(&key)? else { return Ok(None) };
        let mut reader = Reader::new(&value);
        let mark = read_mark(&mut reader).ok_or_else(|| RowKind::Membership.malformed(&key))?;
        Ok(Some(Membership { mark, bytes: reader.rest().to_vec() }))
    }
}

fn mark_bytes(mark: AppliedMark) -> Vec<u8> {
    [mark.index, mark.term, mark.leader].iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn read_mark(reader: &mut Reader<'_>) -> Option<AppliedMark> {
    let (index, term, leader) = (reader.u64()?, reader.u64()?, reader.u64()?);
    Some(AppliedMark { term, leader, index })
}
