//! The writer thread (rule R3): first in, first out; many appends, one sync, then all callbacks.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::Frame;
use super::prepare::{Preparer, begin_segment, index_bytes};
use super::segment::{Footer, SegmentHeader, Watermark, segment_name};
use super::state::{Op, SegmentEntry, Shared, State, Task};
use super::superblock::{SUPERBLOCK_NAME, Superblock, Vitals};
use super::{Completion, LogFailure, LogMark};
use crate::disk::{Disk, DiskFile};
use crate::limits::{CACHED_BEHIND_BYTES, SEGMENT_FOOTER_BYTES, WRITE_BATCH_BYTES_MAX};
use crate::planted::{PlantedBug, planted};
use crate::position::LogPosition;

/// A disk call that failed, and what it was for.
#[derive(Debug)]
pub(crate) struct WriteError {
    action: &'static str,
    file: String,
    source: io::Error,
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.file, self.source)
    }
}

pub(crate) fn failed<T>(
    result: io::Result<T>,
    action: &'static str,
    file: impl Into<String>,
) -> Result<T, WriteError> {
    result.map_err(|source| WriteError { action, file: file.into(), source })
}

/// A writer thread that panicked must not look like one that is slow.
struct PanicPoisons(Arc<Shared>);

impl Drop for PanicPoisons {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("the log's writer thread panicked".into());
        }
    }
}

/// The open segment, as the writer knows it.
#[derive(Debug)]
pub(crate) struct Active {
    pub header: SegmentHeader,
    pub file: Arc<dyn DiskFile>,
    /// Where the written frames end.
    pub end: LogPosition,
    /// The last entry written, in this segment or before.
    pub last: Option<LogMark>,
    /// What was last written into a slot.
    pub watermark: Watermark,
}

impl Active {
    pub(crate) fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    pub(crate) fn name(&self) -> String {
        segment_name(self.header.base)
    }
}

/// Owns the files; the only one that writes.
pub(crate) struct Writer {
    pub shared: Arc<Shared>,
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub segment_bytes: u64,
    pub superblock: Superblock,
    pub active: Active,
    pub preparer: Preparer,
    /// Frames that wait for the next write.
    run: Vec<Frame>,
    /// Where the run ends.
    pub run_end: LogPosition,
    /// Who waits for the next sync.
    waiting: Vec<Completion>,
    /// Something was written since the last sync: so many frames, of so many bytes.
    dirty: bool,
    unsynced: (u64, u64),
    /// Up to here the system was told to keep nothing in memory.
    forgotten: LogPosition,
    /// Held as long as the log is open.
    _lock: Arc<dyn DiskFile>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        disk: Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
        (superblock, active, preparer): (Superblock, Active, Preparer),
        lock: Arc<dyn DiskFile>,
    ) -> Writer {
        Writer {
            shared,
            disk,
            dir: dir.to_owned(),
            segment_bytes,
            superblock,
            run_end: active.end,
            forgotten: active.end,
            active,
            preparer,
            run: Vec::new(),
            waiting: Vec::new(),
            dirty: false,
            unsynced: (0, 0),
            _lock: lock,
        }
    }

    /// Works until the log is closed.
    pub(crate) fn work(mut self) {
        let _bomb = PanicPoisons(self.shared.clone());
        while let Some(ops) = self.take() {
            if let Err(failure) = self.turn(ops) {
                self.refuse_all(failure);
                return self.preparer.stop();
            }
        }
        self.finish();
    }

    /// Does what was taken from the queue, and makes it durable. After a failure nothing may be done any more.
    fn turn(&mut self, ops: Vec<Op>) -> Result<(), LogFailure> {
        let mut ops = ops.into_iter();
        let result = ops.by_ref().try_for_each(|op| self.perform(op)).and_then(|()| self.sync());
        let Err(error) = result else { return Ok(()) };
        self.shared.poison(error.to_string());
        let failure = LogFailure::Poisoned { reason: error.to_string() };
        self.waiting.drain(..).chain(ops.map(|op| op.done)).for_each(|done| done(Err(failure.clone())));
        Err(failure)
    }

    /// Does what is in the queue now, without waiting for more: for a log without a thread. Says whether there was
    /// something.
    pub(crate) fn step(&mut self) -> bool {
        let (ops, failure) = {
            let mut state = self.shared.lock();
            (self.drain(&mut state), state.failure.clone())
        };
        if ops.is_empty() {
            return false;
        }
        match failure {
            Some(failure) => ops.into_iter().for_each(|op| (op.done)(Err(failure.clone()))),
            // It is noted in the state, which the next step looks at.
            None => _ = self.turn(ops),
        }
        true
    }

    /// Brings to disk what the last sync covered, and ends.
    pub(crate) fn finish(mut self) {
        if self.shared.lock().failure.is_none()
            && let Err(error) = self.rest()
        {
            self.shared.poison(error.to_string());
        }
        self.preparer.stop();
    }

    /// Waits for something to do; none when the log was closed and nothing is left.
    fn take(&self) -> Option<Vec<Op>> {
        let state = self.shared.lock();
        let waiting = self.shared.work.wait_while(state, |state| state.queue.is_empty() && !state.closing);
        let mut state = waiting.expect("no panic while the log's state is held");
        let ops = self.drain(&mut state);
        (!ops.is_empty()).then_some(ops)
    }

    fn drain(&self, state: &mut State) -> Vec<Op> {
        let (mut ops, mut bytes) = (Vec::with_capacity(state.queue.len()), 0);
        while bytes < WRITE_BATCH_BYTES_MAX {
            let Some(op) = state.queue.pop_front() else { break };
            bytes += op.bytes;
            ops.push(op);
        }
        state.queued_bytes -= bytes;
        self.shared.room.notify_all();
        ops
    }

    /// Answers whoever asks from now on, until the log is closed.
    fn refuse_all(&self, failure: LogFailure) {
        loop {
            let state = self.shared.lock();
            let waiting =
                self.shared.work.wait_while(state, |state| state.queue.is_empty() && !state.closing);
            let mut state = waiting.expect("no panic while the log's state is held");
            let ops = std::mem::take(&mut state.queue);
            state.queued_bytes = 0;
            let closing = state.closing;
            drop(state);
            ops.into_iter().for_each(|op| (op.done)(Err(failure.clone())));
            if closing {
                return;
            }
        }
    }

    fn perform(&mut self, op: Op) -> Result<(), WriteError> {
        if let Task::Append { frames } = op.task {
            self.waiting.push(op.done);
            return frames.into_iter().try_for_each(|frame| self.stage(frame));
        }
        // Everything else starts when the appends before it are durable.
        let synced = self.sync();
        self.waiting.push(op.done);
        synced?;
        match op.task {
            Task::Append { .. } => unreachable!("handled above"),
            Task::SaveBallot { .. } if planted(PlantedBug::VoteNotPersisted) => {}
            Task::SaveBallot { ballot } => {
                let vitals = Vitals { ballot: Some(ballot), ..self.superblock.vitals() };
                failed(self.superblock.save(vitals), "save the vote in", SUPERBLOCK_NAME)?;
                self.complete();
                failed(self.superblock.settle(), "save the vote in", SUPERBLOCK_NAME)?;
            }
            Task::Truncate { cut } => self.truncate(cut)?,
            Task::Purge { mark } => {
                self.save_vitals(|vitals| vitals.purged = Some(mark))?;
                self.complete();
                self.collect()?;
            }
            Task::Reset { keep, mark, next_position } => self.reset(keep, mark, next_position)?,
            Task::Collect => self.collect()?,
        }
        self.complete();
        Ok(())
    }

    /// Puts a frame into the run; if the open segment has no room for it, begins a new one.
    fn stage(&mut self, frame: Frame) -> Result<(), WriteError> {
        let position = frame.position().expect("a frame that was appended");
        let due = self.run.last().map_or(self.active.next_index(), |last| last.index + 1);
        assert!(frame.index == due, "frame {} where {due} is due", frame.index);
        assert!(position == self.run_end, "frame {due} at {position} where {} is due", self.run_end);
        let end = position + frame.encoded_len();
        if self.active.header.offset(end) + SEGMENT_FOOTER_BYTES > self.segment_bytes {
            self.write_run()?;
            self.roll(position, self.active.last, false)?;
        }
        self.run_end = end;
        self.run.push(frame);
        Ok(())
    }

    /// Writes the run behind what is there, and shows it to readers.
    fn write_run(&mut self) -> Result<(), WriteError> {
        let Some(last) = self.run.last().map(Frame::mark) else { return Ok(()) };
        let mut headers = Vec::with_capacity(self.run.len());
        let mut offsets = Vec::with_capacity(self.run.len());
        for frame in &self.run {
            let position = frame.position().expect("a frame that was appended");
            headers.push(frame.encode_header(position));
            offsets.push(self.active.header.offset(position) as u32);
        }
        let mut parts = Vec::with_capacity(2 * self.run.len());
        for (header, frame) in headers.iter().zip(&self.run) {
            parts.push(IoSlice::new(header));
            parts.push(IoSlice::new(&frame.body));
        }
        let at = self.active.header.offset(self.active.end);
        failed(self.active.file.write_at(at, &mut parts), "write", self.active.name())?;
        drop(parts);
        self.unsynced.0 += self.run.len() as u64;
        self.unsynced.1 += self.run_end.0 - self.active.end.0;
        self.run.clear();
        self.active.end = self.run_end;
        self.active.last = Some(last);
        self.dirty = true;

        let mut state = self.shared.lock();
        state.open_offsets.extend(offsets);
        state.written_end = self.active.end;
        state.written_next = last.index + 1;
        state.evict();
        Ok(())
    }

    /// Writes the run, makes it durable, and calls back.
    pub(crate) fn sync(&mut self) -> Result<(), WriteError> {
        self.write_run()?;
        if self.dirty {
            if !planted(PlantedBug::AckBeforeFsync) {
                self.sync_data()?;
            }
            self.dirty = false;
            self.mark_durable()?;
        }
        self.complete();
        if self.active.end.0.saturating_sub(self.forgotten.0) >= 2 * CACHED_BEHIND_BYTES {
            self.forget_up_to(LogPosition(self.active.end.0 - CACHED_BEHIND_BYTES));
        }
        Ok(())
    }

    /// Makes what was written durable, and tells how it went to who measures it.
    fn sync_data(&mut self) -> Result<(), WriteError> {
        let meter = self.shared.sync_meter.get().map(|meter| (meter, meter.begins()));
        failed(self.active.file.sync_data(), "sync", self.active.name())?;
        let (frames, bytes) = std::mem::take(&mut self.unsynced);
        // At the end of a segment there may be nothing left to sync but its footer.
        if let Some((meter, begun)) = meter.filter(|_| frames > 0) {
            meter.ended(begun, frames, bytes);
        }
        Ok(())
    }

    /// Lets the system's cache go of what is durable: who keeps up reads the tail cache. A second copy of
    /// everything written would cost its memory, and on virtual machines whose memory is made when it is first
    /// touched it costs several times the copying itself.
    fn forget_up_to(&mut self, end: LogPosition) {
        let from = self.forgotten.max(self.active.header.base);
        if let Some(bytes) = end.0.checked_sub(from.0) {
            self.active.file.forget(self.active.header.offset(from), bytes);
            self.forgotten = end;
        }
    }

    /// Notes in the segment what the last sync covered; the next sync makes the note durable.
    fn mark_durable(&mut self) -> Result<(), WriteError> {
        let index = self.active.last.map(|last| last.index);
        let committed = {
            let mut state = self.shared.lock();
            state.show_durable(index);
            state.committed
        };
        self.write_watermark(committed)
    }

    pub(crate) fn write_watermark(&mut self, committed: Option<LogMark>) -> Result<(), WriteError> {
        self.active.watermark = Watermark {
            sequence: self.active.watermark.sequence + 1,
            position: self.active.end,
            index: self.active.last.map(|last| last.index),
            committed,
        };
        let written = self.active.watermark.write(&*self.active.file);
        failed(written, "write the watermark of", self.active.name())
    }

    /// Calls back whoever waited for what is now durable.
    fn complete(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let durable = self.shared.lock().durable;
        if let Some(index) = durable {
            self.shared.tell_durable(index);
        }
        self.waiting.drain(..).for_each(|done| done(Ok(())));
    }

    pub(crate) fn save_vitals(&mut self, change: impl FnOnce(&mut Vitals)) -> Result<(), WriteError> {
        let mut vitals = self.superblock.vitals();
        change(&mut vitals);
        failed(self.superblock.save_both(vitals), "save the floors in", SUPERBLOCK_NAME)
    }

    /// Seals the open segment and begins another one at `base`, behind `previous`.
    pub(crate) fn roll(
        &mut self,
        base: LogPosition,
        previous: Option<LogMark>,
        after_reset: bool,
    ) -> Result<(), WriteError> {
        assert!(base >= self.active.end, "a segment at {base}, before the end {}", self.active.end);
        // A segment of the same base takes the place of one that nothing was ever in.
        if base != self.active.header.base {
            self.seal()?;
        }
        let header = SegmentHeader {
            base,
            base_index: previous.map_or(0, |previous| previous.index + 1),
            previous,
            after_reset,
            ..self.active.header
        };
        self.begin(header)?;
        self.save_vitals(|vitals| vitals.newest = base)
    }

    /// Makes the segment of `header` the open one. The one before it is sealed, or empty and replaced.
    pub(crate) fn begin(&mut self, header: SegmentHeader) -> Result<(), WriteError> {
        let name = segment_name(header.base);
        let spare = failed(self.preparer.take_spare(), "make", &name)?;
        let committed = self.shared.lock().committed;
        let index = header.previous.map(|previous| previous.index);
        let watermark = Watermark { sequence: 1, position: header.base, index, committed };
        failed(begin_segment(&*self.disk, &self.dir, &*spare, &header, watermark), "begin", &name)?;
        self.preparer.spare_used();
        self.run_end = header.base;
        self.active = Active {
            header,
            file: spare.clone(),
            end: header.base,
            last: header.previous,
            watermark: Watermark { sequence: 2, ..watermark },
        };

        let mut state = self.shared.lock();
        if state.segments.last().is_some_and(|last| last.footer.is_none()) {
            state.segments.pop();
            state.generation += 1;
        }
        state.segments.push(SegmentEntry { header, footer: None, offsets: None });
        state.open_offsets.clear();
        state.open_file = spare;
        state.written_end = header.base;
        state.written_next = header.base_index;
        Ok(())
    }

    /// Makes the open segment's frames durable, and then its footer.
    fn seal(&mut self) -> Result<(), WriteError> {
        let name = self.active.name();
        let header = self.active.header;
        self.sync_data()?;
        self.dirty = false;
        self.mark_durable()?;

        let offsets = Arc::new(self.shared.lock().open_offsets.clone());
        let footer = Footer {
            base: header.base,
            end: self.active.end,
            last: self.active.last,
            frames: offsets.len() as u32,
            index_crc: super::field::crc32c(&index_bytes(&offsets)),
        };
        let at = header.offset(self.active.end);
        failed(self.active.file.write_at(at, &mut [IoSlice::new(&footer.encode())]), "seal", &name)?;
        failed(self.active.file.set_len(at + SEGMENT_FOOTER_BYTES), "seal", &name)?;
        failed(self.active.file.sync_data(), "seal", &name)?;
        self.forget_up_to(self.active.end);
        {
            let mut state = self.shared.lock();
            let entry = state.segments.last_mut().expect("the open segment");
            entry.footer = Some(footer);
            entry.offsets = Some(offsets.clone());
            state.open_offsets.clear();
        }
        self.preparer.write_index(&self.shared, header, offsets);
        Ok(())
    }

    /// Before the log is closed: what the last sync covered, and what was committed, durably.
    fn rest(&mut self) -> Result<(), WriteError> {
        let committed = self.shared.lock().committed;
        self.write_watermark(committed)?;
        failed(self.active.file.sync_data(), "sync", self.active.name())
    }
}
