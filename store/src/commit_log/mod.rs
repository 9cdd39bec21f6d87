//! The CommitLog of one group: its Raft log, which is also where message bodies live.
//!
//! A log is a directory. [`CommitLog::open`] recovers it and starts one writer thread, which does everything
//! that changes the disk, in the order in which it was asked: appends, votes, truncations, purges. Appends that
//! came while the last sync ran share the next one. Whoever asked is called back on that thread after the sync
//! that covers it. What was appended can be read at once.
//!
//! ```text
//! append ─► tail cache ─► queue ─► writer thread: pwritev, fdatasync, watermark, callbacks
//!              │                        │
//! cached_frames, read_cached      segments ◄── frames, read_at (blocking)
//! ```
//!
//! Invariants:
//! - A callback says yes only after a successful sync of everything before it in the queue.
//! - A failed write or sync is never tried again: the log is poisoned and takes no more.
//! - On disk no stale frame ever follows a newer one: truncation erases before it answers.
//! - Nothing that was durable is cut off when the log is opened; damage below the watermark is an error.
//! - A segment is deleted only when Raft has given it up *and* no consumer can read it.
//!
//! `docs/formats.md` draws the files.

mod error;
pub(crate) mod field;
mod frame;
mod identity;
mod inspect;
mod pointers;
mod prepare;
mod reader;
mod reads;
mod recovery;
mod scan;
mod segment;
mod state;
mod stepper;
mod superblock;
mod sync_meter;
mod tail_cache;
mod truncate;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub use crate::ballot::Ballot;
pub use error::{Damage, LogFailure, OpenError, ReadError};
pub use frame::{Frame, FrameError, FrameHeader, FrameKind};
pub use identity::LogIdentity;
pub use inspect::{CheckReport, FrameLine, Inspection, SegmentLine, read_vote};
pub use pointers::{LogMark, LogOptions, LogPointers, SegmentSpan};
pub use recovery::TornTail;
pub use stepper::Stepper;
pub use sync_meter::SyncMeter;

use crate::disk::Disk;
use crate::limits::{QUEUE_BYTES_MAX, frame_bytes_max};
use crate::position::LogPosition;
use pointers::later;
use prepare::Preparer;
use reader::Reader;
use state::{Cut, OnWork, Op, Shared, State, Task};
use tail_cache::TailCache;
use writer::Writer;

/// Called on the writer thread, in the order of the calls, when what was asked is durable or never will be.
/// It must not block, and must not wait for this log.
pub type Completion = Box<dyn FnOnce(Result<(), LogFailure>) + Send>;

/// A group's log. A cheap handle; the log closes with [`CommitLog::close`] or with its last handle.
#[derive(Clone)]
pub struct CommitLog {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    reader: Reader,
    frame_bytes_max: u64,
    torn: Option<TornTail>,
    // Taken by whoever closes the log.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Does the writer's work, if no thread does.
    stepper: Option<Stepper>,
}

impl fmt::Debug for CommitLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitLog").field("pointers", &self.pointers()).finish_non_exhaustive()
    }
}

impl CommitLog {
    /// Opens the log in `dir`, or makes an empty one. What it reports is durable. Its first index is 0.
    ///
    /// # Errors
    /// A directory of another identity or in use by another process, damage, or a disk that refuses.
    /// Nothing is dropped but a torn tail, which [`CommitLog::torn_tail`] then tells of.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: LogIdentity,
        options: LogOptions,
    ) -> Result<CommitLog, OpenError> {
        CommitLog::recover(disk, dir, identity, options, None)
    }

    fn recover(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: LogIdentity,
        options: LogOptions,
        on_work: Option<Box<OnWork>>,
    ) -> Result<CommitLog, OpenError> {
        let stepped = on_work.is_some();
        let found = recovery::recover(&*disk, dir, &identity, &options)?;
        if let Some(torn) = &found.torn {
            tracing::warn!(dir = %dir.display(), position = %torn.position, reason = %torn.reason,
                "cut off the torn tail of the log: it was written but never synced");
        }
        let last = found.active.last;
        let shared = Arc::new(Shared::new(
            State {
                segments: found.segments,
                open_offsets: found.open_offsets,
                open_file: found.active.file.clone(),
                written_end: found.active.end,
                written_next: found.active.next_index(),
                generation: 0,
                cache: TailCache::new(options.tail_cache_bytes),
                queue: VecDeque::new(),
                queued_bytes: 0,
                pending_cuts: VecDeque::new(),
                purged: found.purged,
                last,
                next_position: found.active.end,
                durable: last.map(|last| last.index),
                ballot: found.superblock.vitals().ballot,
                committed: found.committed,
                read_floor: LogPosition(0),
                failure: None,
                closing: false,
            },
            on_work,
        ));
        let ahead = options.prepare_ahead.then(|| shared.clone());
        let preparer = Preparer::start(disk.clone(), dir, options.segment_bytes, ahead);
        let preparer = recovery::tried(preparer, "start a thread for", dir)?;
        let files = (found.superblock, found.active, preparer);
        let writer = Writer::new(shared.clone(), disk.clone(), dir, options.segment_bytes, files, found.lock);
        let (thread, stepper) = match stepped {
            true => (None, Some(Stepper::of(writer))),
            false => {
                let name = "log-writer".to_owned();
                let thread = std::thread::Builder::new().name(name).spawn(move || writer.work());
                (Some(recovery::tried(thread, "start a thread for", dir)?), None)
            }
        };
        Ok(CommitLog {
            inner: Arc::new(Inner {
                reader: Reader::new(shared.clone(), disk, dir),
                shared,
                frame_bytes_max: frame_bytes_max(options.segment_bytes),
                torn: found.torn,
                writer: Mutex::new(thread),
                stepper,
            }),
        })
    }

    /// The torn tail that was cut off when the log was opened, if there was one.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.inner.torn.as_ref()
    }

    /// The longest frame that this log takes, in bytes.
    pub fn frame_bytes_max(&self) -> u64 {
        self.inner.frame_bytes_max
    }

    /// Appends frames. They can be read when this returns, and are durable when `done` is called. Waits while
    /// the queue is full ([`QUEUE_BYTES_MAX`]).
    ///
    /// # Errors
    /// If the log failed, was closed, or a frame is too long; nothing is appended then and `done` is dropped.
    ///
    /// # Panics
    /// If the indexes do not continue the log, or a frame that has a position belongs elsewhere.
    pub fn append(&self, mut frames: Vec<Frame>, done: Completion) -> Result<(), LogFailure> {
        let max = self.inner.frame_bytes_max;
        if let Some(frame) = frames.iter().find(|frame| frame.encoded_len() > max) {
            return Err(LogFailure::TooLarge { index: frame.index, len: frame.encoded_len(), max });
        }
        let shared = &self.inner.shared;
        let full = |state: &mut State| {
            state.queued_bytes > QUEUE_BYTES_MAX && state.failure.is_none() && !state.closing
        };
        let waited = shared.room.wait_while(shared.lock(), full);
        let mut state = waited.expect("no panic while the log's state is held");
        usable(&state)?;
        let (mut due, mut position) = (state.next_index(), state.next_position);
        for frame in &frames {
            if frame.index != due || frame.position().is_some_and(|at| at != position) {
                // Not with the lock held: whoever asks next must not suffer for it.
                drop(state);
                let (index, at) = (frame.index, frame.position());
                panic!("frame {index} at {at:?} appended where {due} at {position} is due");
            }
            due += 1;
            position = position + frame.encoded_len();
        }
        let bytes = frames.iter().map(Frame::encoded_len).sum();
        for frame in &mut frames {
            frame.place(state.next_position);
            state.next_position = state.next_position + frame.encoded_len();
            state.last = Some(frame.mark());
            state.cache.push(frame.clone());
        }
        state.evict();
        push(&mut state, Op { task: Task::Append { frames }, bytes, done });
        drop(state);
        shared.wake();
        Ok(())
    }

    /// Saves the vote, behind everything that was appended before and ahead of what comes after.
    pub fn save_ballot(&self, ballot: Ballot, done: Completion) {
        self.ask(Task::SaveBallot { ballot }, done, |state| state.ballot = Some(ballot));
    }

    /// The vote last saved or being saved; none if this replica never voted.
    pub fn ballot(&self) -> Option<Ballot> {
        self.inner.shared.lock().ballot
    }

    /// Removes what follows `index`; all of it if there is none. Readers see that at once.
    /// Reads the disk if the frame behind `index` is not in memory.
    ///
    /// # Panics
    /// If Raft had given up entries behind `index`.
    pub fn truncate_after(&self, index: Option<u64>, done: Completion) {
        let next = index.map_or(0, |index| index + 1);
        match self.cut_at(next) {
            Ok(None) => self.ask(Task::Append { frames: Vec::new() }, done, |_| {}),
            Ok(Some(cut)) => self.ask(Task::Truncate { cut }, done, |state| state.show_cut(cut)),
            Err(error) => {
                self.inner.shared.poison(format!("cannot truncate to {next}: {error}"));
                self.ask(Task::Append { frames: Vec::new() }, done, |_| {});
            }
        }
    }

    /// Raises the Raft floor: entries up to `last` are given up. Segments are deleted when they lie below the
    /// read floor too.
    ///
    /// A log that ends before `last` goes on behind it, at its next position. After a snapshot that is not the
    /// position of the other replicas: call [`CommitLog::reset_to`] first.
    pub fn purge(&self, last: LogMark, done: Completion) {
        let (next, next_position, purged) = {
            let state = self.inner.shared.lock();
            (state.next_index(), state.next_position, state.purged)
        };
        if last.index >= next {
            self.reset_to(last, next_position, done);
        } else if purged.is_some_and(|purged| purged.index >= last.index) {
            self.ask(Task::Append { frames: Vec::new() }, done, |_| {});
        } else {
            self.ask(Task::Purge { mark: last }, done, |state| state.purged = Some(last));
        }
    }

    /// Raises the read floor: consumers need nothing before `position`. It is not kept over a restart, and
    /// nothing is deleted before it is set.
    pub fn set_read_floor(&self, position: LogPosition) {
        let collects = {
            let mut state = self.inner.shared.lock();
            state.read_floor = state.read_floor.max(position);
            state.segments[0].footer.is_some_and(|footer| footer.end <= state.read_floor)
        };
        if collects {
            self.ask(Task::Collect, Box::new(|_| {}), |_| {});
        }
    }

    /// Goes on behind `mark` after a snapshot was installed; the next frame goes to `next_position`. A log that
    /// already has the entry keeps everything. Else what is beyond the last entry known to be committed is
    /// removed; the rest stays readable.
    ///
    /// # Panics
    /// If what is known to be committed reaches beyond `next_position`.
    pub fn reset_to(&self, mark: LogMark, next_position: LogPosition, done: Completion) {
        if matches!(self.log_mark(mark.index), Ok(Some(held)) if held == mark) {
            return self.purge(mark, done);
        }
        let keep = {
            let state = self.inner.shared.lock();
            let known = later(state.committed, state.purged);
            known.filter(|known| known.index < mark.index).map_or(0, |known| known.index + 1)
        };
        let keep = match self.cut_at(keep) {
            Ok(keep) => keep,
            Err(error) => {
                self.inner.shared.poison(format!("cannot go on behind {mark:?}: {error}"));
                None
            }
        };
        let end = keep.map_or(self.pointers().next_position, |cut| cut.end);
        assert!(end <= next_position, "the log is committed up to {end}, beyond {next_position}");
        self.ask(Task::Reset { keep, mark, next_position }, done, |state| {
            if let Some(cut) = keep {
                state.show_cut(cut);
            }
            state.generation += 1;
            state.cache.clear();
            state.last = Some(mark);
            state.purged = Some(mark);
            state.committed = Some(mark);
            state.next_position = next_position;
        });
    }

    /// Notes what Raft has committed. The note becomes durable with a later write.
    pub fn save_committed(&self, mark: LogMark) {
        let mut state = self.inner.shared.lock();
        if mark.index < state.next_index() {
            state.committed = Some(mark);
        }
    }

    /// What Raft was known to have committed; never beyond the log's end.
    pub fn committed(&self) -> Option<LogMark> {
        self.inner.shared.lock().committed
    }

    /// Where the log stands.
    pub fn pointers(&self) -> LogPointers {
        let pointers = self.inner.shared.lock().pointers();
        pointers.validate()
    }

    /// The segments that are there, ascending; the last one is open.
    pub fn segments(&self) -> Vec<SegmentSpan> {
        let state = self.inner.shared.lock();
        let span = |entry: &state::SegmentEntry| SegmentSpan {
            base: entry.header.base,
            base_index: entry.header.base_index,
            previous: entry.header.previous,
            end: entry.footer.map(|footer| footer.end),
            last_index: entry.footer.and_then(|footer| footer.last).map(|last| last.index),
        };
        state.segments.iter().map(span).collect()
    }

    /// Calls `listener` on the writer thread with the last durable index, after each sync.
    pub fn on_durable(&self, listener: Box<dyn Fn(u64) + Send + Sync>) {
        self.inner.shared.listen_durable(listener);
    }

    /// Calls `listener` once with the reason if the log fails: the node must stop then.
    pub fn on_failure(&self, listener: Box<dyn Fn(String) + Send + Sync>) {
        self.inner.shared.listen_failure(listener);
    }

    /// Calls `listener`, on the thread that reads, whenever the disk does not give back what it was given:
    /// [`ReadError::is_disk_fault`]. The log goes on; whoever must not go on with it says so.
    pub fn on_disk_fault(&self, listener: Box<dyn Fn(&ReadError) + Send + Sync>) {
        self.inner.shared.listen_disk_fault(listener);
    }

    /// Has the syncs of frames measured from now on. The first call counts.
    pub fn measure_syncs(&self, meter: Box<dyn SyncMeter>) {
        let _ = self.inner.shared.sync_meter.set(meter);
    }

    /// Bytes of the frames that are held in memory.
    pub fn cached_bytes(&self) -> u64 {
        self.inner.shared.lock().cache.bytes_held()
    }

    /// Finishes what is queued, syncs, and lets go of the directory. Every handle is useless then.
    pub fn close(self) {
        self.inner.close();
    }

    /// Where to cut so that `next` is the index of the next frame; none if the log ends there already.
    fn cut_at(&self, next: u64) -> Result<Option<Cut>, ReadError> {
        let (purged, end) = {
            let state = self.inner.shared.lock();
            (state.purged, state.next_index())
        };
        let first = purged.map_or(0, |purged| purged.index + 1);
        assert!(next >= first, "a cut at {next}, below {first}, which is given up");
        if next >= end {
            return Ok(None);
        }
        let last = match next.checked_sub(1) {
            Some(index) => self.log_mark(index)?,
            None => None,
        };
        assert!(next == 0 || last.is_some(), "there is no entry before {next}");
        let frames = self.frames(next..next + 1, 0)?;
        let behind = frames.first().expect("an entry before the end");
        Ok(Some(Cut { last, end: behind.position().expect("an entry of the log") }))
    }

    /// Puts a task into the queue and shows its effect at once; calls back if the log takes no more.
    fn ask(&self, task: Task, done: Completion, show: impl FnOnce(&mut State)) {
        let mut state = self.inner.shared.lock();
        if let Err(failure) = usable(&state) {
            drop(state);
            return done(Err(failure));
        }
        show(&mut state);
        push(&mut state, Op { task, bytes: 0, done });
        drop(state);
        self.inner.shared.wake();
    }
}

impl Inner {
    fn close(&self) {
        {
            let mut state = self.shared.lock();
            state.closing = true;
            self.shared.work.notify_all();
            self.shared.room.notify_all();
        }
        if let Some(stepper) = &self.stepper {
            return stepper.finish();
        }
        let thread = self.writer.lock().expect("no panic while it is held").take();
        // The last handle can be dropped by a callback, on the writer thread itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the log's writer thread panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn usable(state: &State) -> Result<(), LogFailure> {
    if let Some(failure) = &state.failure {
        return Err(failure.clone());
    }
    if state.closing { Err(LogFailure::Closed) } else { Ok(()) }
}

fn push(state: &mut State, op: Op) {
    state.queued_bytes += op.bytes;
    state.queue.push_back(op);
}
