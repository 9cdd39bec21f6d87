//! openraft's view of the CommitLog.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use store::commit_log::{CommitLog, Frame, LogFailure};
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
}

impl LogStore {
    /// Wraps an open log, and begins to follow how far it is durable.
    pub(crate) fn new(log: CommitLog) -> LogStore {
        let (sender, durable) = watch::channel(log.pointers().durable_index);
        log.on_durable(Box::new(move |index| {
            sender.send_replace(Some(index));
        }));
        LogStore { log, durable }
    }

    /// The log itself.
    pub(crate) fn log(&self) -> &CommitLog {
        &self.log
    }

    /// The index of the last entry that is fsynced here, and its changes.
    pub(crate) fn durable(&self) -> watch::Receiver<Option<u64>> {
        self.durable.clone()
    }

    async fn read(&self, range: std::ops::Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let frames = match self.log.cached_frames(range.clone(), bytes_max) {
            Some(frames) => frames,
            None => {
                let log = self.log.clone();
                tokio::task::spawn_blocking(move || log.frames(range, bytes_max))
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
async fn flushed(receiver: oneshot::Receiver<Result<(), LogFailure>>) -> io::Result<()> {
    match receiver.await {
        Ok(result) => result.map_err(failure),
        Err(_) => Err(io::Error::other("the log's writer has stopped")),
    }
}

/// A completion, and the place where it reports.
fn completion() -> (store::commit_log::Completion, oneshot::Receiver<Result<(), LogFailure>>) {
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
        self.log.append(frames, done).map_err(failure)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let (done, receiver) = completion();
        self.log.truncate_after(last_log_id.map(|id| id.index), done);
        flushed(receiver).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let (done, receiver) = completion();
        self.log.purge(mark_of(&log_id), done);
        flushed(receiver).await
    }
}
