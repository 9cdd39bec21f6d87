//! A batch of changes, in one buffer.

use std::ops::Range;

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Writes a row.
    Put(&'a [u8], &'a [u8]),
    /// Removes a row, if it is there.
    Delete(&'a [u8]),
    /// Removes the rows from the first key up to, not including, the second.
    DeleteRange(&'a [u8], &'a [u8]),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

#[derive(Clone, Debug)]
struct Entry {
    kind: Kind,
    first: Range<usize>,
    second: Range<usize>,
}

/// Changes that are written together or not at all. Later ones win. Reusable: see [`Batch::clear`].
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Batch {
    /// Writes a row.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.push(Kind::Put, key, value);
    }

    /// Removes a row.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(Kind::Delete, key, &[]);
    }

    /// Removes the rows with `from <= key < to`.
    pub fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.push(Kind::DeleteRange, from, to);
    }

    /// Forgets the changes, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// How many bytes of keys and values it holds.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The changes, in the order in which they were made.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.entries.iter().map(|entry| {
            let (first, second) = (&self.bytes[entry.first.clone()], &self.bytes[entry.second.clone()]);
            match entry.kind {
                Kind::Put => Operation::Put(first, second),
                Kind::Delete => Operation::Delete(first),
                Kind::DeleteRange => Operation::DeleteRange(first, second),
            }
        })
    }

    fn push(&mut self, kind: Kind, first: &[u8], second: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(first);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(second);
        self.entries.push(Entry { kind, first: start..middle, second: middle..self.bytes.len() });
    }
}
