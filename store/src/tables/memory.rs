//! Tables in memory, for simulation and tests: they forget what was not flushed when told to crash.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Batch, Operation, Row, TableError, TableStore, Visitor};
use crate::coding::{Reader, put_bytes};

/// The one file of a checkpoint.
const CHECKPOINT_FILE: &str = "rows";

#[derive(Default)]
struct Contents {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    flushed: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Tables in memory. Clones are the same tables.
#[derive(Clone, Default)]
pub struct MemoryTables {
    // A mutex because a flush may come from another thread than the writer's.
    contents: Arc<Mutex<Contents>>,
}

impl MemoryTables {
    /// Empty tables.
    pub fn new() -> MemoryTables {
        MemoryTables::default()
    }

    /// The tables that [`TableStore::checkpoint`] put into `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is not a checkpoint.
    pub fn open(path: &Path) -> Result<MemoryTables, TableError> {
        let file = path.join(CHECKPOINT_FILE);
        let bytes = fs::read(&file).map_err(|source| io_error(&file, source))?;
        let mut reader = Reader::new(&bytes);
        let mut rows = BTreeMap::new();
        while !reader.is_empty() {
            let row = reader.bytes().zip(reader.bytes());
            let (key, value) =
                row.ok_or_else(|| TableError::Malformed { kind: "checkpoint", key: vec![] })?;
            rows.insert(key.to_vec(), value.to_vec());
        }
        let contents = Contents { flushed: rows.clone(), rows };
        Ok(MemoryTables { contents: Arc::new(Mutex::new(contents)) })
    }

    /// New tables with what was flushed, as after a loss of power.
    pub fn crashed(&self) -> MemoryTables {
        let flushed = self.lock().flushed.clone();
        let contents = Contents { rows: flushed.clone(), flushed };
        MemoryTables { contents: Arc::new(Mutex::new(contents)) }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("no holder of the lock panics")
    }
}

impl TableStore for MemoryTables {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(self.lock().rows.get(key).cloned())
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, TableError> {
        let contents = self.lock();
        let mut range = contents.rows.range::<[u8], _>((Bound::Included(from), Bound::Included(to)));
        Ok(range.next_back().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut Visitor<'_>) -> Result<(), TableError> {
        let contents = self.lock();
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, value) in contents.rows.range::<[u8], _>((Bound::Included(from), end)) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), TableError> {
        let mut contents = self.lock();
        for operation in batch.operations() {
            match operation {
                Operation::Put(key, value) => {
                    contents.rows.insert(key.to_vec(), value.to_vec());
                }
                Operation::Delete(key) => {
                    contents.rows.remove(key);
                }
                Operation::DeleteRange(from, to) => {
                    let range = (Bound::Included(from), Bound::Excluded(to));
                    let keys = contents.rows.range::<[u8], _>(range).map(|(key, _)| key.clone());
                    for key in keys.collect::<Vec<_>>() {
                        contents.rows.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), TableError> {
        let mut contents = self.lock();
        contents.flushed = contents.rows.clone();
        Ok(())
    }

    fn checkpoint(&self, to: &Path) -> Result<(), TableError> {
        let mut bytes = Vec::new();
        for (key, value) in &self.lock().rows {
            put_bytes(&mut bytes, key);
            put_bytes(&mut bytes, value);
        }
        fs::create_dir(to).map_err(|source| io_error(to, source))?;
        let file = to.join(CHECKPOINT_FILE);
        fs::write(&file, bytes).map_err(|source| io_error(&file, source))
    }
}

fn io_error(path: &Path, source: std::io::Error) -> TableError {
    TableError::Io { path: PathBuf::from(path), source }
}
