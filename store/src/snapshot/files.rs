//! Files and directories that a snapshot is made of: linked, copied, and brought to disk.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Whether RocksDB writes a file once and never again, so that a second name is as good as a copy.
fn is_written_once(name: &str) -> bool {
    name.ends_with(".sst") || name.ends_with(".blob")
}

/// Whether a file is part of a checkpoint: RocksDB's own log and lock are not.
pub(super) fn is_content(name: &str) -> bool {
    !name.starts_with("LOG") && name != "LOCK" && name != "IDENTITY"
}

/// The names in a directory, ascending.
pub(super) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Makes `to` a checkpoint with the content of `from`, durably. Tables take no room twice: they get a second name.
pub(super) fn duplicate(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for name in names(from)?.into_iter().filter(|name| is_content(name)) {
        let (source, target) = (from.join(&name), to.join(&name));
        if !is_written_once(&name) || fs::hard_link(&source, &target).is_err() {
            // What RocksDB goes on to write must not be shared; another file system has no second names.
            fs::copy(&source, &target)?;
        }
    }
    sync_all(to)
}

/// Brings every file of a directory, and their names, to disk.
pub(super) fn sync_all(dir: &Path) -> io::Result<()> {
    for name in names(dir)? {
        File::open(dir.join(name))?.sync_all()?;
    }
    sync_dir(dir)
}

/// Brings the names in a directory to disk.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes a directory, if it is there.
pub(super) fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
