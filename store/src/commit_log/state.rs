//! What the callers, the readers and the writer thread of a log share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};

use super::segment::{Footer, SegmentHeader, segment_name};
use super::sync_meter::SyncMeter;
use super::tail_cache::TailCache;
use super::{Completion, Frame, LogFailure, LogMark, LogPointers, ReadError};
use crate::ballot::Ballot;
use crate::disk::DiskFile;
use crate::position::LogPosition;

/// One segment, as readers find it.
#[derive(Clone, Debug)]
pub(crate) struct SegmentEntry {
    pub header: SegmentHeader,
    /// None for the open one, which is the last.
    pub footer: Option<Footer>,
    /// Where its frames start in the file, until the index file is written.
    pub offsets: Option<Arc<Vec<u32>>>,
}

impl SegmentEntry {
    pub(crate) fn name(&self) -> String {
        segment_name(self.header.base)
    }
}

/// Where the log is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The last entry that stays.
    pub last: Option<LogMark>,
    /// Where it ends.
    pub end: LogPosition,
}

impl Cut {
    /// The index of the frame that comes next.
    pub(crate) fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }
}

/// What the writer thread is asked to do.
pub(crate) enum Task {
    Append { frames: Vec<Frame> },
    SaveBallot { ballot: Ballot },
    Truncate { cut: Cut },
    Purge { mark: LogMark },
    Reset { keep: Option<Cut>, mark: LogMark, next_position: LogPosition },
    Collect,
}

pub(crate) struct Op {
    pub task: Task,
    pub bytes: u64,
    pub done: Completion,
}

/// Everything that changes.
pub(crate) struct State {
    /// Ascending; the last one is open.
    pub segments: Vec<SegmentEntry>,
    /// Where the written frames of the open segment start in its file.
    pub open_offsets: Vec<u32>,
    /// The open segment's file.
    pub open_file: Arc<dyn DiskFile>,
    /// Where the written frames end.
    pub written_end: LogPosition,
    /// The index behind the written frames.
    pub written_next: u64,
    /// Counts what makes an earlier look-up worthless: truncations, resets, deletions.
    pub generation: u64,

    pub cache: TailCache,
    pub queue: VecDeque<Op>,
    pub queued_bytes: u64,
    /// The last index that stays, of each cut that is still in the queue.
    pub pending_cuts: VecDeque<Option<u64>>,

    pub purged: Option<LogMark>,
    pub last: Option<LogMark>,
    pub next_position: LogPosition,
    pub durable: Option<u64>,
    pub ballot: Option<Ballot>,
    pub committed: Option<LogMark>,
    pub read_floor: LogPosition,

    pub failure: Option<LogFailure>,
    pub closing: bool,
}

impl State {
    pub(crate) fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    pub(crate) fn pointers(&self) -> LogPointers {
        LogPointers {
            purged: self.purged,
            first_index: self.purged.map_or(0, |purged| purged.index + 1),
            last: self.last,
            durable_index: self.durable,
            committed: self.committed,
            oldest_position: self.segments[0].header.base,
            read_floor: self.read_floor,
            next_position: self.next_position,
        }
    }

    /// Makes a cut visible to readers at once, before it is on disk.
    pub(crate) fn show_cut(&mut self, cut: Cut) {
        self.generation += 1;
        self.cache.cut(cut.next_index());
        self.last = cut.last;
        self.next_position = cut.end;
        let keep = cut.last.map(|last| last.index);
        self.durable = self.durable.min(keep);
        self.committed = self.committed.filter(|mark| keep.is_some_and(|keep| mark.index <= keep));
        self.pending_cuts.push_back(keep);
    }

    /// Takes over what the writer knows to be durable, unless a cut in the queue will take it away.
    pub(crate) fn show_durable(&mut self, durable: Option<u64>) {
        self.durable = self.pending_cuts.iter().fold(durable, |least, keep| least.min(*keep));
    }

    /// Lets go of old frames in memory. A frame behind a cut that is still in the queue is not on disk, whatever
    /// stands there under its index.
    pub(crate) fn evict(&mut self) {
        let cuts = self.pending_cuts.iter().map(|keep| keep.map_or(0, |keep| keep + 1));
        let written_next = cuts.fold(self.written_next, u64::min);
        self.cache.evict(written_next);
    }

    pub(crate) fn release_offsets(&mut self, base: LogPosition) {
        if let Some(entry) = self.segments.iter_mut().find(|entry| entry.header.base == base) {
            entry.offsets = None;
        }
    }
}

type Listeners<F> = Mutex<Vec<Arc<F>>>;
type OnDurable = dyn Fn(u64) + Send + Sync;
type OnFailure = dyn Fn(String) + Send + Sync;
type OnDiskFault = dyn Fn(&ReadError) + Send + Sync;
/// See [`super::CommitLog::open_stepped`].
pub(crate) type OnWork = dyn Fn() + Send + Sync;

/// The state behind its lock, and who listens.
pub(crate) struct Shared {
    // Callers, readers and the writer thread meet here; never held over a disk call or a callback.
    state: Mutex<State>,
    /// Something for the writer thread to do.
    pub work: Condvar,
    /// Told that there is something to do, if no thread waits for it.
    on_work: Option<Box<OnWork>>,
    /// The queue got shorter.
    pub room: Condvar,
    on_durable: Listeners<OnDurable>,
    on_failure: Listeners<OnFailure>,
    on_disk_fault: Listeners<OnDiskFault>,
    /// Who measures the syncs, if somebody does.
    pub sync_meter: OnceLock<Box<dyn SyncMeter>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(state: State, on_work: Option<Box<OnWork>>) -> Shared {
        Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            on_work,
            room: Condvar::new(),
            on_durable: Mutex::default(),
            on_failure: Mutex::default(),
            on_disk_fault: Mutex::default(),
            sync_meter: OnceLock::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the log's state is held")
    }

    /// There is something to do. Not with the lock held.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
        if let Some(on_work) = &self.on_work {
            on_work();
        }
    }

    pub(crate) fn listen_durable(&self, listener: Box<OnDurable>) {
        self.on_durable.lock().expect("no panic while it is held").push(listener.into());
    }

    pub(crate) fn listen_failure(&self, listener: Box<OnFailure>) {
        self.on_failure.lock().expect("no panic while it is held").push(listener.into());
    }

    pub(crate) fn listen_disk_fault(&self, listener: Box<OnDiskFault>) {
        self.on_disk_fault.lock().expect("no panic while it is held").push(listener.into());
    }

    /// Tells everyone, without a lock held, if the disk failed with what it was given.
    pub(crate) fn tell_disk_fault(&self, error: &ReadError) {
        if !error.is_disk_fault() {
            return;
        }
        let listeners = self.on_disk_fault.lock().expect("no panic while it is held").clone();
        listeners.iter().for_each(|listener| listener(error));
    }

    /// Tells everyone, without a lock held.
    pub(crate) fn tell_durable(&self, index: u64) {
        let listeners = self.on_durable.lock().expect("no panic while it is held").clone();
        listeners.iter().for_each(|listener| listener(index));
    }

    /// Tells everyone, without a lock held.
    pub(crate) fn tell_failure(&self, reason: &str) {
        let listeners = self.on_failure.lock().expect("no panic while it is held").clone();
        listeners.iter().for_each(|listener| listener(reason.to_owned()));
    }

    /// Takes no more from now on. The first reason stays.
    pub(crate) fn poison(&self, reason: String) {
        let failure = {
            let mut state = self.lock();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(LogFailure::Poisoned { reason: reason.clone() });
            self.room.notify_all();
            state.failure.clone()
        };
        tracing::error!(%reason, ?failure, "the log failed");
        self.tell_failure(&reason);
    }
}
