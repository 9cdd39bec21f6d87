//! The end of the log in memory: for replication, apply, and readers that keep up.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::Frame;
use crate::limits::FRAME_HEADER_BYTES;
use crate::position::LogPosition;

/// Consecutive frames up to the log's end, bounded in bytes except for what is not yet written.
#[derive(Debug)]
pub(crate) struct TailCache {
    frames: VecDeque<Frame>,
    bytes: u64,
    bytes_max: u64,
}

impl TailCache {
    pub(crate) fn new(bytes_max: usize) -> TailCache {
        TailCache { frames: VecDeque::new(), bytes: 0, bytes_max: bytes_max as u64 }
    }

    /// Adds the frame behind the last one.
    pub(crate) fn push(&mut self, frame: Frame) {
        if let Some(last) = self.frames.back() {
            assert!(last.index + 1 == frame.index, "frame {} behind {}", frame.index, last.index);
        }
        self.bytes += frame.encoded_len();
        self.frames.push_back(frame);
    }

    /// Drops the oldest frames beyond the bound, of those below `written_next`: the others are nowhere else.
    pub(crate) fn evict(&mut self, written_next: u64) {
        while self.bytes > self.bytes_max {
            match self.frames.front() {
                Some(frame) if frame.index < written_next => {
                    self.bytes -= frame.encoded_len();
                    self.frames.pop_front();
                }
                _ => return,
            }
        }
    }

    /// Drops the frames from `next` on.
    pub(crate) fn cut(&mut self, next: u64) {
        while self.frames.back().is_some_and(|frame| frame.index >= next) {
            let frame = self.frames.pop_back().expect("there is a last one");
            self.bytes -= frame.encoded_len();
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Bytes of all frames held.
    pub(crate) fn bytes_held(&self) -> u64 {
        self.bytes
    }

    /// The lowest index held.
    pub(crate) fn first_index(&self) -> Option<u64> {
        self.frames.front().map(|frame| frame.index)
    }

    /// One frame.
    pub(crate) fn get(&self, index: u64) -> Option<&Frame> {
        let at = index.checked_sub(self.first_index()?)?;
        self.frames.get(usize::try_from(at).ok()?)
    }

    /// The frames of `range` from its start on, up to `max_bytes`, but at least one. None if its start is
    /// not held.
    pub(crate) fn frames(&self, range: Range<u64>, max_bytes: usize) -> Option<Vec<Frame>> {
        let at = usize::try_from(range.start.checked_sub(self.first_index()?)?).ok()?;
        if at >= self.frames.len() {
            return None;
        }
        let mut found = Vec::new();
        let mut bytes = 0;
        for frame in self.frames.range(at..).take_while(|frame| frame.index < range.end) {
            bytes += frame.encoded_len();
            if bytes > max_bytes as u64 && !found.is_empty() {
                break;
            }
            found.push(frame.clone());
        }
        Some(found)
    }

    /// Bytes inside the body of one frame.
    pub(crate) fn bytes(&self, position: LogPosition, len: u32) -> Option<Bytes> {
        let at = self.frames.partition_point(|frame| frame.position().is_some_and(|start| start <= position));
        let frame = self.frames.get(at.checked_sub(1)?)?;
        let from = position.bytes_since(frame.position()?).checked_sub(FRAME_HEADER_BYTES)?;
        let to = from + u64::from(len);
        (to <= frame.body.len() as u64).then(|| frame.body.slice(from as usize..to as usize))
    }
}
