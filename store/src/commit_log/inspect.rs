//! Looks at a log that nobody has open, and changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::FrameHeader;
use super::identity::IDENTITY_NAME;
use super::prepare::index_bytes;
use super::recovery::{load_segments, read_watermark, scan_open, tried};
use super::scan::Scanner;
use super::segment::segment_name;
use super::state::SegmentEntry;
use super::superblock::{SUPERBLOCK_NAME, Superblock, Vitals};
use super::{Damage, LogIdentity, LogMark, OpenError, TornTail};
use crate::ballot::Ballot;
use crate::disk::{Disk, DiskFile};
use crate::position::LogPosition;

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentLine {
    /// The file's name.
    pub name: String,
    /// Where its first frame starts.
    pub base: LogPosition,
    /// The index of its first frame.
    pub base_index: u64,
    /// The entry before it.
    pub previous: Option<LogMark>,
    /// It was begun behind a snapshot.
    pub after_reset: bool,
    /// Where its frames end.
    pub end: LogPosition,
    /// Whether it has its footer.
    pub sealed: bool,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameLine {
    /// The segment's file name.
    pub segment: String,
    /// The frame's header: index, term, leader, position, kind, length, records.
    pub header: FrameHeader,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// How many segments were read.
    pub segments: u64,
    /// How many intact frames they hold.
    pub frames: u64,
    /// How many bytes of frames that is.
    pub bytes: u64,
    /// The last entry.
    pub last: Option<LogMark>,
    /// What is wrong; empty if the log is sound.
    pub damages: Vec<Damage>,
    /// What the next start will cut off: it was never synced.
    pub torn: Option<TornTail>,
}

/// Whose log it is, and its vote, whatever became of its frames.
///
/// # Errors
/// If either cannot be read.
pub fn read_vote(disk: &dyn Disk, dir: &Path) -> Result<(LogIdentity, Option<Ballot>), OpenError> {
    read_vitals(disk, dir).map(|(identity, vitals)| (identity, vitals.ballot))
}

fn read_vitals(disk: &dyn Disk, dir: &Path) -> Result<(LogIdentity, Vitals), OpenError> {
    let path = dir.join(IDENTITY_NAME);
    let identity = tried(LogIdentity::read(disk, dir), "read", &path)?
        .unwrap_or_else(|| Err("it is missing: this is not the directory of a log".into()))
        .map_err(|reason| OpenError::Unreadable { path, reason })?;
    let path = dir.join(SUPERBLOCK_NAME);
    let file = match disk.open_read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::Unreadable { path, reason: "it is missing".into() });
        }
        other => tried(other, "open", &path)?,
    };
    let vitals = match tried(Superblock::read(&*file), "read", &path)? {
        (Ok(a), Ok(b)) if a.0 >= b.0 => a.1,
        (Ok(_), Ok(b)) => b.1,
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => one.1,
        (Err(a), Err(b)) => {
            return Err(OpenError::Unreadable { path, reason: format!("copy A: {a}; copy B: {b}") });
        }
    };
    Ok((identity, vitals))
}

/// A log on disk, seen from outside. It reads while it is asked; a log in use can change meanwhile.
#[derive(Debug)]
pub struct Inspection {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Whose log it is.
    pub identity: LogIdentity,
    /// The vote.
    pub ballot: Option<Ballot>,
    /// The last entry that Raft gave up.
    pub purged: Option<LogMark>,
    /// What was committed, as far as the log knows.
    pub committed: Option<LogMark>,
    /// Up to where the log is known to be durable.
    pub durable: LogPosition,
    /// What the next start will cut off.
    pub torn: Option<TornTail>,
    /// The segments, ascending.
    pub segments: Vec<SegmentLine>,
    entries: Vec<SegmentEntry>,
}

impl Inspection {
    /// Reads everything but the frames of sealed segments.
    ///
    /// # Errors
    /// Whatever would keep the log from being opened, but for its identity and whether it is in use.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Inspection, OpenError> {
        let (identity, vitals) = read_vitals(&*disk, dir)?;
        let entries = load_segments(&*disk, dir, Some(&identity))?;
        let last = entries.last().ok_or_else(|| Damage {
            segment: segment_name(vitals.newest),
            position: vitals.newest,
            reason: "there are no segments".into(),
        })?;
        let path = last.header.path(dir);
        let file = tried(disk.open_read(&path), "open", &path)?;
        let watermark = read_watermark(&*file, last, &path)?;
        let (end, torn) = match last.footer {
            Some(footer) => (footer.end, None),
            None => {
                let tail = scan_open(&*file, last, &watermark, &path)?;
                (tail.end, tail.torn)
            }
        };
        let line = |entry: &SegmentEntry| SegmentLine {
            name: entry.name(),
            base: entry.header.base,
            base_index: entry.header.base_index,
            previous: entry.header.previous,
            after_reset: entry.header.after_reset,
            end: entry.footer.map_or(end, |footer| footer.end),
            sealed: entry.footer.is_some(),
        };
        Ok(Inspection {
            dir: dir.to_owned(),
            identity,
            ballot: vitals.ballot,
            purged: vitals.purged,
            committed: watermark.committed,
            durable: last.footer.map_or(watermark.position, |footer| footer.end),
            torn,
            segments: entries.iter().map(line).collect(),
            entries,
            disk,
        })
    }

    /// Calls `visit` with every frame, in order, without reading bodies. It goes on as long as `visit` says.
    ///
    /// # Errors
    /// Damage, or a disk that refuses.
    pub fn for_each_frame(&self, mut visit: impl FnMut(FrameLine) -> bool) -> Result<(), OpenError> {
        for (line, entry) in self.segments.iter().zip(&self.entries) {
            let file = self.file(entry)?;
            let mut scanner = Scanner::new(&*file, &entry.header, line.end);
            while scanner.position() < line.end {
                let position = scanner.position();
                let header =
                    tried(scanner.peek(), "read", &entry.header.path(&self.dir))?.map_err(|error| {
                        Damage { segment: line.name.clone(), position, reason: error.to_string() }
                    })?;
                scanner.advance(&header);
                if !visit(FrameLine { segment: line.name.clone(), header }) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Calls `visit` with every frame and its body, in order, each checked against its checksums. It goes on as long
    /// as `visit` says.
    ///
    /// # Errors
    /// Damage, or a disk that refuses.
    pub fn for_each_body(&self, mut visit: impl FnMut(FrameLine, Bytes) -> bool) -> Result<(), OpenError> {
        for (line, entry) in self.segments.iter().zip(&self.entries) {
            let file = self.file(entry)?;
            let path = entry.header.path(&self.dir);
            let mut scanner = Scanner::new(&*file, &entry.header, line.end);
            while scanner.position() < line.end {
                let position = scanner.position();
                let damage = |reason: String| Damage { segment: line.name.clone(), position, reason };
                let header =
                    tried(scanner.peek(), "read", &path)?.map_err(|error| damage(error.to_string()))?;
                let body = tried(scanner.body(&header), "read", &path)?
                    .map_err(|error| damage(error.to_string()))?;
                scanner.advance(&header);
                if !visit(FrameLine { segment: line.name.clone(), header }, body) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads every byte of every frame, and the footers and index files; `progress` hears of the bytes read.
    ///
    /// # Errors
    /// A disk that refuses. Damage is in the report.
    pub fn check(&self, mut progress: impl FnMut(u64)) -> Result<CheckReport, OpenError> {
        let mut report = CheckReport { torn: self.torn.clone(), ..CheckReport::default() };
        for (line, entry) in self.segments.iter().zip(&self.entries) {
            report.segments += 1;
            if let Err(damage) = self.check_segment(line, entry, &mut report, &mut progress)? {
                report.damages.push(damage);
            }
        }
        for pair in self.entries.windows(2) {
            let (footer, header) = (pair[0].footer.expect("only the last one is open"), pair[1].header);
            let joins = footer.end == header.base && footer.last == header.previous;
            if !(joins || header.after_reset) {
                let reason = format!("it does not continue {}", pair[0].name());
                report.damages.push(Damage { segment: pair[1].name(), position: header.base, reason });
            }
        }
        Ok(report)
    }

    fn check_segment(
        &self,
        line: &SegmentLine,
        entry: &SegmentEntry,
        report: &mut CheckReport,
        progress: &mut impl FnMut(u64),
    ) -> Result<Result<(), Damage>, OpenError> {
        let path = entry.header.path(&self.dir);
        let damage = |position, reason| Damage { segment: line.name.clone(), position, reason };
        let file = self.file(entry)?;
        let mut scanner = Scanner::new(&*file, &entry.header, line.end);
        let (mut offsets, mut last) = (Vec::new(), entry.header.previous);
        while scanner.position() < line.end {
            let position = scanner.position();
            let header = match tried(scanner.peek(), "read", &path)? {
                Ok(header) => header,
                Err(error) => return Ok(Err(damage(position, error.to_string()))),
            };
            if let Err(error) = tried(scanner.check_body(&header), "read", &path)? {
                // The header leads on to the next frame.
                report.damages.push(damage(position, error.to_string()));
            } else {
                report.frames += 1;
                report.bytes += header.encoded_len();
            }
            progress(header.encoded_len());
            offsets.push(entry.header.offset(position) as u32);
            last = Some(header.mark());
            scanner.advance(&header);
        }
        report.last = last;
        let Some(footer) = entry.footer else { return Ok(Ok(())) };
        if footer.last != last || u64::from(footer.frames) != scanner.index() - entry.header.base_index {
            return Ok(Err(damage(
                footer.end,
                format!("the footer tells of {:?}, but {last:?} is last", footer.last),
            )));
        }
        let index = index_bytes(&offsets);
        if super::field::crc32c(&index) != footer.index_crc {
            return Ok(Err(damage(footer.end, "the footer does not match where the frames start".into())));
        }
        Ok(self.check_index(entry, &index, line))
    }

    /// A missing index file is made again when it is needed; a wrong one is worth telling.
    fn check_index(&self, entry: &SegmentEntry, expected: &[u8], line: &SegmentLine) -> Result<(), Damage> {
        let path = entry.header.index_path(&self.dir);
        match self.disk.open_read(&path).and_then(|file| file.read_at(0, expected.len() + 1)) {
            Ok(found) if found != expected => Err(Damage {
                segment: super::segment::index_name(line.base),
                position: line.base,
                reason: "the index file does not match its segment; it can be removed".into(),
            }),
            _ => Ok(()),
        }
    }

    fn file(&self, entry: &SegmentEntry) -> Result<Arc<dyn DiskFile>, OpenError> {
        let path = entry.header.path(&self.dir);
        tried(self.disk.open_read(&path), "open", &path)
    }
}
