//! Tables in memory, and in a file what was flushed of them: for simulations of whole nodes.
//!
//! They keep the promises of RocksDB without a write-ahead log, and no more: a batch is atomic, and what was not
//! flushed is gone when the last handle is. The file itself is never torn: its disk is not simulated.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Batch, MemoryTables, OnDiskFault, Row, TableError, TableOptions, TableStore, Visitor};

const FLUSHED: &str = "flushed";
const ROWS: &str = "rows";

/// Where they are kept.
struct Directory {
    path: PathBuf,
    retired: AtomicBool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed)
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            // The next start removes it.
            tracing::warn!(path = %self.path.display(), %error, "outdated tables could not be removed");
        }
    }
}

/// Tables in memory that a directory keeps. Clones are the same tables.
#[derive(Clone)]
pub struct FileTables {
    rows: MemoryTables,
    directory: Arc<Directory>,
}

impl FileTables {
    /// Opens what was last flushed in `path`, or makes empty tables.
    ///
    /// # Errors
    /// The disk failed, or the file is not one of tables.
    pub fn open(path: &Path, _options: TableOptions) -> Result<FileTables, TableError> {
        fs::create_dir_all(path).map_err(|source| TableError::Io { path: path.to_path_buf(), source })?;
        if path.join(ROWS).exists() {
            return FileTables::open_read_only(path);
        }
        let tables = FileTables::over(MemoryTables::new(), path);
        // As RocksDB does: what was opened once can be looked at, also if nothing was ever flushed.
        tables.flush()?;
        Ok(tables)
    }

    /// Opens the tables in `path` to look at them.
    ///
    /// # Errors
    /// There are none, or they are damaged.
    pub fn open_read_only(path: &Path) -> Result<FileTables, TableError> {
        Ok(FileTables::over(MemoryTables::open(path)?, path))
    }

    fn over(rows: MemoryTables, path: &Path) -> FileTables {
        let directory = Directory { path: path.to_path_buf(), retired: AtomicBool::new(false) };
        FileTables { rows, directory: Arc::new(directory) }
    }

    /// As for the tables of a real node; the disk of these does not fail.
    pub fn on_disk_fault(&self, _listener: OnDiskFault) {}

    /// Others have taken their place: the files are removed when the last handle is dropped.
    pub fn retire(&self) {
        self.directory.retired.store(true, Ordering::Relaxed);
    }
}

impl TableStore for FileTables {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.rows.get(key)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, TableError> {
        self.rows.last(from, to)
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut Visitor<'_>) -> Result<(), TableError> {
        self.rows.scan(from, to, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), TableError> {
        self.rows.write(batch)
    }

    fn flush(&self) -> Result<(), TableError> {
        let flushed = self.directory.path.join(FLUSHED);
        self.rows.checkpoint(&flushed)?;
        let moved = fs::rename(flushed.join(ROWS), self.directory.path.join(ROWS));
        moved
            .and_then(|()| fs::remove_dir(&flushed))
            .map_err(|source| TableError::Io { path: flushed, source })
    }

    fn checkpoint(&self, to: &Path) -> Result<(), TableError> {
        self.rows.checkpoint(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_flushed_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tables");
        let open = || FileTables::open(&path, TableOptions::default()).expect("they open");
        let put = |tables: &FileTables, key: &[u8]| {
            let mut batch = Batch::default();
            batch.put(key, b"value");
            tables.write(&batch).expect("written");
        };
        let tables = open();
        assert!(FileTables::open_read_only(&path).is_ok(), "there is nothing in them, and they are there");
        put(&tables, b"one");
        tables.flush().expect("flushed");
        put(&tables, b"two");
        assert!(tables.get(b"two").expect("read").is_some());
        drop(tables);
        let tables = open();
        assert!(tables.get(b"one").expect("read").is_some(), "what was flushed stays");
        assert!(tables.get(b"two").expect("read").is_none(), "what was not is gone");
        tables.retire();
        drop(tables);
        assert!(!path.exists(), "who is retired goes");
    }
}
