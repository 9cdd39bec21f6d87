//! A directory that a backup is kept in. A file is there under its name when it is whole and on disk, and not before.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What a file is called until it is whole.
const UNFINISHED: &str = "unfinished";
/// So much is read at once.
const READ_BYTES: usize = 1 << 20;

/// Writes a file that is whole.
///
/// # Errors
/// The disk refuses.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::begin(path)?;
    draft.file.write_all(bytes)?;
    draft.finish()
}

/// A file that is being written.
#[derive(Debug)]
pub struct Draft {
    /// Where its bytes go.
    pub file: File,
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Begins one, in a directory that is made if it is not there.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn begin(path: &Path) -> io::Result<Draft> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".");
        draft.push(UNFINISHED);
        let draft = PathBuf::from(draft);
        Ok(Draft { file: File::create(&draft)?, path: path.to_owned(), draft })
    }

    /// Gives it its name, durably.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.draft, &self.path)?;
        // Names of directories too: which of them were there before is not known.
        for above in self.path.ancestors().skip(1).take(4).filter(|above| !above.as_os_str().is_empty()) {
            File::open(above)?.sync_all()?;
        }
        Ok(())
    }
}

/// The next bytes of a file; none at its end.
///
/// # Errors
/// The disk refuses.
pub fn next(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; READ_BYTES];
    let length = file.read(&mut bytes)?;
    bytes.truncate(length);
    Ok((length > 0).then_some(bytes))
}

/// Names, with a slash between directories, and lengths of all files that are whole.
///
/// # Errors
/// The disk refuses.
pub fn list(dir: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    list_below(dir, "", &mut found)?;
    Ok(found)
}

fn list_below(dir: &Path, prefix: &str, found: &mut BTreeMap<String, u64>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            list_below(&entry.path(), &format!("{name}/"), found)?;
        } else if !name.ends_with(UNFINISHED) {
            found.insert(name, metadata.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("groups/g1/log/0001");
        let mut draft = Draft::begin(&path).unwrap();
        draft.file.write_all(b"half").unwrap();
        assert!(!path.exists() && list(dir.path()).unwrap().is_empty());
        drop(draft);
        put(&path, b"whole").unwrap();
        assert_eq!(list(dir.path()).unwrap(), BTreeMap::from([("groups/g1/log/0001".to_owned(), 5)]));
        let mut file = File::open(&path).unwrap();
        assert_eq!(next(&mut file).unwrap(), Some(b"whole".to_vec()));
        assert_eq!(next(&mut file).unwrap(), None);
    }
}
