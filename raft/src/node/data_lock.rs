//! One process at a time has a data directory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::node::lifecycle::StartError;

/// The lock on a data directory; it ends with the process.
pub(crate) struct DataLock {
    _file: File,
}

/// Takes a data directory for this process.
pub(crate) fn lock(data: &Path) -> Result<DataLock, StartError> {
    let io = |source| StartError::Data { path: data.to_owned(), source };
    std::fs::create_dir_all(data).map_err(io)?;
    let path = data.join("LOCK");
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            let holder = match holder.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            return Err(StartError::InUse { path: data.to_owned(), holder });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(io(source)),
    }
    // The content only helps people; the lock is what counts.
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io)?;
    Ok(DataLock { _file: file })
}
