//! A replica that lost what it had, and has its vote still.
//!
//! What it acknowledged may be on only one other node. Had it a voice at once, it and a node that never had those
//! entries would be a majority, and could elect a leader without them. So until its log reaches as far as the log of a
//! leader did when the replica first heard from it, it neither votes nor campaigns. Its kept vote sees to it that this
//! leader is none older than any that it had followed, and such a leader has every entry that this replica ever
//! helped to commit (Raft's leader completeness). Taking entries and acknowledging them is safe all the while: the
//! acknowledgement of an entry says that all before it are here too.
//!
//! A file in the group's directory says so, and what it had is kept beside it until it is whole again.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Its presence is what counts.
const MARKER: &str = "rejoining";
/// Where what was damaged is kept meanwhile.
pub(crate) const DAMAGED: &str = "damaged";

/// Whether a replica has no voice.
#[derive(Debug, Default)]
pub(crate) struct Rejoining(AtomicBool);

impl Rejoining {
    /// As the directory says.
    pub(crate) fn noted(dir: &Path) -> Rejoining {
        Rejoining(AtomicBool::new(is_noted(dir)))
    }

    /// Whether it must neither vote nor campaign.
    pub(crate) fn goes_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// It is whole again: durably, and what was damaged is removed.
    pub(crate) fn end(&self, dir: &Path) -> io::Result<()> {
        match fs::remove_file(dir.join(MARKER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => File::open(dir)?.sync_all()?,
        }
        self.0.store(false, Ordering::Release);
        match fs::remove_dir_all(dir.join(DAMAGED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether the directory says that its replica has no voice.
pub(crate) fn is_noted(dir: &Path) -> bool {
    // What cannot be looked at is not to be trusted with a vote.
    dir.join(MARKER).try_exists().unwrap_or(true)
}

/// Says so, durably.
pub(crate) fn note(dir: &Path) -> io::Result<()> {
    File::create(dir.join(MARKER))?.sync_all()?;
    File::open(dir)?.sync_all()
}

/// Puts a part of what the replica had aside; what an earlier attempt made of it goes.
pub(crate) fn put_aside(dir: &Path, part: &Path) -> io::Result<()> {
    let Some(name) = part.file_name().filter(|name| *name != DAMAGED) else { return Ok(()) };
    let kept = dir.join(DAMAGED).join(name);
    if kept.try_exists()? {
        return fs::remove_dir_all(part);
    }
    fs::create_dir_all(dir.join(DAMAGED))?;
    fs::rename(part, kept)?;
    File::open(dir.join(DAMAGED))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_damaged_is_kept_once_until_the_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        note(dir).expect("noted");
        let rejoining = Rejoining::noted(dir);
        assert!(rejoining.goes_on());
        for content in ["first", "second"] {
            fs::create_dir(dir.join("log")).expect("made");
            fs::write(dir.join("log/segment"), content).expect("written");
            put_aside(dir, &dir.join("log")).expect("put aside");
            assert!(!dir.join("log").exists());
            assert_eq!(fs::read_to_string(dir.join("damaged/log/segment")).expect("kept"), "first");
        }
        put_aside(dir, &dir.join(DAMAGED)).expect("it is aside already");
        rejoining.end(dir).expect("ended");
        assert!(!rejoining.goes_on() && !is_noted(dir) && !dir.join(DAMAGED).exists());
        rejoining.end(dir).expect("it has ended already");
    }
}
