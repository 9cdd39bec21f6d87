//! Walks over the frames of one segment file, without an index.

use std::io;

use bytes::Bytes;

use super::field::crc32c;
use super::frame::{FrameError, FrameHeader};
use super::segment::SegmentHeader;
use crate::disk::DiskFile;
use crate::limits::{FRAME_HEADER_BYTES, SCAN_WINDOW_BYTES};
use crate::position::LogPosition;

/// Behind frames longer than this the next header is read alone, and not with what lies between.
const SKIP_BYTES: u64 = 16 << 10;
const SKIP_WINDOW_BYTES: u64 = 4 << 10;

/// What stands at a place: the outer error is the disk's, the inner one says why it is no frame.
pub(crate) type Scanned<T> = io::Result<Result<T, FrameError>>;

/// Reads header after header; bodies only when asked.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a dyn DiskFile,
    segment: &'a SegmentHeader,
    end: LogPosition,
    next: LogPosition,
    next_index: u64,
    skips: bool,
    window: Bytes,
    window_offset: u64,
}

impl<'a> Scanner<'a> {
    /// Starts at the segment's first frame; frames end at `end` at the latest.
    pub(crate) fn new(file: &'a dyn DiskFile, segment: &'a SegmentHeader, end: LogPosition) -> Scanner<'a> {
        Scanner {
            file,
            segment,
            end,
            next: segment.base,
            next_index: segment.base_index,
            skips: false,
            window: Bytes::new(),
            window_offset: 0,
        }
    }

    /// Where the next frame would start.
    pub(crate) fn position(&self) -> LogPosition {
        self.next
    }

    /// The index that the next frame would have.
    pub(crate) fn index(&self) -> u64 {
        self.next_index
    }

    /// The header of the next frame, checked to be the one that is due; the scanner stays before it.
    pub(crate) fn peek(&mut self) -> Scanned<FrameHeader> {
        let offset = self.segment.offset(self.next);
        let left = self.end.bytes_since(self.next);
        let held = self.window_offset + self.window.len() as u64;
        if offset < self.window_offset || offset + FRAME_HEADER_BYTES > held {
            let size = if self.skips { SKIP_WINDOW_BYTES } else { SCAN_WINDOW_BYTES };
            self.window = self.file.read_at(offset, size.min(left) as usize)?;
            self.window_offset = offset;
        }
        let from = ((offset - self.window_offset) as usize).min(self.window.len());
        Ok(FrameHeader::decode(&self.window[from..]).and_then(|header| {
            header.expect(self.next, self.next_index)?;
            let needed = header.encoded_len();
            if needed > left {
                return Err(FrameError::Short { needed, found: left });
            }
            Ok(header)
        }))
    }

    /// Checks the body of the frame whose header was peeked.
    pub(crate) fn check_body(&mut self, header: &FrameHeader) -> Scanned<()> {
        Ok(self.body(header)?.map(|_| ()))
    }

    /// The body of the frame whose header was peeked, checked.
    pub(crate) fn body(&mut self, header: &FrameHeader) -> Scanned<Bytes> {
        let start = self.segment.offset(header.position) + FRAME_HEADER_BYTES;
        let (from, len) = (start.checked_sub(self.window_offset), u64::from(header.body_len));
        let held = from.and_then(|from| {
            let range = usize::try_from(from).ok()?..usize::try_from(from + len).ok()?;
            (range.end <= self.window.len()).then(|| self.window.slice(range))
        });
        let body = match held {
            Some(body) => body,
            None => self.file.read_at(start, len as usize)?,
        };
        if body.len() as u64 == len && crc32c(&body) == header.body_crc {
            return Ok(Ok(body));
        }
        Ok(Err(FrameError::BodyChecksum { index: header.index }))
    }

    /// Goes behind the frame whose header was peeked.
    pub(crate) fn advance(&mut self, header: &FrameHeader) {
        self.next = header.end();
        self.next_index = header.index + 1;
        self.skips = header.encoded_len() > SKIP_BYTES;
    }
}
