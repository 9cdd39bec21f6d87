//! A replica whose log ends before the others' logs begin: nobody has the entries between any more.
//!
//! It gives up its own log beyond what is committed, and goes on where the sender's log begins. Until the snapshot is
//! installed its log and its tables do not fit together, so it takes no appends (openraft does not know of the gap),
//! and a file in the group's directory says so. A process that ends meanwhile finds the file, and begins again as a
//! replica that has nothing but its vote: whatever this replica has ever acknowledged was committed by a majority that
//! has it still, else the others would not have given it up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use store::ballot::Ballot;
use store::commit_log::{CommitLog, Inspection, LogMark, ReadError};
use store::disk::Disk;
use store::position::LogPosition;

use crate::group::rejoin;

const MARKER: &str = "rebuilding";
const MARKER_UNFINISHED: &str = "rebuilding.unfinished";

/// Where a sender's log begins: behind an entry that it does not have itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub behind: LogMark,
    pub at: LogPosition,
}

/// Where the newest run of segments without a gap begins; none if it begins with the first entry of all.
pub(crate) fn beginning(log: &CommitLog) -> Option<Beginning> {
    let segments = log.segments();
    let last_gap = segments.windows(2).rposition(|pair| pair[0].end != Some(pair[1].base));
    let behind_gap = last_gap.map_or(0, |at| at + 1);
    let first = segments.get(behind_gap)?;
    first.previous.map(|behind| Beginning { behind, at: first.base })
}

/// Whether a log can give the entry.
pub(crate) fn holds(log: &CommitLog, index: u64) -> Result<bool, ReadError> {
    match log.frames(index..index + 1, 0) {
        Ok(frames) => Ok(!frames.is_empty()),
        Err(ReadError::Purged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says, durably, that the group in `dir` is being rebuilt.
pub(crate) fn note(dir: &Path, ballot: Option<Ballot>) -> io::Result<()> {
    let text = ballot.map_or(String::new(), |it| format!("{} {} {}\n", it.term, it.node, it.committed));
    let unfinished = dir.join(MARKER_UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, dir.join(MARKER))?;
    File::open(dir)?.sync_all()
}

/// Says, durably, that it is whole again.
pub(crate) fn done(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(MARKER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| File::open(dir)?.sync_all()),
    }
}

/// The vote in the file, if the group in `dir` was being rebuilt when its process ended.
pub(crate) fn noted(dir: &Path) -> io::Result<Option<Option<Ballot>>> {
    let text = match fs::read_to_string(dir.join(MARKER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if text.is_empty() {
        return Ok(Some(None));
    }
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("{MARKER}: {text:?}"));
    ballot_in(&text).ok_or_else(malformed).map(|ballot| Some(Some(ballot)))
}

fn ballot_in(text: &str) -> Option<Ballot> {
    let mut words = text.split_whitespace();
    Some(Ballot {
        term: words.next()?.parse().ok()?,
        node: words.next()?.parse().ok()?,
        committed: words.next()?.parse().ok()?,
    })
}

/// Takes away what a replica had that was being rebuilt when its process ended, all but its vote: `make` makes an empty
/// log. The file stays until all is done, so that it is done again after another crash.
pub(crate) fn start_over<E>(
    disk: std::sync::Arc<dyn Disk>,
    dir: &Path,
    before: Option<Ballot>,
    make: impl FnOnce() -> Result<CommitLog, E>,
) -> io::Result<Result<(), E>> {
    let log_dir = dir.join("log");
    // The log's vote is the newer one, as long as there is one.
    let kept = Inspection::open(disk.clone(), &log_dir).ok().and_then(|log| log.ballot).or(before);
    note(dir, kept)?;
    for entry in fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        match path.is_dir() {
            // Until it is whole again, what it had may be the last there is of something.
            true if rejoin::is_noted(dir) => rejoin::put_aside(dir, &path)?,
            true => fs::remove_dir_all(&path)?,
            false => {}
        }
    }
    // What is left of it lies on a disk that is not the system's.
    remove_all(&*disk, &log_dir)?;
    File::open(dir)?.sync_all()?;
    let log = match make() {
        Ok(log) => log,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(ballot) = kept {
        let (saved, wait) = std::sync::mpsc::channel();
        log.save_ballot(ballot, Box::new(move |result| _ = saved.send(result)));
        log.step_if_threadless();
        wait.recv().map_err(io::Error::other)?.map_err(io::Error::other)?;
    }
    log.close();
    tracing::warn!(dir = %dir.display(), "this replica was being rebuilt: it begins again");
    done(dir).map(Ok)
}

/// Removes what the log keeps, through the door through which it was put there.
fn remove_all(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    names.iter().try_for_each(|name| disk.remove(&dir.join(name)))?;
    disk.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::commit_log::{LogIdentity, LogOptions};
    use store::disk::RealDisk;

    use super::*;

    #[test]
    fn the_vote_outlives_the_rebuilding() {
        let dir = tempfile::tempdir().expect("a directory");
        let ballot = Some(Ballot { term: 7, node: 3, committed: true });
        assert_eq!(noted(dir.path()).expect("read"), None);
        note(dir.path(), ballot).expect("noted");
        assert_eq!(noted(dir.path()).expect("read"), Some(ballot));
        note(dir.path(), None).expect("noted");
        assert_eq!(noted(dir.path()).expect("read"), Some(None));
        done(dir.path()).expect("removed");
        assert_eq!(noted(dir.path()).expect("read"), None);
        done(dir.path()).expect("it is gone already");
        fs::write(dir.path().join(MARKER), "7 x").expect("written");
        assert!(noted(dir.path()).is_err(), "a vote that cannot be read is not an absent one");
    }

    #[test]
    fn what_a_repaired_replica_had_is_kept_aside_and_its_vote_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let make = || {
            let identity = LogIdentity { cluster: "test".to_owned(), node: 1, group: 1 };
            let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
            CommitLog::open(Arc::new(RealDisk), &dir.join("log"), identity, options)
        };
        make().expect("a log").close();
        fs::create_dir(dir.join("tables")).expect("made");
        fs::write(dir.join("tables/CURRENT"), "rows").expect("written");
        let had = fs::read(dir.join("log/00000000000000000000.log")).expect("a segment");
        let ballot = Some(Ballot { term: 7, node: 3, committed: true });
        rejoin::note(dir).expect("noted");
        note(dir, ballot).expect("noted");
        start_over(disk, dir, ballot, make).expect("begun again").expect("a log");
        let kept = fs::read(dir.join("damaged/log/00000000000000000000.log")).expect("kept");
        assert!(kept == had, "the log is not as it was: {} bytes", kept.len());
        assert!(dir.join("damaged/tables/CURRENT").exists() && !dir.join("tables").exists());
        let log = make().expect("an empty log");
        assert_eq!((log.ballot(), log.pointers().last), (ballot, None));
    }
}
