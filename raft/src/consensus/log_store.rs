//! openraft's view of the CommitLog.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use store::commit_log::{CommitLog, Completion, Frame, LogFailure, LogMark, ReadError};
use store::planted::{PlantedBug, planted};
use store::position::LogPosition;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::consensus::convert::{ballot_of, vote_of};
use crate::consensus::entry::Entry;
use crate::consensus::types::{LogId, TypeConfig, Vote, id_of, mark_of};
use crate::limits::{READ_BYTES_MAX, REPLICATE_BYTES_MAX};

/// A group's log. Cheap to clone; every clone is the same log.
#[derive(Clone)]
pub(crate) struct LogStore {
    log: CommitLog,
    durable: watch::Receiver<Option<u64>>,
    // A mutex, because a snapshot's frames and openraft's meet in one log: whoever looks where it ends also writes
    // there. Never held over an await.
    writing: Arc<Mutex<()>>,
    /// The log has a gap that openraft does not know of, until a snapshot is installed.
    rebuilding: Arc<AtomicBool>,
}

/// Why frames of a snapshot were not appended.
#[derive(Debug, Error)]
pub(crate) enum AbsentError {
    /// The log has something else at that index. `rest` is what comes behind it.
    #[error("the log has another entry {}", frame.index)]
    Differs { frame: Box<Frame>, rest: Vec<Frame> },
    /// They would leave a hole, or do not lie where the log goes on.
    #[error("frame {index} at {at} came where {due} at {position} is due")]
    Misplaced { index: u64, at: String, due: u64, position: String },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log takes no more.
    #[error(transparent)]
    Failed(#[from] LogFailure),
}

impl LogStore {
    /// Wraps an open log, and begins to follow how far it is durable.
    pub(crate) fn new(log: CommitLog) -> LogStore {
        let (sender, durable) = watch::channel(log.pointers().durable_index);
        log.on_durable(Box::new(move |index| {
            sender.send_replace(Some(index));
        }));
        LogStore { log, durable, writing: Arc::default(), rebuilding: Arc::default() }
    }

    /// Whether appends have to wait for a snapshot.
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.rebuilding.load(Ordering::Acquire)
    }

    /// From now on appends have to wait for a snapshot.
    pub(crate) fn rebuild(&self) {
        // Whoever writes is done when the lock is ours; whoever comes later sees the sign.
        let _writing = self.lock();
        self.rebuilding.store(true, Ordering::Release);
    }

    /// The snapshot is installed.
    pub(crate) fn rebuilt(&self) {
        self.rebuilding.store(false, Ordering::Release);
    }

    /// Goes on behind `behind` at `at`, and keeps what is committed of the rest.
    pub(crate) fn begin_behind(&self, behind: LogMark, at: LogPosition, done: Completion) {
        let _writing = self.lock();
        self.log.reset_to(behind, at, done);
    }

    /// The log itself.
    pub(crate) fn log(&self) -> &CommitLog {
        &self.log
    }

    /// The index of the last entry that is fsynced here, and its changes.
    pub(crate) fn durable(&self) -> watch::Receiver<Option<u64>> {
        self.durable.clone()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends committed frames ahead of what openraft knows of, and passes over those that are there. Whatever
    /// leader comes, it has the same entries there; what openraft then appends itself finds them in place. Blocks on
    /// the disk. `done` is called when everything is durable, also if nothing was absent.
    pub(crate) fn append_absent(&self, frames: Vec<Frame>, done: Completion) -> Result<(), AbsentError> {
        let _writing = self.lock();
        self.append_unknown(frames, done)
    }

    /// The frames of openraft, where some are there already. Those of a snapshot were committed, so they are the
    /// same ones; if not, the consensus decides.
    fn append_over(&self, frames: Vec<Frame>, done: Completion) -> Result<(), AbsentError> {
        let _writing = self.lock();
        let keep = frames.first().and_then(|first| first.index.checked_sub(1));
        let again = frames.clone();
        let done = Arc::new(Mutex::new(Some(done)));
        let once = || -> Completion {
            let done = done.clone();
            Box::new(move |result| {
                if let Some(done) = done.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    done(result);
                }
            })
        };
        match self.append_unknown(frames, once()) {
            Err(AbsentError::Differs { frame, .. }) => {
                tracing::warn!(index = frame.index, "entries of a snapshot give way to a leader's");
                // Durably, before what follows can be taken for durable (rule R1).
                let (cut, waits) = std::sync::mpsc::channel();
                self.log.truncate_after(keep, Box::new(move |result| _ = cut.send(result)));
                self.log.step_if_threadless();
                waits.recv().unwrap_or(Err(LogFailure::Closed))?;
                self.append_unknown(again, once())
            }
            other => other,
        }
    }

    fn append_unknown(&self, mut frames: Vec<Frame>, done: Completion) -> Result<(), AbsentError> {
        let pointers = self.log.pointers();
        let next = pointers.next_index();
        let mut known = 0;
        while let Some(frame) = frames.get(known).filter(|frame| frame.index < next) {
            match self.log.log_mark(frame.index)? {
                Some(held) if held == frame.mark() => {}
                Some(_) if planted(PlantedBug::LogNotTruncated) => {}
                // Given up, so it was applied here.
                None if frame.index < pointers.first_index => {}
                _ => {
                    let rest = frames.split_off(known + 1);
                    let frame = Box::new(frames.swap_remove(known));
                    return Err(AbsentError::Differs { frame, rest });
                }
            }
            known += 1;
        }
        let unknown = frames.split_off(known);
        let (mut due, mut position) = (next, pointers.next_position);
        for frame in &unknown {
            if frame.index != due || frame.position().is_some_and(|at| at != position) {
                let at = frame.position().map(|at| at.to_string()).unwrap_or_default();
                let position = position.to_string();
                return Err(AbsentError::Misplaced { index: frame.index, at, due, position });
            }
            due += 1;
            position = position + frame.encoded_len();
        }
        Ok(self.log.append(unknown, done)?)
    }

    /// What openraft gives up, which is never above its snapshot; but for a planted bug.
    fn purged_by(&self, asked: LogMark) -> LogMark {
        match planted(PlantedBug::PurgeAboveSnapshot) {
            false => asked,
            true => self.log.committed().filter(|committed| committed.index > asked.index).unwrap_or(asked),
        }
    }

    async fn read(&self, range: std::ops::Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let frames = match self.log.cached_frames(range.clone(), bytes_max) {
            Some(frames) => frames,
            None => {
                let log = self.log.clone();
                crate::seams::spawn_blocking(move || log.frames(range, bytes_max))
                    .await
                    .map_err(io::Error::other)?
                    .map_err(io::Error::other)?
            }
        };
        frames.into_iter().map(|frame| Entry::of(frame).map_err(io::Error::other)).collect()
    }
}

fn failure(error: LogFailure) -> io::Error {
    io::Error::other(error)
}

/// Waits for the writer thread to report that something is on disk.
pub(crate) async fn flushed(receiver: oneshot::Receiver<Result<(), LogFailure>>) -> io::Result<()> {
    match receiver.await {
        Ok(result) => result.map_err(failure),
        Err(_) => Err(io::Error::other("the log's writer has stopped")),
    }
}

/// A completion, and the place where it reports.
pub(crate) fn completion() -> (Completion, oneshot::Receiver<Result<(), LogFailure>>) {
    let (sender, receiver) = oneshot::channel();
    let done = Box::new(move |result| {
        // Nobody waits any more when the group is being stopped.
        let _ = sender.send(result);
    });
    (done, receiver)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let pointers = self.log.pointers();
        let Some(last) = pointers.last.map(|mark| mark.index) else {
            return Ok(Vec::new());
        };
        let first = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        }
        .max(pointers.first_index);
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        }
        .min(last + 1);
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = first;
        while next < end {
            let part = self.read(next..end, READ_BYTES_MAX).await?;
            if part.is_empty() {
                return Err(io::Error::other(format!("the log has a hole at index {next}")));
            }
            next += part.len() as u64;
            entries.extend(part);
        }
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.log.ballot().as_ref().map(vote_of))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        if start >= end {
            return Ok(Vec::new());
        }
        self.read(start..end, REPLICATE_BYTES_MAX).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let pointers = self.log.pointers();
        let purged = pointers.purged.as_ref().map(id_of);
        let last = pointers.last.as_ref().map(id_of).or(purged);
        Ok(LogState { last_purged_log_id: purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, receiver) = completion();
        self.log.save_ballot(ballot_of(vote), done);
        flushed(receiver).await
    }

    /// Must not fsync: it is called for every commit.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(id) = committed {
            self.log.save_committed(mark_of(&id));
        }
        Ok(())
    }

    /// Clamped to the log's tail by the log itself: a tail that was lost in a power failure was not
    /// committed by this node's fsync.
    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.log.committed().as_ref().map(id_of))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let frames: Vec<Frame> = entries.into_iter().map(Entry::into_frame).collect();
        let done = Box::new(move |result: Result<(), LogFailure>| {
            callback.io_completed(result.map_err(failure));
        });
        {
            let _writing = self.lock();
            let next = self.log.pointers().next_index();
            if frames.first().is_none_or(|first| first.index >= next) {
                return self.log.append(frames, done).map_err(failure);
            }
        }
        let store = self.clone();
        let appended = crate::seams::spawn_blocking(move || store.append_over(frames, done)).await;
        appended.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        if planted(PlantedBug::LogNotTruncated) {
            return Ok(());
        }
        let (done, receiver) = completion();
        {
            let _writing = self.lock();
            self.log.truncate_after(last_log_id.map(|id| id.index), done);
        }
        flushed(receiver).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let (done, receiver) = completion();
        {
            let _writing = self.lock();
            self.log.purge(self.purged_by(mark_of(&log_id)), done);
        }
        flushed(receiver).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use store::commit_log::{FrameKind, LogIdentity, LogOptions};
    use store::disk::RealDisk;

    use super::*;

    fn frame(index: u64, term: u64) -> Frame {
        let body = Bytes::from(format!("entry {index} of term {term}"));
        Frame::new(FrameKind::Commands, index, term, 1, 0, 1, body)
    }

    /// As it comes over the wire: with its position.
    fn sent(indexes: std::ops::Range<u64>, term: u64) -> Vec<Frame> {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let end = indexes.end;
        store
            .log
            .append((0..end).map(|index| frame(index, term)).collect(), Box::new(|_| {}))
            .expect("appended");
        let frames = store.log.frames(indexes, usize::MAX).expect("frames");
        frames.iter().map(|frame| Frame::decode(frame.to_wire()).expect("a frame")).collect()
    }

    fn open(dir: &std::path::Path) -> LogStore {
        let identity = LogIdentity { cluster: "test".to_owned(), node: 1, group: 1 };
        let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
        let log = CommitLog::open(Arc::new(RealDisk), &dir.join("log"), identity, options);
        LogStore::new(log.expect("the log opens"))
    }

    fn absent(store: &LogStore, frames: Vec<Frame>) -> Result<(), AbsentError> {
        let (done, durable) = completion();
        store.append_absent(frames, done)?;
        durable.blocking_recv().expect("called back").expect("durable");
        Ok(())
    }

    fn over(store: &LogStore, frames: Vec<Frame>) {
        let (done, durable) = completion();
        store.append_over(frames, done).expect("appended");
        durable.blocking_recv().expect("called back").expect("durable");
    }

    fn terms(store: &LogStore) -> Vec<u64> {
        let frames = store.log.frames(0..u64::MAX, usize::MAX).expect("frames");
        frames.iter().map(|frame| frame.term).collect()
    }

    #[test]
    fn what_the_log_has_is_passed_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        absent(&store, sent(0..4, 1)).expect("an empty log lacks them all");
        absent(&store, sent(2..6, 1)).expect("two are there, two are not");
        absent(&store, sent(0..6, 1)).expect("all are there");
        assert_eq!(terms(&store), [1; 6]);
        let pointers = store.log.pointers();
        assert_eq!(pointers.durable_index, Some(5));
        assert_eq!(pointers.last, Some(LogMark { term: 1, leader: 1, index: 5 }));
    }

    #[test]
    fn frames_that_do_not_fit_change_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        absent(&store, sent(0..4, 1)).expect("appended");
        let hole = absent(&store, sent(5..7, 1));
        assert!(matches!(hole, Err(AbsentError::Misplaced { index: 5, due: 4, .. })), "{hole:?}");
        let longer =
            Frame::new(FrameKind::Commands, 0, 1, 1, 0, 1, Bytes::from_static(b"a much longer body here"));
        assert_ne!(longer.encoded_len(), frame(0, 1).encoded_len());
        let other = tempfile::tempdir().expect("a directory");
        let shifted = open(other.path());
        let frames = std::iter::once(longer).chain((1..5).map(|index| frame(index, 1))).collect();
        shifted.log.append(frames, Box::new(|_| {})).expect("appended");
        let misplaced = absent(&store, shifted.log.frames(4..5, 0).expect("a frame"));
        assert!(matches!(misplaced, Err(AbsentError::Misplaced { index: 4, .. })), "{misplaced:?}");
        match absent(&store, sent(2..6, 2)) {
            Err(AbsentError::Differs { frame, rest }) => {
                assert_eq!((frame.index, rest.len()), (2, 3), "what differs, and what comes behind it");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(terms(&store), [1; 4]);
    }

    #[test]
    fn what_a_leader_appends_finds_the_snapshots_frames_in_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        absent(&store, sent(0..6, 1)).expect("appended");
        over(&store, sent(1..8, 1));
        assert_eq!(terms(&store), [1; 8]);
        // The consensus decides, should they ever differ.
        over(&store, sent(3..5, 2));
        assert_eq!(terms(&store), [1, 1, 1, 2, 2]);
        assert_eq!(store.log.pointers().durable_index, Some(4));
        assert!(store.log.pointers().next_position > LogPosition(0));
    }
}
