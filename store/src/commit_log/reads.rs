//! What is read of a log: from memory where it is there, else from the disk.

use std::ops::Range;

use bytes::Bytes;

use super::{CommitLog, Frame, LogMark, ReadError};
use crate::position::LogPosition;
use crate::record::MessageRecord;

/// How often a read starts again because the log was truncated meanwhile.
const READ_RETRIES_MAX: usize = 16;

impl CommitLog {
    /// The frames of `range` that are there, from its start on: up to `max_bytes`, but at least one. Empty if
    /// the log ends before it. Blocks on the disk for what is not in memory.
    ///
    /// # Errors
    /// If the start is deleted or damaged, or the disk refuses.
    pub fn frames(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Frame>, ReadError> {
        let (mut found, mut bytes, mut next, mut retries) = (Vec::new(), 0, range.start, 0);
        loop {
            let left = max_bytes.saturating_sub(bytes);
            let (generation, end) = {
                let state = self.inner.shared.lock();
                let end = range.end.min(state.next_index());
                if next >= end {
                    return Ok(found);
                }
                if let Some(frames) = state.cache.frames(next..end, left) {
                    append_within(&mut found, frames, left);
                    return Ok(found);
                }
                let first = state.cache.first_index().filter(|first| *first > next);
                (state.generation, first.map_or(end, |first| end.min(first)))
            };
            let frames = match self.inner.reader.frames(next..end, left) {
                // A truncation came between, and what is due now is in memory.
                Err(ReadError::Purged { .. })
                    if retries < READ_RETRIES_MAX && self.inner.shared.lock().generation != generation =>
                {
                    retries += 1;
                    continue;
                }
                other => self.told(other)?,
            };
            next += frames.len() as u64;
            bytes += frames.iter().map(Frame::encoded_len).sum::<u64>() as usize;
            if !append_within(&mut found, frames, left) || bytes >= max_bytes {
                return Ok(found);
            }
        }
    }

    /// As [`CommitLog::frames`], but only from memory: none if the start is not there. Never blocks on the disk.
    pub fn cached_frames(&self, range: Range<u64>, max_bytes: usize) -> Option<Vec<Frame>> {
        let state = self.inner.shared.lock();
        let range = range.start..range.end.min(state.next_index());
        if range.is_empty() {
            return Some(Vec::new());
        }
        state.cache.frames(range, max_bytes)
    }

    /// Term and leader of one entry, if it is held or is the last one given up. Can block on the disk.
    ///
    /// # Errors
    /// If it is damaged, or the disk refuses.
    pub fn log_mark(&self, index: u64) -> Result<Option<LogMark>, ReadError> {
        {
            let state = self.inner.shared.lock();
            let known = [state.last, state.purged, state.cache.get(index).map(Frame::mark)];
            if let Some(mark) = known.into_iter().flatten().find(|mark| mark.index == index) {
                return Ok(Some(mark));
            }
        }
        match self.frames(index..index + 1, 0) {
            Ok(frames) => Ok(frames.first().map(Frame::mark)),
            Err(ReadError::Purged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `len` bytes of the log at `position`, which lie in one frame: a record. Blocks on the disk. They are not
    /// checked: see [`CommitLog::read_record`].
    ///
    /// # Errors
    /// If they are not held, or the disk refuses.
    pub fn read_at(&self, position: LogPosition, len: u32) -> Result<Bytes, ReadError> {
        match self.read_cached(position, len) {
            Some(bytes) => Ok(bytes),
            None => self.told(self.inner.reader.bytes(position, len)),
        }
    }

    /// As [`CommitLog::read_at`], for a whole record: bytes that are not those that were written are damage. A record
    /// tells by its own checksum; for one that cannot, the whole frame around it is read. Blocks on the disk.
    ///
    /// # Errors
    /// If it is not held or damaged, or the disk refuses.
    pub fn read_record(&self, position: LogPosition, len: u32) -> Result<Bytes, ReadError> {
        let record = self.read_at(position, len)?;
        match MessageRecord::is_intact(&record) {
            true => Ok(record),
            false => self.told(self.inner.reader.checked_bytes(position, len)),
        }
    }

    /// Lets those know who listen for faults of the disk.
    fn told<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        read.inspect_err(|error| self.inner.shared.tell_disk_fault(error))
    }

    /// As [`CommitLog::read_at`], but only from memory. Never blocks on the disk.
    pub fn read_cached(&self, position: LogPosition, len: u32) -> Option<Bytes> {
        self.inner.shared.lock().cache.bytes(position, len)
    }
}

/// Adds frames that fit; the first one of all always does. Says whether all of them did.
fn append_within(found: &mut Vec<Frame>, frames: Vec<Frame>, mut left: usize) -> bool {
    for frame in frames {
        let len = frame.encoded_len() as usize;
        if len > left && !found.is_empty() {
            return false;
        }
        left = left.saturating_sub(len);
        found.push(frame);
    }
    true
}
