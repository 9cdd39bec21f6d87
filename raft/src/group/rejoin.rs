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
//!
//! A replica that begins with nothing at all may be new, or may have lost its disk, and its vote with it: it cannot know.
//! It has no voice before it has found out ([`crate::node::rejoin`]), and the file says that its vote is lost too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Its presence says that there is no voice.
const MARKER: &str = "rejoining";
/// What it holds if the vote may be lost as well.
const VOTE_LOST: &[u8] = b"vote lost\n";
/// Where what was damaged is kept meanwhile.
pub(crate) const DAMAGED: &str = "damaged";

/// Whether a replica has no voice.
#[derive(Debug, Default)]
pub(crate) struct Rejoining {
    goes_on: AtomicBool,
    vote_lost: bool,
}

impl Rejoining {
    /// As the directory says.
    pub(crate) fn noted(dir: &Path) -> Rejoining {
        let vote_lost = match fs::read(dir.join(MARKER)) {
            Ok(content) => content == VOTE_LOST,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        Rejoining { goes_on: AtomicBool::new(is_noted(dir)), vote_lost }
    }

    /// Whether it does not know what it voted for either.
    pub(crate) fn vote_lost(&self) -> bool {
        self.vote_lost
    }

    /// Whether it must neither vote nor campaign.
    pub(crate) fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Acquire)
    }

    /// It is whole again: durably, and what was damaged is removed.
    pub(crate) fn end(&self, dir: &Path) -> io::Result<()> {
        match fs::remove_file(dir.join(MARKER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => File::open(dir)?.sync_all()?,
        }
        self.goes_on.store(false, Ordering::Release);
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

/// Says so, durably, of a replica that has its vote. One that is known to have none stays without.
pub(crate) fn note(dir: &Path) -> io::Result<()> {
    write(dir, b"")
}

/// Says so, durably, of a replica that has nothing.
pub(crate) fn note_empty(dir: &Path) -> io::Result<()> {
    write(dir, VOTE_LOST)
}

fn write(dir: &Path, content: &[u8]) -> io::Result<()> {
    let mut marker = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(MARKER))?;
    marker.write_all(content)?;
    marker.sync_all()?;
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

    #[test]
    fn a_vote_that_is_lost_stays_lost_until_the_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        note(dir).expect("noted");
        assert!(!Rejoining::noted(dir).vote_lost());
        note_empty(dir).expect("noted");
        assert!(Rejoining::noted(dir).vote_lost());
        note(dir).expect("damaged besides");
        assert!(Rejoining::noted(dir).vote_lost(), "a repair brought back a vote");
        Rejoining::noted(dir).end(dir).expect("ended");
        note(dir).expect("noted");
        assert!(!Rejoining::noted(dir).vote_lost());
    }
}
