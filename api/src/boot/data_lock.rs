//! One process at a time on a data directory.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::cli::exit::Failure;

const FILE_NAME: &str = "lock";

/// Holds a data directory until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Makes the directory if it is not there, and takes it.
    pub fn take(data: &Path) -> Result<DataLock, Failure> {
        std::fs::create_dir_all(data)
            .map_err(|error| Failure::io(format!("make the data directory {}", data.display()), &error))?;
        let path = data.join(FILE_NAME);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| Failure::io(format!("open {}", path.display()), &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(data, &mut file)),
            Err(error) => return Err(Failure::io(format!("lock {}", path.display()), &error.into())),
        }
        // For the message above only; the lock itself does not need it.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        written.map_err(|error| Failure::io(format!("write {}", path.display()), &error))?;
        Ok(DataLock { _file: file })
    }
}

fn held(data: &Path, file: &mut File) -> Failure {
    let mut holder = String::new();
    let read = file.read_to_string(&mut holder);
    let process = match read {
        Ok(_) if !holder.is_empty() => format!("process {holder}"),
        _ => "another process".to_owned(),
    };
    Failure::Failed(format!(
        "the data directory {} is held by {process}: stop that one first, or use another directory with --data",
        data.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_once() {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let lock = DataLock::take(&data).unwrap();
        let refusal = DataLock::take(&data).unwrap_err().to_string();
        assert!(refusal.contains(&format!("held by process {}", std::process::id())), "{refusal}");
        drop(lock);
        DataLock::take(&data).unwrap();
    }
}
