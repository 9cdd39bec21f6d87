//! The one door to the disk.
//!
//! The log does all its I/O through [`Disk`] and [`DiskFile`], so that a test can take the power away
//! at any call. What the log assumes of a disk, and the simulated one takes every liberty beyond:
//!
//! - What was written before a successful [`DiskFile::sync_data`] is there after a power failure, length
//!   included.
//! - What was not may be there, or in part, in any order, in units of a sector of 512 bytes.
//! - A name made, moved or removed is certain only after [`Disk::sync_dir`].
//! - After a *failed* sync nothing is known about what was written: nobody may try again and believe it.

mod real;
pub mod simulated;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use real::RealDisk;

/// Files and directories. All calls block.
pub trait Disk: Debug + Send + Sync {
    /// Makes `dir` and what is missing above it, durably.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names in `dir`, in ascending order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes an empty file for reading and writing; one that is there is emptied.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing. `NotFound` if there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading only. `NotFound` if there is none.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// How full the disk is that `dir` is on.
    fn space(&self, dir: &Path) -> io::Result<DiskSpace>;

    /// Locks `path` against other processes until the answer is dropped. `WouldBlock` if one has it.
    fn lock(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
}

/// How full a disk is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// What it holds when it is full.
    pub total: u64,
    /// What can still be written.
    pub free: u64,
}

/// An open file. Offsets and lengths are in bytes.
pub trait DiskFile: Debug + Send + Sync {
    /// Its length.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends it with zeros; nothing is reserved.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves room for `len` bytes and makes it at least as long; what is new reads as zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Reads `len` bytes, fewer only at its end.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Writes all of `parts`, one behind the other.
    fn write_at(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Makes what was written durable, its length included (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// Says that nobody will read a part soon, so that the system need not keep it in memory. Advice: what is
    /// not yet durable stays, and nothing can fail.
    fn forget(&self, _offset: u64, _len: u64) {}
}
