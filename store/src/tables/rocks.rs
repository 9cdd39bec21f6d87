//! Tables in RocksDB: one column family, no write-ahead log (the CommitLog is it).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, FlushOptions, IteratorMode, Options,
    ReadOptions, WriteBatch, WriteOptions,
};

use super::{Batch, OnDiskFault, Operation, Row, TableError, TableStore, Visitor};

/// A memtable is never smaller, whatever the budget.
const MEMTABLE_BYTES_MIN: usize = 1 << 20;
/// A memtable is never larger: a flush should be short.
const MEMTABLE_BYTES_MAX: usize = 64 << 20;
/// One is written while another is flushed.
const MEMTABLES: i32 = 2;
const CHECK_AHEAD_BYTES: usize = 2 << 20;
const OPEN_FILES_MAX: i32 = 256;
const BLOCK_BYTES: usize = 16 << 10;
const INFO_LOGS_KEPT: usize = 2;
const INFO_LOG_BYTES_MAX: usize = 1 << 20;

/// How much the tables of one group may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// Memory for memtables and the block cache together, in bytes: three quarters and one quarter.
    pub memory_bytes: usize,
}

impl Default for TableOptions {
    fn default() -> TableOptions {
        TableOptions { memory_bytes: 48 << 20 }
    }
}

struct Shared {
    // Closed before the directory goes: fields are dropped in this order.
    db: DB,
    directory: Directory,
    unlogged: WriteOptions,
    on_disk_fault: OnceLock<OnDiskFault>,
}

/// Where the files are.
struct Directory {
    path: PathBuf,
    retired: AtomicBool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed)
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            // The next start removes it.
            tracing::warn!(path = %self.path.display(), %error, "outdated tables could not be removed");
        }
    }
}

/// Tables in RocksDB. Clones are the same tables; the last one closes them.
#[derive(Clone)]
pub struct RocksTables {
    shared: Arc<Shared>,
}

impl RocksTables {
    /// Opens the tables in `path`, and makes them if they are not there.
    ///
    /// # Errors
    /// RocksDB cannot open them: another process has them, the disk fails, or they are damaged.
    pub fn open(path: &Path, options: TableOptions) -> Result<RocksTables, TableError> {
        let db = DB::open(&database_options(options), path)
            .map_err(|source| TableError::Rocks { path: path.to_path_buf(), source })?;
        Ok(RocksTables::over(db, path))
    }

    /// Opens the tables in `path` to look at them; nothing can be written.
    ///
    /// # Errors
    /// There are none, or they are damaged.
    pub fn open_read_only(path: &Path) -> Result<RocksTables, TableError> {
        let mut options = database_options(TableOptions::default());
        options.create_if_missing(false);
        let db = DB::open_for_read_only(&options, path, false)
            .map_err(|source| TableError::Rocks { path: path.to_path_buf(), source })?;
        Ok(RocksTables::over(db, path))
    }

    fn over(db: DB, path: &Path) -> RocksTables {
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let directory = Directory { path: path.to_path_buf(), retired: AtomicBool::new(false) };
        RocksTables { shared: Arc::new(Shared { db, directory, unlogged, on_disk_fault: OnceLock::new() }) }
    }

    /// Others have taken their place: the files are removed when the last handle is dropped.
    pub fn retire(&self) {
        self.shared.directory.retired.store(true, Ordering::Relaxed);
    }

    /// Calls `listener` with a sentence whenever something is not as it was written, or the disk cannot give it: whoever
    /// reads or writes must not go on then. There is one listener.
    pub fn on_disk_fault(&self, listener: OnDiskFault) {
        let _ = self.shared.on_disk_fault.set(listener);
    }

    fn error(&self, source: rocksdb::Error) -> TableError {
        let is_fault = is_disk_fault(&source);
        let error = TableError::Rocks { path: self.shared.directory.path.clone(), source };
        if let Some(listener) = self.shared.on_disk_fault.get().filter(|_| is_fault) {
            listener(error.to_string());
        }
        error
    }
}

/// Not a disk that is full, nor a process that has too many files open.
fn is_disk_fault(error: &rocksdb::Error) -> bool {
    match error.kind() {
        rocksdb::ErrorKind::Corruption => true,
        // Its errors are strings: what the system calls EIO.
        rocksdb::ErrorKind::IOError => error.as_ref().contains("Input/output error"),
        _ => false,
    }
}

fn database_options(table: TableOptions) -> Options {
    let memtables_bytes = table.memory_bytes / 4 * 3;
    let memtable_bytes = (memtables_bytes / MEMTABLES as usize).clamp(MEMTABLE_BYTES_MIN, MEMTABLE_BYTES_MAX);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(table.memory_bytes / 4));
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_format_version(5);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    // What is young is rewritten soon, and most of it is hashes: compressing it would cost the path of a message.
    let (none, lz4) = (DBCompressionType::None, DBCompressionType::Lz4);
    options.set_compression_per_level(&[none, none, lz4, lz4, lz4, lz4, lz4]);
    options.set_write_buffer_size(memtable_bytes);
    options.set_max_write_buffer_number(MEMTABLES);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(INFO_LOGS_KEPT);
    options.set_max_log_file_size(INFO_LOG_BYTES_MAX);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

impl TableStore for RocksTables {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.shared.db.get(key).map_err(|source| self.error(source))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, TableError> {
        let mut read = ReadOptions::default();
        read.set_iterate_lower_bound(from);
        let mut rows = self.shared.db.raw_iterator_opt(read);
        rows.seek_for_prev(to);
        rows.status().map_err(|source| self.error(source))?;
        Ok(rows.item().map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut Visitor<'_>) -> Result<(), TableError> {
        let mut read = ReadOptions::default();
        if let Some(to) = to {
            read.set_iterate_upper_bound(to);
        }
        read.fill_cache(false);
        let mode = IteratorMode::From(from, Direction::Forward);
        for row in self.shared.db.iterator_opt(mode, read) {
            let (key, value) = row.map_err(|source| self.error(source))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_frozen(&self, begun: &mut dyn FnMut(), visit: &mut Visitor<'_>) -> Result<(), TableError> {
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        // An iterator sees the rows of the moment in which it was made.
        let rows = self.shared.db.iterator_opt(IteratorMode::Start, read);
        begun();
        for row in rows {
            let (key, value) = row.map_err(|source| self.error(source))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TableError> {
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        read.set_readahead_size(CHECK_AHEAD_BYTES);
        for row in self.shared.db.iterator_opt(IteratorMode::Start, read) {
            row.map_err(|source| self.error(source))?;
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), TableError> {
        let mut changes = WriteBatch::with_capacity_bytes(batch.size_bytes() + 1024);
        for operation in batch.operations() {
            match operation {
                Operation::Put(key, value) => changes.put(key, value),
                Operation::Delete(key) => changes.delete(key),
                Operation::DeleteRange(from, to) => changes.delete_range(from, to),
            }
        }
        self.shared.db.write_opt(changes, &self.shared.unlogged).map_err(|source| self.error(source))
    }

    fn flush(&self) -> Result<(), TableError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.shared.db.flush_opt(&options).map_err(|source| self.error(source))
    }

    fn checkpoint(&self, to: &Path) -> Result<(), TableError> {
        self.flush()?;
        let checkpoint = Checkpoint::new(&self.shared.db).map_err(|source| self.error(source))?;
        checkpoint.create_checkpoint(to).map_err(|source| self.error(source))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::{RocksTables, TableOptions};
    use crate::tables::{Batch, MemoryTables, TableStore};

    #[derive(Clone, Debug)]
    enum Change {
        Put(Vec<u8>, Vec<u8>),
        Delete(Vec<u8>),
        DeleteRange(Vec<u8>, Vec<u8>),
        Flush,
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0u8..4, 1..4)
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let change = prop_oneof![
            6 => (key(), any::<Vec<u8>>()).prop_map(|(key, value)| Change::Put(key, value)),
            2 => key().prop_map(Change::Delete),
            1 => (key(), key()).prop_map(|(a, b)| Change::DeleteRange(a.clone().min(b.clone()), a.max(b))),
            1 => Just(Change::Flush),
        ];
        proptest::collection::vec(change, 0..40)
    }

    fn apply(tables: &impl TableStore, change: &Change) {
        let mut batch = Batch::default();
        match change {
            Change::Put(key, value) => batch.put(key, value),
            Change::Delete(key) => batch.delete(key),
            Change::DeleteRange(from, to) => batch.delete_range(from, to),
            Change::Flush => tables.flush().unwrap(),
        }
        tables.write(&batch).unwrap();
    }

    fn rows(tables: &impl TableStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut rows = Vec::new();
        tables
            .scan(&[], None, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn both_kinds_of_tables_hold_the_same_rows(changes in changes(), from in key(), to in key()) {
            let directory = tempfile::tempdir().unwrap();
            let rocks = RocksTables::open(&directory.path().join("t"), TableOptions::default()).unwrap();
            let memory = MemoryTables::new();
            for change in &changes {
                apply(&rocks, change);
                apply(&memory, change);
            }
            prop_assert_eq!(rows(&rocks), rows(&memory));
            prop_assert_eq!(rocks.digest().unwrap(), memory.digest().unwrap());
            let (from, to) = (from.clone().min(to.clone()), from.max(to));
            prop_assert_eq!(rocks.last(&from, &to).unwrap(), memory.last(&from, &to).unwrap());
            for store in [from, to] {
                prop_assert_eq!(rocks.get(&store).unwrap(), memory.get(&store).unwrap());
            }
        }
    }

    #[test]
    fn a_digest_is_of_the_rows_as_they_were_when_it_began() {
        let directory = tempfile::tempdir().unwrap();
        let tables = RocksTables::open(&directory.path().join("t"), TableOptions::default()).unwrap();
        apply(&tables, &Change::Put(b"a".to_vec(), b"1".to_vec()));
        let before = tables.digest().unwrap();
        let mut write = || {
            apply(&tables, &Change::Put(b"a".to_vec(), b"2".to_vec()));
            apply(&tables, &Change::Put(b"b".to_vec(), b"2".to_vec()));
        };
        let digest = tables.digest_while(&mut write, &mut || true).unwrap().unwrap();
        assert_eq!((digest.checksum, digest.rows), (before, 1));
        assert_ne!(tables.digest().unwrap(), before);
    }

    #[test]
    fn a_digest_that_nobody_wants_ends() {
        let tables = MemoryTables::new();
        apply(&tables, &Change::Put(b"a".to_vec(), b"1".to_vec()));
        assert_eq!(tables.digest_while(&mut || {}, &mut || false).unwrap(), None);
    }

    #[test]
    fn a_checkpoint_opens_as_tables_with_the_same_digest() {
        let directory = tempfile::tempdir().unwrap();
        let tables = RocksTables::open(&directory.path().join("t"), TableOptions::default()).unwrap();
        apply(&tables, &Change::Put(b"a".to_vec(), b"1".to_vec()));
        let copy = directory.path().join("copy");
        tables.checkpoint(&copy).unwrap();
        apply(&tables, &Change::Put(b"b".to_vec(), b"2".to_vec()));
        let opened = RocksTables::open(&copy, TableOptions::default()).unwrap();
        assert_eq!(rows(&opened), vec![(b"a".to_vec(), b"1".to_vec())]);
        assert_ne!(opened.digest().unwrap(), tables.digest().unwrap());
    }
}
