//! Reads what is no longer in memory.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};

use super::field::crc32c;
use super::frame::{Frame, FrameError};
use super::prepare::write_index;
use super::scan::Scanner;
use super::state::{SegmentEntry, Shared};
use super::{Damage, ReadError};
use crate::disk::{Disk, DiskFile};
use crate::limits::{FRAME_HEADER_BYTES, INDEX_ENTRIES_READ_MAX, OPEN_SEGMENT_FILES_MAX, SEGMENT_DATA_START};
use crate::position::LogPosition;

/// A truncation in the middle of a read makes it start again; so many in a row are not one.
const ATTEMPTS_MAX: usize = 16;

#[derive(Debug, Default)]
struct OpenFiles {
    generation: u64,
    files: VecDeque<(LogPosition, Arc<dyn DiskFile>)>,
}

/// Finds frames and bytes in the segments. Its calls block on the disk.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    // The least recently used file goes; held only for the look-up.
    open: Mutex<OpenFiles>,
}

/// A segment as it was at one moment.
struct Found {
    entry: SegmentEntry,
    generation: u64,
    /// The file and where frames start in it, of the open segment.
    open: Option<(Arc<dyn DiskFile>, Vec<u32>)>,
    /// Where its frames end.
    end: LogPosition,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, disk: Arc<dyn Disk>, dir: &Path) -> Reader {
        Reader { shared, disk, dir: dir.to_owned(), open: Mutex::default() }
    }

    /// Frames of `range` from its start on, from one segment; at least one unless the range is empty.
    pub(crate) fn frames(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Frame>, ReadError> {
        self.attempt(|| {
            let found = self.find_index(range.start)?;
            let generation = found.generation;
            Ok((self.frames_in(&found, range.clone(), max_bytes), generation))
        })
    }

    /// `len` bytes at `position`, which is inside one segment.
    pub(crate) fn bytes(&self, position: LogPosition, len: u32) -> Result<Bytes, ReadError> {
        self.attempt(|| {
            let found = self.find_position(position, len)?;
            let read = self.file(&found).and_then(|file| {
                let offset = found.entry.header.offset(position);
                file.read_at(offset, len as usize).map_err(|error| io_error(&found.entry, error))
            });
            let read = read.and_then(|bytes| {
                if bytes.len() as u64 == u64::from(len) {
                    return Ok(bytes);
                }
                Err(damage(&found.entry, position, "the file ends before its frames do").into())
            });
            Ok((read, found.generation))
        })
    }

    /// As [`Reader::bytes`], from a frame that is read wholly and checked.
    pub(crate) fn checked_bytes(&self, position: LogPosition, len: u32) -> Result<Bytes, ReadError> {
        self.attempt(|| {
            let found = self.find_position(position, len)?;
            Ok((self.checked_in(&found, position, len), found.generation))
        })
    }

    fn checked_in(&self, found: &Found, position: LogPosition, len: u32) -> Result<Bytes, ReadError> {
        let (entry, file) = (&found.entry, self.file(found)?);
        let missing = || ReadError::NotHeld { position, len };
        let mut scanner = Scanner::new(&*file, &entry.header, found.end);
        while scanner.position() < found.end {
            let at = scanner.position();
            let damaged = |error: FrameError| damage(entry, at, &error.to_string());
            let header = scanner.peek().map_err(|error| io_error(entry, error))?.map_err(damaged)?;
            if header.end() <= position {
                scanner.advance(&header);
                continue;
            }
            let body = scanner.body(&header).map_err(|error| io_error(entry, error))?.map_err(damaged)?;
            let from = position.bytes_since(at).checked_sub(FRAME_HEADER_BYTES).ok_or_else(missing)? as usize;
            let held = from + len as usize <= body.len();
            return held.then(|| body.slice(from..from + len as usize)).ok_or_else(missing);
        }
        Err(missing())
    }

    /// Tries again what failed while the log was truncated.
    fn attempt<T>(
        &self,
        mut read: impl FnMut() -> Result<(Result<T, ReadError>, u64), ReadError>,
    ) -> Result<T, ReadError> {
        let mut attempts = 1;
        loop {
            let (result, generation) = read()?;
            let unchanged = self.shared.lock().generation == generation;
            if result.is_ok() || unchanged || attempts == ATTEMPTS_MAX {
                return result;
            }
            attempts += 1;
        }
    }

    fn find_index(&self, index: u64) -> Result<Found, ReadError> {
        let state = self.shared.lock();
        let at = state.segments.partition_point(|entry| entry.header.base_index <= index);
        let gone = |first| ReadError::Purged { index, first };
        let at = at.checked_sub(1).ok_or_else(|| gone(state.segments[0].header.base_index))?;
        let entry = &state.segments[at];
        if entry.footer.is_some_and(|footer| footer.last.is_none_or(|last| last.index < index)) {
            let next = state.segments.get(at + 1).map_or(state.next_index(), |next| next.header.base_index);
            return Err(gone(next));
        }
        let mut found = Found {
            entry: entry.clone(),
            generation: state.generation,
            open: None,
            end: entry.footer.map_or(state.written_end, |footer| footer.end),
        };
        if entry.footer.is_none() {
            let from = (index - entry.header.base_index) as usize;
            // Behind a snapshot that is just being installed nothing is written yet.
            let offsets = state.open_offsets.get(from..).filter(|offsets| !offsets.is_empty());
            let offsets = offsets.ok_or_else(|| gone(state.next_index()))?;
            // One more than is read, to know where the last one ends.
            let some = offsets.len().min(INDEX_ENTRIES_READ_MAX as usize + 1);
            found.open = Some((state.open_file.clone(), offsets[..some].to_vec()));
        }
        Ok(found)
    }

    fn find_position(&self, position: LogPosition, len: u32) -> Result<Found, ReadError> {
        let state = self.shared.lock();
        let at = state.segments.partition_point(|entry| entry.header.base <= position);
        let missing = ReadError::NotHeld { position, len };
        let Some(at) = at.checked_sub(1) else { return Err(missing) };
        let entry = &state.segments[at];
        let end = entry.footer.map_or(state.written_end, |footer| footer.end);
        if position + u64::from(len) > end.min(state.next_position) {
            return Err(missing);
        }
        let open = entry.footer.is_none().then(|| (state.open_file.clone(), Vec::new()));
        Ok(Found { entry: entry.clone(), generation: state.generation, open, end })
    }

    fn frames_in(&self, found: &Found, range: Range<u64>, max_bytes: usize) -> Result<Vec<Frame>, ReadError> {
        let file = self.file(found)?;
        if let Some((_, offsets)) = &found.open {
            return read_frames(found, &*file, range, max_bytes, offsets);
        }
        let from = range.start - found.entry.header.base_index;
        if let Some(offsets) = &found.entry.offsets {
            return read_frames(found, &*file, range, max_bytes, &offsets[from as usize..]);
        }
        let by_index = self
            .index_entries(found, from)
            .and_then(|offsets| read_frames(found, &*file, range.clone(), max_bytes, &offsets));
        if !matches!(by_index, Err(ReadError::Damaged(_))) {
            return by_index;
        }
        // The index file is a hint; the frames decide.
        let offsets = load_offsets(&*self.disk, &self.dir, &found.entry)
            .map_err(|error| io_error(&found.entry, error))?;
        let Some(offsets) = offsets.get(from as usize..) else { return by_index };
        read_frames(found, &*file, range, max_bytes, offsets)
    }

    /// Some entries of a sealed segment's index file, from the `from`th on.
    fn index_entries(&self, found: &Found, from: u64) -> Result<Vec<u32>, ReadError> {
        let footer = found.entry.footer.expect("a sealed segment");
        let some = (u64::from(footer.frames) - from).min(INDEX_ENTRIES_READ_MAX + 1);
        let path = found.entry.header.index_path(&self.dir);
        let bytes =
            match self.disk.open_read(&path).and_then(|file| file.read_at(4 * from, 4 * some as usize)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&found.entry, error));
                }
                Ok(bytes) if bytes.len() as u64 == 4 * some => bytes,
                _ => return Err(damage(&found.entry, found.entry.header.base, "no index file").into()),
            };
        Ok(parse_offsets(bytes))
    }

    fn file(&self, found: &Found) -> Result<Arc<dyn DiskFile>, ReadError> {
        if let Some((file, _)) = &found.open {
            return Ok(file.clone());
        }
        let base = found.entry.header.base;
        let mut open = self.open.lock().expect("no panic while it is held");
        if open.generation != found.generation {
            // A name may stand for another file now.
            *open = OpenFiles { generation: found.generation, files: VecDeque::new() };
        }
        let held = open.files.iter().position(|(held, _)| *held == base);
        let file = match held.and_then(|at| open.files.remove(at)) {
            Some((_, file)) => file,
            None => self
                .disk
                .open_read(&found.entry.header.path(&self.dir))
                .map_err(|error| io_error(&found.entry, error))?,
        };
        open.files.push_back((base, file.clone()));
        if open.files.len() > OPEN_SEGMENT_FILES_MAX {
            open.files.pop_front();
        }
        Ok(file)
    }
}

/// Reads frames that start at `offsets` in one piece and cuts it into frames without copying.
fn read_frames(
    found: &Found,
    file: &dyn DiskFile,
    range: Range<u64>,
    max_bytes: usize,
    offsets: &[u32],
) -> Result<Vec<Frame>, ReadError> {
    let header = &found.entry.header;
    let start = u64::from(*offsets.first().expect("the first frame is in the index"));
    let end_of = |at: usize| offsets.get(at + 1).map_or(header.offset(found.end), |next| u64::from(*next));
    // Of a longer list the last entry only says where the one before it ends.
    let known = offsets.len().min(INDEX_ENTRIES_READ_MAX as usize);
    let known = known.min((range.end - range.start) as usize);
    let count = (1..known).take_while(|at| end_of(*at).saturating_sub(start) <= max_bytes as u64).count() + 1;
    let len = end_of(count - 1).saturating_sub(start);
    let mut bytes = file.read_at(start, len as usize).map_err(|error| io_error(&found.entry, error))?;

    let mut frames = Vec::with_capacity(count);
    let mut position = header.base + start.saturating_sub(SEGMENT_DATA_START);
    for index in (range.start..).take(count) {
        let frame = Frame::decode_next(&mut bytes).and_then(|frame| {
            frame.header(frame.position().expect("decoded")).expect(position, index)?;
            Ok(frame)
        });
        let frame = frame.map_err(|error| damage(&found.entry, position, &error.to_string()))?;
        position = position + frame.encoded_len();
        frames.push(frame);
    }
    Ok(frames)
}

/// Where the frames of a sealed segment start in its file: from memory, its index file, or its frames.
pub(crate) fn load_offsets(disk: &dyn Disk, dir: &Path, entry: &SegmentEntry) -> io::Result<Vec<u32>> {
    let footer = entry.footer.expect("a sealed segment");
    if let Some(offsets) = &entry.offsets {
        return Ok(offsets.to_vec());
    }
    let path = entry.header.index_path(dir);
    let read = disk.open_read(&path).and_then(|file| file.read_at(0, 4 * footer.frames as usize));
    if let Ok(bytes) = read
        && bytes.len() == 4 * footer.frames as usize
        && crc32c(&bytes) == footer.index_crc
    {
        return Ok(parse_offsets(bytes));
    }
    let file = disk.open_read(&entry.header.path(dir))?;
    let mut scanner = Scanner::new(&*file, &entry.header, footer.end);
    let mut offsets = Vec::with_capacity(footer.frames as usize);
    while scanner.position() < footer.end {
        offsets.push(entry.header.offset(scanner.position()) as u32);
        let header = scanner.peek()?.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        scanner.advance(&header);
    }
    tracing::info!(segment = %entry.name(), "rebuilt the index file");
    if let Err(error) = write_index(disk, dir, &entry.header, &offsets) {
        tracing::warn!(%error, segment = %entry.name(), "the rebuilt index file was not written");
    }
    Ok(offsets)
}

fn parse_offsets(mut bytes: Bytes) -> Vec<u32> {
    let mut offsets = Vec::with_capacity(bytes.len() / 4);
    while bytes.remaining() >= 4 {
        offsets.push(bytes.get_u32_le());
    }
    offsets
}

fn damage(entry: &SegmentEntry, position: LogPosition, reason: &str) -> Damage {
    Damage { segment: entry.name(), position, reason: reason.to_owned() }
}

fn io_error(entry: &SegmentEntry, source: io::Error) -> ReadError {
    if source.kind() == io::ErrorKind::InvalidData {
        return ReadError::Damaged(damage(entry, entry.header.base, &source.to_string()));
    }
    ReadError::Io { segment: entry.name(), source }
}
