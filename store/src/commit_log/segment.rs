//! A segment file: a header, two watermark slots, frames, and once it is full a footer.
//!
//! ```text
//! 0              4096          8192          12288                          end of file
//! +--------------+-------------+-------------+--------+--------+-- ... -----+--------+
//! | header (64)  | slot A (64) | slot B (64) | frame  | frame  |  zeros     | footer |
//! +--------------+-------------+-------------+--------+--------+-- ... -----+--------+
//! ```
//!
//! The header never changes. The slots are written in turn, one after each sync, each in a page of its
//! own, so that a torn write hits at most the one that is being written. A slot says how far the log is
//! *known* to be durable: below it a bad frame is damage, above it a torn tail. The footer stands behind
//! the last frame of a sealed segment and ends the file; an open segment has zeros there.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::LogMark;
use super::field::{is_sealed, put_u16, put_u32, put_u64, seal, u16_at, u32_at, u64_at};
use crate::disk::DiskFile;
use crate::limits::{SEGMENT_DATA_START, SEGMENT_FOOTER_BYTES};
use crate::position::LogPosition;

const HEADER_MAGIC: u32 = u32::from_le_bytes(*b"LMQS");
const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"LMQW");
const FOOTER_MAGIC: u32 = u32::from_le_bytes(*b"LMQE");
const VERSION: u16 = 1;
const BLOCK: usize = 64;
const PAGE: u64 = 4096;

const HAS_PREVIOUS: u16 = 1;
const AFTER_RESET: u16 = 2;
const HAS_DURABLE: u16 = 1;
const HAS_COMMITTED: u16 = 2;
const HAS_LAST: u16 = 1;

/// The file that is made ahead of its use.
pub(crate) const SPARE_NAME: &str = "spare";

/// The name of the segment that starts at `base`.
pub(crate) fn segment_name(base: LogPosition) -> String {
    format!("{base}.log")
}

/// The name of the index file of the segment that starts at `base`.
pub(crate) fn index_name(base: LogPosition) -> String {
    format!("{base}.idx")
}

/// The segment's base if `name` is that of a segment.
pub(crate) fn parse_segment_name(name: &str) -> Option<LogPosition> {
    let digits = name.strip_suffix(".log")?;
    let base = LogPosition(digits.parse().ok()?);
    (segment_name(base) == name).then_some(base)
}

/// What a segment is, from its birth on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Where its first frame starts.
    pub base: LogPosition,
    /// The index of its first frame.
    pub base_index: u64,
    /// The entry before it.
    pub previous: Option<LogMark>,
    /// It was begun by a snapshot: what stands before it need not reach up to it.
    pub after_reset: bool,
    /// Whose log it is.
    pub node: u64,
    /// Whose log it is.
    pub group: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let previous = self.previous.unwrap_or_default();
        let flags = flag(self.previous.is_some(), HAS_PREVIOUS) | flag(self.after_reset, AFTER_RESET);
        begin(&mut block, HEADER_MAGIC, flags);
        put_u64(&mut block, 8, self.base.0);
        put_u64(&mut block, 16, self.base_index);
        put_u64(&mut block, 24, previous.term);
        put_u64(&mut block, 32, previous.leader);
        put_u64(&mut block, 40, self.node);
        put_u32(&mut block, 48, self.group);
        seal(&mut block);
        block
    }

    /// Reads the header of `file`.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Result<SegmentHeader, String>> {
        Ok(Self::decode(&file.read_at(0, BLOCK)?))
    }

    fn decode(block: &[u8]) -> Result<SegmentHeader, String> {
        let flags = check(block, HEADER_MAGIC, "segment header")?;
        let base_index = u64_at(block, 16);
        let previous = (flags & HAS_PREVIOUS != 0)
            .then(|| {
                let index = base_index.checked_sub(1).ok_or("a first segment with a predecessor")?;
                Ok::<_, String>(LogMark { term: u64_at(block, 24), leader: u64_at(block, 32), index })
            })
            .transpose()?;
        Ok(SegmentHeader {
            base: LogPosition(u64_at(block, 8)),
            base_index,
            previous,
            after_reset: flags & AFTER_RESET != 0,
            node: u64_at(block, 40),
            group: u32_at(block, 48),
        })
    }

    /// Where in the file the log's `position` is.
    pub(crate) fn offset(&self, position: LogPosition) -> u64 {
        SEGMENT_DATA_START + position.bytes_since(self.base)
    }

    /// Which position of the log is at `offset` in the file.
    pub(crate) fn position(&self, offset: u64) -> LogPosition {
        self.base + (offset - SEGMENT_DATA_START)
    }

    /// The file's path.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(segment_name(self.base))
    }

    /// The index file's path.
    pub(crate) fn index_path(&self, dir: &Path) -> PathBuf {
        dir.join(index_name(self.base))
    }
}

/// How far the log is known to be durable, and what Raft had committed then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// Counts the writes; the higher one holds.
    pub sequence: u64,
    /// Everything before it was synced.
    pub position: LogPosition,
    /// The last index before it, if the segment has one.
    pub index: Option<u64>,
    /// What Raft had committed.
    pub committed: Option<LogMark>,
}

impl Watermark {
    fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let committed = self.committed.unwrap_or_default();
        let flags = flag(self.index.is_some(), HAS_DURABLE) | flag(self.committed.is_some(), HAS_COMMITTED);
        begin(&mut block, SLOT_MAGIC, flags);
        put_u64(&mut block, 8, self.sequence);
        put_u64(&mut block, 16, self.position.0);
        put_u64(&mut block, 24, self.index.unwrap_or_default());
        put_u64(&mut block, 32, committed.term);
        put_u64(&mut block, 40, committed.leader);
        put_u64(&mut block, 48, committed.index);
        seal(&mut block);
        block
    }

    fn decode(block: &[u8]) -> Result<Watermark, String> {
        let flags = check(block, SLOT_MAGIC, "watermark slot")?;
        let committed =
            LogMark { term: u64_at(block, 32), leader: u64_at(block, 40), index: u64_at(block, 48) };
        Ok(Watermark {
            sequence: u64_at(block, 8),
            position: LogPosition(u64_at(block, 16)),
            index: (flags & HAS_DURABLE != 0).then(|| u64_at(block, 24)),
            committed: (flags & HAS_COMMITTED != 0).then_some(committed),
        })
    }

    /// Writes it into the slot whose turn it is; the next sync makes it durable.
    pub(crate) fn write(&self, file: &dyn DiskFile) -> io::Result<()> {
        file.write_at(PAGE * (1 + self.sequence % 2), &mut [IoSlice::new(&self.encode())])
    }

    /// The newer one of the two slots. One that cannot be read is a torn write, two are damage.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Result<Watermark, String>> {
        let slots =
            [Self::decode(&file.read_at(PAGE, BLOCK)?), Self::decode(&file.read_at(2 * PAGE, BLOCK)?)];
        Ok(match slots {
            [Ok(a), Ok(b)] => Ok(if a.sequence > b.sequence { a } else { b }),
            [Ok(one), Err(_)] | [Err(_), Ok(one)] => Ok(one),
            [Err(reason), Err(_)] => Err(format!("neither watermark can be read: {reason}")),
        })
    }
}

/// What seals a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Where the segment starts.
    pub base: LogPosition,
    /// Where its last frame ends.
    pub end: LogPosition,
    /// The last entry of the log up to here; none if there never was one.
    pub last: Option<LogMark>,
    /// How many frames it holds.
    pub frames: u32,
    /// The checksum of the index file.
    pub index_crc: u32,
}

impl Footer {
    pub(crate) fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let last = self.last.unwrap_or_default();
        begin(&mut block, FOOTER_MAGIC, flag(self.last.is_some(), HAS_LAST));
        put_u64(&mut block, 8, self.base.0);
        put_u64(&mut block, 16, self.end.0);
        put_u64(&mut block, 24, last.term);
        put_u64(&mut block, 32, last.leader);
        put_u64(&mut block, 40, last.index);
        put_u32(&mut block, 48, self.frames);
        put_u32(&mut block, 52, self.index_crc);
        seal(&mut block);
        block
    }

    fn decode(block: &[u8]) -> Result<Footer, String> {
        let flags = check(block, FOOTER_MAGIC, "footer")?;
        let last = LogMark { term: u64_at(block, 24), leader: u64_at(block, 32), index: u64_at(block, 40) };
        Ok(Footer {
            base: LogPosition(u64_at(block, 8)),
            end: LogPosition(u64_at(block, 16)),
            last: (flags & HAS_LAST != 0).then_some(last),
            frames: u32_at(block, 48),
            index_crc: u32_at(block, 52),
        })
    }

    /// Reads the footer at the end of `file` and checks that it is that of `header`'s segment.
    pub(crate) fn read(file: &dyn DiskFile, header: &SegmentHeader) -> io::Result<Result<Footer, String>> {
        let len = file.len()?;
        let Some(at) = len.checked_sub(SEGMENT_FOOTER_BYTES).filter(|at| *at >= SEGMENT_DATA_START) else {
            return Ok(Err(format!("the file has only {len} bytes")));
        };
        let footer = Self::decode(&file.read_at(at, BLOCK)?);
        Ok(footer.and_then(|footer| {
            if footer.base != header.base || footer.end != header.position(at) {
                return Err(format!("the footer is that of {} to {}", footer.base, footer.end));
            }
            Ok(footer)
        }))
    }
}

fn flag(set: bool, bit: u16) -> u16 {
    if set { bit } else { 0 }
}

fn begin(block: &mut [u8], magic: u32, flags: u16) {
    put_u32(block, 0, magic);
    put_u16(block, 4, VERSION);
    put_u16(block, 6, flags);
}

/// Checks a block's length, magic, checksum and version, and gives its flags.
fn check(block: &[u8], magic: u32, what: &str) -> Result<u16, String> {
    if block.len() < BLOCK {
        return Err(format!("the {what} is cut short"));
    }
    if block.iter().all(|byte| *byte == 0) {
        return Err(format!("the {what} is all zeros"));
    }
    if u32_at(block, 0) != magic || !is_sealed(block) {
        return Err(format!("the {what} does not match its checksum"));
    }
    let version = u16_at(block, 4);
    if version != VERSION {
        return Err(format!("the {what} has version {version}; this build reads {VERSION}"));
    }
    Ok(u16_at(block, 6))
}
