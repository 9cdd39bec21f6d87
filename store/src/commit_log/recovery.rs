//! Opens a log: trusts sealed segments, scans the open one, cuts a torn tail, refuses damage.
//!
//! What may be cut and what not is decided by the watermark of the open segment. The writer notes it after
//! each sync, so the note on disk never claims more than was synced. After the end of the process it is exact.
//! After a power failure it can be older by what was synced last, because the note itself is synced with the
//! next batch; a bad frame in that last batch is then cut like a torn one. Everything above the watermark may
//! be torn in any way, a later frame intact and an earlier one lost; so intact frames behind a bad one prove
//! nothing there.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::identity::{IDENTITY_NAME, INITIALIZING_NAME, LOCK_NAME};
use super::pointers::later;
use super::prepare::{begin_segment, make_spare};
use super::scan::Scanner;
use super::segment::{Footer, SPARE_NAME, SegmentHeader, Watermark, index_name, parse_segment_name};
use super::state::SegmentEntry;
use super::superblock::{SUPERBLOCK_NAME, Superblock, Vitals};
use super::writer::Active;
use super::{Damage, FrameError, LogIdentity, LogMark, LogOptions, OpenError};
use crate::disk::{Disk, DiskFile};
use crate::limits::SCAN_WINDOW_BYTES;
use crate::planted::{PlantedBug, planted};
use crate::position::LogPosition;

/// A torn tail that was cut off when the log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where the log now ends.
    pub position: LogPosition,
    /// Up to where it is known to have been durable.
    pub durable: LogPosition,
    /// Why what stands there is no frame.
    pub reason: FrameError,
}

/// A log as it was found.
pub(crate) struct Recovered {
    pub lock: Arc<dyn DiskFile>,
    pub superblock: Superblock,
    pub segments: Vec<SegmentEntry>,
    pub active: Active,
    pub open_offsets: Vec<u32>,
    pub purged: Option<LogMark>,
    pub committed: Option<LogMark>,
    pub torn: Option<TornTail>,
}

pub(crate) fn tried<T>(result: io::Result<T>, action: &'static str, path: &Path) -> Result<T, OpenError> {
    result.map_err(|source| OpenError::Io { action, path: path.to_owned(), source })
}

/// Opens the log in `dir`, or makes a new one.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    identity: &LogIdentity,
    options: &LogOptions,
) -> Result<Recovered, OpenError> {
    options.validate().map_err(|reason| OpenError::Options { reason })?;
    if identity.cluster.contains('\n') || identity.cluster.len() > 1024 {
        let reason = "the cluster's name must be one short line".into();
        return Err(OpenError::Options { reason });
    }
    tried(disk.create_dir_all(dir), "make", dir)?;
    let lock_path = dir.join(LOCK_NAME);
    let lock = match disk.lock(&lock_path) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(OpenError::Locked { dir: dir.to_owned() });
        }
        other => tried(other, "lock", &lock_path)?,
    };
    prepare_directory(disk, dir, identity, options)?;
    let superblock_path = dir.join(SUPERBLOCK_NAME);
    let superblock = tried(Superblock::open(disk, &superblock_path), "read", &superblock_path)?
        .map_err(|reason| OpenError::Unreadable { path: superblock_path, reason })?;

    let segments = load_segments(disk, dir, Some(identity))?;
    let purged = check_chain(&segments, &superblock.vitals())?;
    let mut recovered = open_last(disk, dir, options, segments, (lock, superblock))?;
    recovered.purged = purged;
    let last = recovered.active.last;
    recovered.committed =
        recovered.committed.map(|mark| last.filter(|last| last.index < mark.index).unwrap_or(mark));
    recovered.committed = recovered.committed.filter(|_| last.is_some());
    if recovered.committed.is_none_or(|mark| purged.is_some_and(|purged| mark.index < purged.index)) {
        recovered.committed = purged;
    }
    Ok(recovered)
}

/// Sees to it that `dir` holds the log of `identity`, made now if there is none.
fn prepare_directory(
    disk: &dyn Disk,
    dir: &Path,
    identity: &LogIdentity,
    options: &LogOptions,
) -> Result<(), OpenError> {
    let path = dir.join(IDENTITY_NAME);
    let names = tried(disk.list(dir), "list", dir)?;
    let initializing = names.iter().any(|name| name == INITIALIZING_NAME);
    match tried(LogIdentity::read(disk, dir), "read", &path)? {
        Some(Err(reason)) => return Err(OpenError::Unreadable { path, reason }),
        Some(Ok(found)) if found != *identity => {
            return Err(OpenError::Identity { dir: dir.to_owned(), found, expected: identity.clone() });
        }
        Some(Ok(_)) => {}
        None => {
            let is_data = |name: &String| name == SUPERBLOCK_NAME || parse_segment_name(name).is_some();
            if !initializing && names.iter().any(is_data) {
                let reason = "it is missing, but there is data in the directory".into();
                return Err(OpenError::Unreadable { path, reason });
            }
            tried(initialize(disk, dir, identity, options), "make a new log in", dir)?;
            return Ok(());
        }
    }
    if initializing {
        tried(disk.remove(&dir.join(INITIALIZING_NAME)), "clean up", dir)?;
        tried(disk.sync_dir(dir), "clean up", dir)?;
    }
    Ok(())
}

/// Makes an empty log. The identity comes last: without it, and with the marker, all of it is made again.
fn initialize(disk: &dyn Disk, dir: &Path, identity: &LogIdentity, options: &LogOptions) -> io::Result<()> {
    let marker = dir.join(INITIALIZING_NAME);
    disk.create(&marker)?;
    disk.sync_dir(dir)?;
    let spare = make_spare(disk, dir, options.segment_bytes)?;
    let header = SegmentHeader {
        base: LogPosition(0),
        base_index: 0,
        previous: None,
        after_reset: false,
        node: identity.node,
        group: identity.group,
    };
    begin_segment(disk, dir, &*spare, &header, Watermark { sequence: 1, ..Watermark::default() })?;
    Superblock::create(disk, &dir.join(SUPERBLOCK_NAME))?;
    disk.sync_dir(dir)?;
    identity.write(disk, dir)?;
    disk.remove(&marker)?;
    disk.sync_dir(dir)
}

/// The segments of `dir` in order, with their footers where they have one.
pub(crate) fn load_segments(
    disk: &dyn Disk,
    dir: &Path,
    identity: Option<&LogIdentity>,
) -> Result<Vec<SegmentEntry>, OpenError> {
    let names = tried(disk.list(dir), "list", dir)?;
    let bases: Vec<LogPosition> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    let mut segments = Vec::with_capacity(bases.len());
    for (at, base) in bases.iter().enumerate() {
        let name = super::segment::segment_name(*base);
        let path = dir.join(&name);
        let damaged = |reason| Damage { segment: name.clone(), position: *base, reason };
        let file = tried(disk.open_read(&path), "open", &path)?;
        let header = tried(SegmentHeader::read(&*file), "read", &path)?.map_err(damaged)?;
        if header.base != *base {
            return Err(damaged(format!("its header says that it starts at {}", header.base)).into());
        }
        if let Some(identity) = identity
            && (header.node, header.group) != (identity.node, identity.group)
        {
            let (group, node) = (header.group, header.node);
            return Err(damaged(format!("it belongs to group {group} of node {node}")).into());
        }
        let footer = match tried(Footer::read(&*file, &header), "read", &path)? {
            Ok(footer) => Some(footer),
            // The last one is open, unless the process ended between sealing it and beginning the next.
            Err(_) if at + 1 == bases.len() => None,
            Err(reason) => {
                return Err(damaged(format!("it is sealed, but its end is damaged: {reason}")).into());
            }
        };
        segments.push(SegmentEntry { header, footer, offsets: None });
    }
    Ok(segments)
}

/// Checks that no segment is missing, and gives the last entry that Raft gave up.
fn check_chain(segments: &[SegmentEntry], vitals: &Vitals) -> Result<Option<LogMark>, OpenError> {
    let damaged = |position, reason: String| {
        OpenError::Damaged(Damage { segment: super::segment::segment_name(position), position, reason })
    };
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Err(damaged(vitals.oldest, "there are no segments".into()));
    };
    if first.header.base > vitals.oldest {
        return Err(damaged(vitals.oldest, format!("it is missing; the first one is {}", first.name())));
    }
    if last.header.base < vitals.newest {
        return Err(damaged(vitals.newest, format!("it is missing; the last one is {}", last.name())));
    }
    let mut purged = vitals.purged;
    for pair in segments.windows(2) {
        let (before, header) = (pair[0].footer.expect("only the last one is open"), &pair[1].header);
        let joins = before.end == header.base && before.last == header.previous;
        if !(joins || header.after_reset && header.base >= before.end) {
            let reason = format!("it does not continue {}, which ends at {}", pair[0].name(), before.end);
            return Err(damaged(header.base, reason));
        }
    }
    // A segment behind a snapshot says by itself that what was before it is given up.
    for entry in segments.iter().filter(|entry| entry.header.after_reset) {
        purged = later(purged, entry.header.previous);
    }
    if first.header.base_index > purged.map_or(0, |purged| purged.index + 1) {
        let reason =
            format!("it starts at index {}, and what is before it is missing", first.header.base_index);
        return Err(damaged(first.header.base, reason));
    }
    Ok(purged)
}

/// Scans the last segment and makes it ready for the writer.
fn open_last(
    disk: &dyn Disk,
    dir: &Path,
    options: &LogOptions,
    mut segments: Vec<SegmentEntry>,
    (lock, mut superblock): (Arc<dyn DiskFile>, Superblock),
) -> Result<Recovered, OpenError> {
    remove_leftovers(disk, dir, &segments)?;
    // Names too: an earlier run may have failed to sync them.
    tried(disk.sync_dir(dir), "sync", dir)?;
    let entry = segments.last().expect("the chain was checked").clone();
    let path = entry.header.path(dir);
    let file = tried(disk.open(&path), "open", &path)?;
    let watermark = read_watermark(&*file, &entry, &path)?;
    let committed = watermark.committed;
    let mut torn = None;
    let mut open_offsets = Vec::new();
    let active = if let Some(footer) = entry.footer {
        // Sealed, and the next one was not begun. The footer is written again: its sync may have failed.
        let at = entry.header.offset(footer.end);
        tried(file.write_at(at, &mut [IoSlice::new(&footer.encode())]), "seal", &path)?;
        tried(file.sync_data(), "sync", &path)?;
        let header = SegmentHeader {
            base: footer.end,
            base_index: footer.last.map_or(0, |last| last.index + 1),
            previous: footer.last,
            after_reset: false,
            ..entry.header
        };
        let active = tried(begin_behind(disk, dir, options, header, committed), "begin a segment in", dir)?;
        segments.push(SegmentEntry { header, footer: None, offsets: None });
        active
    } else {
        let tail = scan_open(&*file, &entry, &watermark, &path)?;
        open_offsets = tail.offsets;
        torn = tail.torn;
        let len = entry.header.offset(tail.end);
        // First what was found becomes durable, then the watermark says so, with the writer's next sync.
        let watermark = Watermark { sequence: watermark.sequence + 1, ..watermark };
        tried(rewrite(&*file, entry.header.offset(watermark.position), len), "write", &path)?;
        tried(watermark.write(&*file), "write", &path)?;
        tried(file.set_len(len), "cut", &path)?;
        tried(file.allocate(options.segment_bytes.max(len)), "reserve", &path)?;
        tried(file.sync_data(), "sync", &path)?;
        let watermark = Watermark {
            sequence: watermark.sequence + 1,
            position: tail.end,
            index: tail.last.map(|last| last.index),
            committed,
        };
        tried(watermark.write(&*file), "write", &path)?;
        Active { header: entry.header, file, end: tail.end, last: tail.last, watermark }
    };
    let vitals = Vitals { newest: active.header.base, ..superblock.vitals() };
    if vitals != superblock.vitals() {
        tried(superblock.save_both(vitals), "write", &dir.join(SUPERBLOCK_NAME))?;
    }
    Ok(Recovered { lock, superblock, segments, active, open_offsets, purged: None, committed, torn })
}

/// Writes again what a failed sync of an earlier run may have left in memory only: Linux takes such pages for
/// written, and a sync alone would not write them.
fn rewrite(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let bytes = file.read_at(at, SCAN_WINDOW_BYTES.min(to - at) as usize)?;
        file.write_at(at, &mut [IoSlice::new(&bytes)])?;
        at += bytes.len() as u64;
    }
    Ok(())
}

fn begin_behind(
    disk: &dyn Disk,
    dir: &Path,
    options: &LogOptions,
    header: SegmentHeader,
    committed: Option<LogMark>,
) -> io::Result<Active> {
    let file = make_spare(disk, dir, options.segment_bytes)?;
    let index = header.previous.map(|previous| previous.index);
    let watermark = Watermark { sequence: 1, position: header.base, index, committed };
    begin_segment(disk, dir, &*file, &header, watermark)?;
    let watermark = Watermark { sequence: 2, ..watermark };
    Ok(Active { header, file, end: header.base, last: header.previous, watermark })
}

pub(crate) fn read_watermark(
    file: &dyn DiskFile,
    entry: &SegmentEntry,
    path: &Path,
) -> Result<Watermark, OpenError> {
    let damaged = |reason| Damage { segment: entry.name(), position: entry.header.base, reason };
    Ok(tried(Watermark::read(file), "read", path)?.map_err(damaged)?)
}

/// The frames of the open segment.
pub(crate) struct OpenTail {
    pub offsets: Vec<u32>,
    pub end: LogPosition,
    pub last: Option<LogMark>,
    pub torn: Option<TornTail>,
}

/// Walks over the open segment. Bodies are checked only above the watermark; below, whoever reads them does.
pub(crate) fn scan_open(
    file: &dyn DiskFile,
    entry: &SegmentEntry,
    watermark: &Watermark,
    path: &Path,
) -> Result<OpenTail, OpenError> {
    let header = &entry.header;
    let len = tried(file.len(), "measure", path)?;
    let durable = watermark.position;
    let damaged = |position, reason: String| Damage { segment: entry.name(), position, reason };
    if durable < header.base || header.offset(durable) > len {
        let reason = format!("the file ends at {len}, but the log was durable up to {durable}");
        return Err(damaged(header.base, reason).into());
    }
    let mut scanner = Scanner::new(file, header, header.position(len));
    let mut tail = OpenTail { offsets: Vec::new(), end: header.base, last: header.previous, torn: None };
    loop {
        let position = scanner.position();
        let mut found = tried(scanner.peek(), "read", path)?;
        if let Ok(frame) = &found
            && (position >= durable || planted(PlantedBug::CorruptFrameSkipped))
        {
            let frame = *frame;
            found = tried(scanner.check_body(&frame), "read", path)?.map(|()| frame);
        }
        match found {
            Ok(frame) if position < durable && frame.end() > durable => {
                let reason = format!("a frame crosses {durable}, the end of what is durable");
                return Err(damaged(position, reason).into());
            }
            Ok(frame) => {
                tail.offsets.push(header.offset(position) as u32);
                tail.last = Some(frame.mark());
                tail.end = frame.end();
                scanner.advance(&frame);
            }
            Err(reason) if position < durable && !planted(PlantedBug::CorruptFrameSkipped) => {
                return Err(damaged(position, reason.to_string()).into());
            }
            Err(reason) => {
                let clean = reason == FrameError::Empty || position == header.position(len);
                tail.torn = (!clean).then_some(TornTail { position, durable, reason });
                return Ok(tail);
            }
        }
    }
}

/// Removes what an interrupted run left behind: the spare file, and index files without a segment.
fn remove_leftovers(disk: &dyn Disk, dir: &Path, segments: &[SegmentEntry]) -> Result<(), OpenError> {
    let sealed: Vec<String> = segments
        .iter()
        .filter(|entry| entry.footer.is_some())
        .map(|entry| index_name(entry.header.base))
        .collect();
    for name in tried(disk.list(dir), "list", dir)? {
        if name == SPARE_NAME || name == "identity.tmp" || (name.ends_with(".idx") && !sealed.contains(&name))
        {
            let path: PathBuf = dir.join(&name);
            tried(disk.remove(&path), "remove", &path)?;
        }
    }
    Ok(())
}
