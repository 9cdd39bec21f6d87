//! A frame: one Raft entry as bytes, the same on disk, on the wire and on every replica.
//!
//! ```text
//!  0        4        5      6       8         12        16      24     32
//! +--------+--------+------+-------+---------+---------+-------+------+
//! | magic  |version | kind | flags | body len| records | index | term |
//! +--------+--------+------+-------+---------+---------+-------+------+
//! | leader | logical position | stamp, ms | body CRC | header CRC |  body ...
//! +--------+------------------+-----------+----------+------------+
//! 32       40                 48          56         60           64
//! ```

use bytes::Bytes;
use thiserror::Error;

use super::LogMark;
use super::field::{is_sealed, put_u32, put_u64, seal, u16_at, u32_at, u64_at};
use crate::limits::{FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES};
use crate::position::LogPosition;

const MAGIC: u32 = u32::from_le_bytes(*b"LMQF");
const VERSION: u8 = 1;
const HEADER: usize = FRAME_HEADER_BYTES as usize;

/// What a frame carries. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// Nothing: the first entry of a leader's term.
    Blank = 0,
    /// Who belongs to the group.
    Membership = 1,
    /// Commands and message records.
    Commands = 2,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<FrameKind> {
        match byte {
            0 => Some(FrameKind::Blank),
            1 => Some(FrameKind::Membership),
            2 => Some(FrameKind::Commands),
            _ => None,
        }
    }
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Fewer bytes than the header, or than it says.
    #[error("{found} bytes where a frame of {needed} should be")]
    Short {
        /// What the frame needs.
        needed: u64,
        /// What is there.
        found: u64,
    },
    /// Something stands behind the frame where nothing may.
    #[error("{excess} bytes too many behind the frame")]
    Excess {
        /// How many.
        excess: u64,
    },
    /// Nothing was ever written here.
    #[error("zeros where a frame should be")]
    Empty,
    /// Not the start of a frame.
    #[error("no frame starts here (magic {found:#010x})")]
    Magic {
        /// What stands there.
        found: u32,
    },
    /// The header's checksum does not fit it.
    #[error("the frame's header does not match its checksum")]
    HeaderChecksum,
    /// The body's checksum does not fit it.
    #[error("the body of frame {index} does not match its checksum")]
    BodyChecksum {
        /// The frame's index.
        index: u64,
    },
    /// Written by a newer version.
    #[error("the frame has version {version}; this build reads up to {VERSION}")]
    Version {
        /// The version found.
        version: u8,
    },
    /// A kind or a flag that this build does not know.
    #[error("the frame has the unknown kind {kind} with flags {flags:#06x}")]
    Kind {
        /// The kind found.
        kind: u8,
        /// The flags found.
        flags: u16,
    },
    /// A body longer than any frame has.
    #[error("the frame's body would have {len} bytes; {FRAME_BODY_BYTES_MAX} are the most")]
    Length {
        /// The length found.
        len: u64,
    },
    /// Intact, but written for another place: a misdirected or a stale write.
    #[error("frame {index} at {position} belongs elsewhere: {expected_index} at {expected} is due here")]
    Misplaced {
        /// Its index.
        index: u64,
        /// Its position.
        position: LogPosition,
        /// The index that belongs here.
        expected_index: u64,
        /// The position of this place.
        expected: LogPosition,
    },
}

/// A frame's header, decoded and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame carries.
    pub kind: FrameKind,
    /// Its Raft index.
    pub index: u64,
    /// Its Raft term.
    pub term: u64,
    /// The leader that proposed it.
    pub leader: u64,
    /// Where it starts.
    pub position: LogPosition,
    /// The leader's stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// How many records its body holds.
    pub record_count: u32,
    /// The length of its body, in bytes.
    pub body_len: u32,
    /// The checksum of its body.
    pub body_crc: u32,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes` and checks its checksum.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being a header of this version.
    pub fn decode(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
        let Some(block) = bytes.get(..HEADER) else {
            return Err(FrameError::Short { needed: FRAME_HEADER_BYTES, found: bytes.len() as u64 });
        };
        if u32_at(block, 0) != MAGIC {
            let empty = block.iter().all(|byte| *byte == 0);
            return Err(if empty {
                FrameError::Empty
            } else {
                FrameError::Magic { found: u32_at(block, 0) }
            });
        }
        if !is_sealed(block) {
            return Err(FrameError::HeaderChecksum);
        }
        if block[4] != VERSION {
            return Err(FrameError::Version { version: block[4] });
        }
        let flags = u16_at(block, 6);
        let kind = FrameKind::from_byte(block[5]).filter(|_| flags == 0);
        let Some(kind) = kind else { return Err(FrameError::Kind { kind: block[5], flags }) };
        let body_len = u32_at(block, 8);
        if u64::from(body_len) > FRAME_BODY_BYTES_MAX {
            return Err(FrameError::Length { len: body_len.into() });
        }
        Ok(FrameHeader {
            kind,
            index: u64_at(block, 16),
            term: u64_at(block, 24),
            leader: u64_at(block, 32),
            position: LogPosition(u64_at(block, 40)),
            stamp_ms: u64_at(block, 48),
            record_count: u32_at(block, 12),
            body_len,
            body_crc: u32_at(block, 56),
        })
    }

    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut block = [0; HEADER];
        put_u32(&mut block, 0, MAGIC);
        block[4] = VERSION;
        block[5] = self.kind as u8;
        put_u32(&mut block, 8, self.body_len);
        put_u32(&mut block, 12, self.record_count);
        put_u64(&mut block, 16, self.index);
        put_u64(&mut block, 24, self.term);
        put_u64(&mut block, 32, self.leader);
        put_u64(&mut block, 40, self.position.0);
        put_u64(&mut block, 48, self.stamp_ms);
        put_u32(&mut block, 56, self.body_crc);
        seal(&mut block);
        block
    }

    /// The frame's length, header included, in bytes.
    pub fn encoded_len(&self) -> u64 {
        FRAME_HEADER_BYTES + u64::from(self.body_len)
    }

    /// Where the next frame starts.
    pub fn end(&self) -> LogPosition {
        self.position + self.encoded_len()
    }

    /// Its term, leader and index.
    pub fn mark(&self) -> LogMark {
        LogMark { term: self.term, leader: self.leader, index: self.index }
    }

    /// That it is the frame that is due at a place.
    pub(crate) fn expect(&self, position: LogPosition, index: u64) -> Result<(), FrameError> {
        if self.position == position && self.index == index {
            return Ok(());
        }
        Err(FrameError::Misplaced {
            index: self.index,
            position: self.position,
            expected_index: index,
            expected: position,
        })
    }
}

/// One Raft entry. Cheap to clone. The fields are for reading: the checksum of the body was computed
/// when the frame was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: FrameKind,
    /// Its Raft index; the first of a log is 0.
    pub index: u64,
    /// Its Raft term.
    pub term: u64,
    /// The leader that proposed it.
    pub leader: u64,
    /// The leader's stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// How many records its body holds.
    pub record_count: u32,
    /// What it carries, as bytes.
    pub body: Bytes,
    body_crc: u32,
    position: Option<LogPosition>,
}

impl Frame {
    /// Makes a frame that has no position yet: the log gives it one on append.
    ///
    /// # Panics
    /// If the body is longer than [`FRAME_BODY_BYTES_MAX`].
    pub fn new(
        kind: FrameKind,
        index: u64,
        term: u64,
        leader: u64,
        stamp_ms: u64,
        record_count: u32,
        body: Bytes,
    ) -> Frame {
        let len = body.len() as u64;
        assert!(len <= FRAME_BODY_BYTES_MAX, "a body of {len} bytes; {FRAME_BODY_BYTES_MAX} are the most");
        let body_crc = super::field::crc32c(&body);
        Frame { kind, index, term, leader, stamp_ms, record_count, body, body_crc, position: None }
    }

    /// Its length as bytes, header included.
    pub fn encoded_len(&self) -> u64 {
        FRAME_HEADER_BYTES + self.body.len() as u64
    }

    /// Where it starts in the log; none before it was appended.
    pub fn position(&self) -> Option<LogPosition> {
        self.position
    }

    /// Where its body starts in the log; none before it was appended.
    pub fn body_position(&self) -> Option<LogPosition> {
        self.position.map(|position| position + FRAME_HEADER_BYTES)
    }

    /// Its term, leader and index.
    pub fn mark(&self) -> LogMark {
        LogMark { term: self.term, leader: self.leader, index: self.index }
    }

    /// Its header, for the place `at`.
    pub fn header(&self, at: LogPosition) -> FrameHeader {
        FrameHeader {
            kind: self.kind,
            index: self.index,
            term: self.term,
            leader: self.leader,
            position: at,
            stamp_ms: self.stamp_ms,
            record_count: self.record_count,
            body_len: self.body.len() as u32,
            body_crc: self.body_crc,
        }
    }

    /// The bytes of its header, for the place `at`.
    pub fn encode_header(&self, at: LogPosition) -> [u8; HEADER] {
        self.header(at).encode()
    }

    /// The frame as it stands in the log, in two parts; the body is not copied.
    ///
    /// # Panics
    /// If it has no position yet.
    pub fn wire_parts(&self) -> ([u8; HEADER], Bytes) {
        let position = self.position.expect("a frame that was appended");
        (self.encode_header(position), self.body.clone())
    }

    /// The frame as it stands in the log, copied into one piece.
    ///
    /// # Panics
    /// If it has no position yet.
    pub fn to_wire(&self) -> Bytes {
        let (header, body) = self.wire_parts();
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        bytes.into()
    }

    /// Reads one frame, which must be all of `bytes`; the body is a slice of them. Checks both checksums.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being one intact frame.
    pub fn decode(bytes: Bytes) -> Result<Frame, FrameError> {
        let mut rest = bytes;
        let frame = Frame::decode_next(&mut rest)?;
        if !rest.is_empty() {
            return Err(FrameError::Excess { excess: rest.len() as u64 });
        }
        Ok(frame)
    }

    /// Reads the frame at the start of `bytes` and takes it off them; they stay as they are on an error.
    ///
    /// # Errors
    /// Whatever keeps the bytes from starting with an intact frame.
    pub fn decode_next(bytes: &mut Bytes) -> Result<Frame, FrameError> {
        let header = FrameHeader::decode(bytes)?;
        let (needed, found) = (header.encoded_len(), bytes.len() as u64);
        if found < needed {
            return Err(FrameError::Short { needed, found });
        }
        let body = bytes.slice(HEADER..needed as usize);
        if super::field::crc32c(&body) != header.body_crc {
            return Err(FrameError::BodyChecksum { index: header.index });
        }
        *bytes = bytes.slice(needed as usize..);
        Ok(Frame {
            kind: header.kind,
            index: header.index,
            term: header.term,
            leader: header.leader,
            stamp_ms: header.stamp_ms,
            record_count: header.record_count,
            body,
            body_crc: header.body_crc,
            position: Some(header.position),
        })
    }

    /// Puts the frame at `at`.
    ///
    /// # Panics
    /// If it already is somewhere else.
    pub(crate) fn place(&mut self, at: LogPosition) {
        let was = self.position.replace(at);
        assert!(was.is_none_or(|was| was == at), "frame {} is at {was:?}, not at {at}", self.index);
    }
}
