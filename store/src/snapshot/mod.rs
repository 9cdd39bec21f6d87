//! Snapshots of a group: a checkpoint of its tables and what it says of itself.
//!
//! ```text
//! <group>/tables                              the tables, as long as no snapshot was installed
//! <group>/tables-00000000000000004711         the tables, since the snapshot of index 4711 was
//! <group>/tables.unfinished                   tables that are being made from a snapshot
//! <group>/snapshot/00000000000000005000/meta  the latest snapshot
//! <group>/snapshot/00000000000000005000/tables/...
//! <group>/snapshot/unfinished-7/              one that is being built or received
//! ```
//!
//! Everything is made under an unfinished name, brought to disk, and then renamed: a crash leaves what was there
//! or what is new. Of two snapshots, or two directories of tables, the one of the higher index counts; the other one,
//! and what is unfinished, is removed at the next start. A snapshot that somebody still reads is removed when its
//! last handle is dropped.

mod files;
mod meta;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

pub use meta::SnapshotMeta;

use crate::tables::applied::Applied;
use crate::tables::{GroupTables, TableStore};

const SNAPSHOTS: &str = "snapshot";
const TABLES: &str = "tables";
const TABLES_UNFINISHED: &str = "tables.unfinished";
const META: &str = "meta";
const UNFINISHED: &str = "unfinished-";

/// Why a snapshot cannot be made, read or used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What a snapshot says of itself cannot be read. The tables do not need it.
    #[error("{path} cannot be read: {reason}. Remove this directory: the snapshot will be made again")]
    Unreadable {
        /// The snapshot.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The files are not the tables that they should be.
    #[error("the snapshot of index {index} does not hold its tables: {reason}")]
    Content {
        /// The last entry it should have.
        index: u64,
        /// What is wrong.
        reason: String,
    },
    /// A name that no file of a checkpoint has.
    #[error("{name:?} is no name of a checkpoint's file")]
    Name {
        /// The name.
        name: String,
    },
}

fn tried<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, SnapshotError> {
    result.map_err(|source| SnapshotError::Io { action, path: path.to_owned(), source })
}

/// The checksum over a part of a file that is on its way: CRC-32C.
pub fn checksum(bytes: &[u8]) -> u32 {
    crate::commit_log::field::crc32c(bytes)
}

struct Held {
    dir: PathBuf,
    meta: SnapshotMeta,
    // Set once a newer one took its place.
    superseded: AtomicBool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.superseded.load(Ordering::Relaxed) {
            remove_leftover(&self.dir);
        }
    }
}

/// A snapshot on disk. Its files stay as long as a handle is there, even if a newer one has taken its place.
#[derive(Clone)]
pub struct Snapshot {
    held: Arc<Held>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("dir", &self.held.dir).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// What it holds.
    pub fn meta(&self) -> &SnapshotMeta {
        &self.held.meta
    }

    /// The names and lengths of the checkpoint's files, ascending by name.
    ///
    /// # Errors
    /// The disk refused.
    pub fn files(&self) -> Result<Vec<(String, u64)>, SnapshotError> {
        let dir = self.tables();
        let names = tried("list", &dir, files::names(&dir))?;
        let mut found = Vec::with_capacity(names.len());
        for name in names.into_iter().filter(|name| files::is_content(name)) {
            let path = dir.join(&name);
            let length = tried("look at", &path, fs::metadata(&path))?.len();
            found.push((name, length));
        }
        Ok(found)
    }

    /// `length` bytes of a file.
    ///
    /// # Errors
    /// The disk refused, or the file is shorter.
    pub fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, SnapshotError> {
        let path = self.tables().join(name);
        let mut bytes = vec![0; length];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, offset));
        tried("read", &path, read)?;
        Ok(bytes)
    }

    /// Reads all of it, each block against its checksum, and the entry that it is of. Blocks on the disk.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn check(&self) -> Result<(), SnapshotError> {
        check(&self.tables(), &self.held.meta)
    }

    fn tables(&self) -> PathBuf {
        self.held.dir.join(TABLES)
    }
}

/// Whether there are whole tables in `dir`, at the entry of `meta`. Of what was just written, and is in memory still, it
/// reads 300 to 550 MB a second on one core.
fn check(dir: &Path, meta: &SnapshotMeta) -> Result<(), SnapshotError> {
    let content = |reason: String| SnapshotError::Content { index: meta.last.index, reason };
    let tables = GroupTables::open_read_only(dir).map_err(|error| content(error.to_string()))?;
    tables.check().map_err(|error| content(error.to_string()))?;
    let applied = Applied::get(&tables).map_err(|error| content(error.to_string()))?;
    match applied.map(|applied| applied.mark) == Some(meta.last) {
        true => Ok(()),
        false => Err(content(format!("they are at {applied:?}"))),
    }
}

/// A snapshot that is being built or received. Removed when it is dropped, unless it was finished.
#[derive(Debug)]
pub struct Unfinished {
    dir: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        remove_leftover(&self.dir);
    }
}

impl Unfinished {
    /// Where the checkpoint belongs. Not there yet.
    pub fn tables(&self) -> PathBuf {
        self.dir.join(TABLES)
    }

    /// Writes a part of a file, which must be the next one.
    ///
    /// # Errors
    /// A name that no checkpoint has, or a disk that refuses.
    pub fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) || !files::is_content(name) {
            return Err(SnapshotError::Name { name: name.to_owned() });
        }
        let dir = self.tables();
        tried("make", &dir, fs::create_dir_all(&dir))?;
        let path = dir.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        tried("write", &path, file.and_then(|file| file.write_all_at(bytes, offset)))
    }

    /// Completes what was received: brings it to disk, and checks that it holds whole tables at the entry of
    /// `meta`: every row is read.
    ///
    /// # Errors
    /// Other tables, damaged ones, or a disk that refuses.
    pub fn finish(self, meta: SnapshotMeta) -> Result<Snapshot, SnapshotError> {
        // The checksums under which it came were made of what the sender read: only the tables' own ones, which were made
        // when a block was written, tell whether that was damaged already.
        check(&self.tables(), &meta)?;
        let meta = self.complete(meta)?;
        let dir = std::mem::take(&mut { self }.dir);
        Ok(Snapshot { held: Arc::new(Held { dir, meta, superseded: AtomicBool::new(true) }) })
    }

    fn complete(&self, meta: SnapshotMeta) -> Result<SnapshotMeta, SnapshotError> {
        let path = self.dir.join(META);
        let written = File::create(&path).and_then(|mut file| file.write_all(&meta.encode()));
        tried("write", &path, written)?;
        tried("sync", &self.dir, files::sync_all(&self.tables()).and_then(|()| files::sync_all(&self.dir)))?;
        Ok(meta)
    }
}

fn remove_leftover(dir: &Path) {
    if dir.as_os_str().is_empty() {
        return;
    }
    if let Err(error) = files::remove_dir(dir) {
        tracing::warn!(dir = %dir.display(), %error, "a leftover could not be removed");
    }
}

struct Inner {
    dir: PathBuf,
    counter: AtomicU64,
    // The latest snapshot; held while another one takes its place.
    current: Mutex<Option<Snapshot>>,
}

/// Where a group keeps its snapshots and its tables. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotDirs {
    inner: Arc<Inner>,
}

impl SnapshotDirs {
    /// Finds the latest snapshot of the group in `dir`, and removes what a crash left unfinished or outdated.
    ///
    /// # Errors
    /// The disk refused, or the latest snapshot says nothing readable of itself.
    pub fn open(dir: &Path) -> Result<SnapshotDirs, SnapshotError> {
        let snapshots = dir.join(SNAPSHOTS);
        tried("make", &snapshots, fs::create_dir_all(&snapshots))?;
        tried("sync", dir, files::sync_dir(dir))?;
        let names = tried("list", &snapshots, files::names(&snapshots))?;
        let latest = names.iter().filter_map(|name| index_of(name)).max();
        let current = match latest {
            None => None,
            Some(index) => Some(read_snapshot(&snapshots.join(numbered(index)))?),
        };
        for name in names {
            if name.starts_with(UNFINISHED) || index_of(&name).is_some_and(|index| Some(index) < latest) {
                let path = snapshots.join(name);
                tried("remove", &path, files::remove_dir(&path))?;
            }
        }
        let unfinished = dir.join(TABLES_UNFINISHED);
        tried("remove", &unfinished, files::remove_dir(&unfinished))?;
        let inner = Inner { dir: dir.to_owned(), counter: AtomicU64::new(0), current: Mutex::new(current) };
        let dirs = SnapshotDirs { inner: Arc::new(inner) };
        dirs.remove_outdated_tables()?;
        Ok(dirs)
    }

    /// Where the tables are, or belong if there are none.
    ///
    /// # Errors
    /// The disk refused.
    pub fn tables(&self) -> Result<PathBuf, SnapshotError> {
        let installed = self.installed_tables()?.into_iter().max();
        Ok(self.inner.dir.join(installed.map_or(TABLES.to_owned(), tables_name)))
    }

    /// The latest snapshot.
    pub fn current(&self) -> Option<Snapshot> {
        self.lock().clone()
    }

    /// Begins a snapshot.
    ///
    /// # Errors
    /// The disk refused.
    pub fn begin(&self) -> Result<Unfinished, SnapshotError> {
        let number = self.inner.counter.fetch_add(1, Ordering::Relaxed);
        let dir = self.inner.dir.join(SNAPSHOTS).join(format!("{UNFINISHED}{number}"));
        tried("make", &dir, fs::create_dir(&dir))?;
        Ok(Unfinished { dir })
    }

    /// Makes a checkpoint that was built here the latest snapshot, durably. If there is one of the same or a higher index
    /// that one stays, and is answered.
    ///
    /// # Errors
    /// The disk refused.
    pub fn keep(&self, built: Unfinished, meta: SnapshotMeta) -> Result<Snapshot, SnapshotError> {
        let mut current = self.lock();
        if let Some(current) = current.as_ref().filter(|current| current.meta().last.index >= meta.last.index)
        {
            return Ok(current.clone());
        }
        let meta = built.complete(meta)?;
        let snapshots = self.inner.dir.join(SNAPSHOTS);
        let dir = snapshots.join(numbered(meta.last.index));
        tried("rename", &dir, fs::rename(&built.dir, &dir).and_then(|()| files::sync_dir(&snapshots)))?;
        let kept = Snapshot { held: Arc::new(Held { dir, meta, superseded: AtomicBool::new(false) }) };
        if let Some(before) = current.replace(kept.clone()) {
            before.held.superseded.store(true, Ordering::Relaxed);
        }
        Ok(kept)
    }

    /// Makes the latest snapshot of one that is somewhere else, such as one that was received.
    ///
    /// # Errors
    /// The disk refused.
    pub fn adopt(&self, snapshot: &Snapshot) -> Result<Snapshot, SnapshotError> {
        let copy = self.begin()?;
        let duplicated = files::duplicate(&snapshot.tables(), &copy.tables());
        tried("copy", &copy.dir, duplicated)?;
        self.keep(copy, snapshot.meta().clone())
    }

    /// Makes tables of a snapshot, durably: from the moment that this returns they are the group's, also after a crash.
    /// Those before them are removed when nobody has them open: see [`GroupTables::retire`].
    ///
    /// # Errors
    /// The disk refused, or the tables in use are at that index or beyond it.
    pub fn install(&self, snapshot: &Snapshot) -> Result<PathBuf, SnapshotError> {
        let index = snapshot.meta().last.index;
        if self.installed_tables()?.into_iter().any(|installed| installed >= index) {
            let reason = "the tables in use were installed from a later snapshot".to_owned();
            return Err(SnapshotError::Content { index, reason });
        }
        let unfinished = self.inner.dir.join(TABLES_UNFINISHED);
        tried("remove", &unfinished, files::remove_dir(&unfinished))?;
        tried("copy", &unfinished, files::duplicate(&snapshot.tables(), &unfinished))?;
        let tables = self.inner.dir.join(tables_name(index));
        let renamed = fs::rename(&unfinished, &tables).and_then(|()| files::sync_dir(&self.inner.dir));
        tried("rename", &tables, renamed)?;
        Ok(tables)
    }

    fn installed_tables(&self) -> Result<Vec<u64>, SnapshotError> {
        let dir = &self.inner.dir;
        let names = tried("list", dir, files::names(dir))?;
        Ok(names.iter().filter_map(|name| index_of(name.strip_prefix("tables-")?)).collect())
    }

    /// Tables are outdated when a whole snapshot was installed in their place, and only then.
    fn remove_outdated_tables(&self) -> Result<(), SnapshotError> {
        let installed = self.installed_tables()?;
        let Some(latest) = installed.iter().max() else { return Ok(()) };
        let outdated = installed.iter().filter(|index| *index < latest).map(|index| tables_name(*index));
        for name in outdated.chain([TABLES.to_owned()]) {
            let path = self.inner.dir.join(name);
            tried("remove", &path, files::remove_dir(&path))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Snapshot>> {
        self.inner.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn numbered(index: u64) -> String {
    format!("{index:020}")
}

fn tables_name(index: u64) -> String {
    format!("tables-{}", numbered(index))
}

/// The index that a directory is named by.
fn index_of(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

fn read_snapshot(dir: &Path) -> Result<Snapshot, SnapshotError> {
    let path = dir.join(META);
    let unreadable = |reason| SnapshotError::Unreadable { path: dir.to_owned(), reason };
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(unreadable("the file meta is missing".to_owned()));
        }
        other => tried("read", &path, other)?,
    };
    let meta = SnapshotMeta::decode(&bytes).map_err(unreadable)?;
    let held = Held { dir: dir.to_owned(), meta, superseded: AtomicBool::new(false) };
    Ok(Snapshot { held: Arc::new(held) })
}
