//! The tables: everything that is derived from the log, as sorted rows.
//!
//! A row's key begins with a byte that says its kind ([`RowKind`]); each kind has its own file,
//! which documents the bytes of its key and its value. The log is the write-ahead log: a batch is
//! atomic but durable only after [`TableStore::flush`], and the batch holds the applied log id, so
//! that what is missing after a crash is applied again.

mod batch;
mod file;
mod memory;
mod rocks;
mod row_kind;

pub mod acknowledged;
pub mod applied;
pub mod catalog;
pub mod consume_queue;
pub mod cursor;
pub mod dead_letter;
pub mod dedup;
pub mod deleted;
pub mod ended;
pub mod half;
pub mod held;
pub mod journal;
pub mod kept;
pub mod key_index;
pub mod lease;
pub mod left;
pub mod lite;
pub mod pending;
pub mod spread;
pub mod timer;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use batch::{Batch, Operation};
pub use file::FileTables;
pub use memory::MemoryTables;
pub use rocks::{RocksTables, TableOptions};
pub use row_kind::RowKind;

/// What a group keeps its tables in.
#[cfg(not(feature = "memory-tables"))]
pub type GroupTables = RocksTables;
/// What a group keeps its tables in, in a simulation.
#[cfg(feature = "memory-tables")]
pub type GroupTables = FileTables;

/// A row that was found: its key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// A checksum over all rows of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDigest {
    /// CRC-64/NVME over the lengths and the bytes of all keys and values, in the order of the keys.
    pub checksum: u64,
    /// How many rows there are.
    pub rows: u64,
}

/// A digest asks so often, in rows, whether it is still wanted.
const DIGEST_LOOK_EVERY: u64 = 4096;

/// Who is told when tables cannot give back what they were given.
pub type OnDiskFault = Box<dyn Fn(String) + Send + Sync>;

/// What a scan calls with the key and the value of each row.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Why the tables could not be read or written. Always an error of the environment or damage:
/// the node must stop (rule R5).
#[derive(Debug, Error)]
pub enum TableError {
    /// RocksDB failed.
    #[error("the tables in {path}: {source}")]
    Rocks {
        /// Where the tables are.
        path: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A row does not have the bytes that its kind has.
    #[error("a {kind} row is malformed: key {key:02x?}")]
    Malformed {
        /// The kind of the row.
        kind: &'static str,
        /// Its key.
        key: Vec<u8>,
    },
}

/// Sorted rows with atomic batches. A handle is cheap to clone and all clones are the same tables.
///
/// One thread writes; others may read, flush and checkpoint meanwhile.
pub trait TableStore: Clone + Send + Sync + 'static {
    /// The value of a row.
    ///
    /// # Errors
    /// The environment failed.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError>;

    /// The last row with `from <= key <= to`.
    ///
    /// # Errors
    /// The environment failed.
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, TableError>;

    /// Visits the rows with `from <= key`, and `key < to` if there is a `to`, in ascending order
    /// until the visitor breaks.
    ///
    /// # Errors
    /// The environment failed.
    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut Visitor<'_>) -> Result<(), TableError>;

    /// Writes a batch: all of it or nothing, and never before an earlier one.
    ///
    /// # Errors
    /// The environment failed.
    fn write(&self, batch: &Batch) -> Result<(), TableError>;

    /// Returns when every batch that was written before the call is on disk.
    ///
    /// # Errors
    /// The environment failed.
    fn flush(&self) -> Result<(), TableError>;

    /// Puts a copy into the directory `to`, which must not exist. Nothing may be written meanwhile.
    ///
    /// # Errors
    /// The environment failed.
    fn checkpoint(&self, to: &Path) -> Result<(), TableError>;

    /// Visits all rows in ascending order, as they were when `begun` was called: what is written after that is not
    /// seen. So whoever knows what the rows stand for can hold the writer up for no longer than that.
    ///
    /// # Errors
    /// The environment failed.
    fn scan_frozen(&self, begun: &mut dyn FnMut(), visit: &mut Visitor<'_>) -> Result<(), TableError> {
        // Where there is no cheap picture of the rows, they stand still until all of them were seen.
        self.scan(&[], None, visit)?;
        begun();
        Ok(())
    }

    /// A checksum over all rows in the order of their keys. Depends on nothing but the rows: two
    /// replicas that applied the same log have the same digest (rule R4).
    ///
    /// Reads every row. `begun` is called as soon as the rows may change: see [`TableStore::scan_frozen`]. Ends with
    /// nothing when `wanted` says that nobody waits for it any more.
    ///
    /// # Errors
    /// The environment failed.
    fn digest_while(
        &self,
        begun: &mut dyn FnMut(),
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Option<TableDigest>, TableError> {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        let (mut rows, mut given_up) = (0, false);
        self.scan_frozen(begun, &mut |key, value| {
            given_up = rows % DIGEST_LOOK_EVERY == 0 && !wanted();
            if given_up {
                return ControlFlow::Break(());
            }
            rows += 1;
            digest.update(&(key.len() as u32).to_le_bytes());
            digest.update(key);
            digest.update(&(value.len() as u32).to_le_bytes());
            digest.update(value);
            ControlFlow::Continue(())
        })?;
        Ok((!given_up).then(|| TableDigest { checksum: digest.finalize(), rows }))
    }

    /// Reads every row, and what is hidden by a newer one, past the caches, and holds it against its checksums. Blocks of
    /// which a range took everything away are not read.
    ///
    /// # Errors
    /// Something is damaged, or the environment failed.
    fn check(&self) -> Result<(), TableError> {
        self.scan(&[], None, &mut |_, _| ControlFlow::Continue(()))
    }

    /// [`TableStore::digest_while`] to the end, where nothing is written meanwhile.
    ///
    /// # Errors
    /// The environment failed.
    fn digest(&self) -> Result<u64, TableError> {
        let digest = self.digest_while(&mut || {}, &mut || true)?;
        Ok(digest.expect("it was wanted to its end").checksum)
    }
}
