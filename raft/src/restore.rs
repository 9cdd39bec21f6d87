//! Making a node's data directory out of a backup, while no node runs.
//!
//! Each node of the new cluster gets the same: the log of the backup, a snapshot at its last entry, and behind that entry one
//! more, which names the members of the new cluster. That one is in a term of its own, the next after the backup's, and its
//! bytes follow from the backup and the members alone: so the directories can be made one by one, on different machines, and
//! all logs are equal to the last byte. A cluster that is restored begins as one whose nodes were all stopped at once,
//! when that entry had come to each of them: Raft elects a leader, which commits it and goes on.
//!
//! It must be made on every node, or on most of them at least: the members that have nothing have no vote before they got
//! everything from the others ([`crate::group::rejoin`]).
//!
//! Everything is made in a directory beside, and comes into place under its name in the end: a restore that was cut
//! short leaves a data directory without a group.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use store::ballot::Ballot;
use store::commit_log::{
    CommitLog, Frame, FrameError, FrameHeader, FrameKind, LogFailure, LogIdentity, LogMark, LogOptions,
    OpenError,
};
use store::disk::RealDisk;
use store::limits::{FRAME_HEADER_BYTES, SEGMENT_BYTES_MIN};
use store::position::LogPosition;
use store::snapshot::{SnapshotDirs, SnapshotError, SnapshotMeta, Unfinished};
use thiserror::Error;

use crate::consensus::membership;
use crate::names::{GroupId, NodeId};
use crate::node::{StartError, lock_data};

/// Where it is made.
const UNFINISHED: &str = "restoring";
/// What may be in a data directory that counts as empty: the locks, and what a restore left that was cut short.
const NO_DATA: [&str; 3] = ["LOCK", "lock", UNFINISHED];
const GROUPS: &str = "groups";

/// Why a data directory cannot be made of a backup. No data directory was changed.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The data directory cannot be used, or a node runs on it.
    #[error(transparent)]
    Data(#[from] StartError),
    /// There is something in it.
    #[error("{dir} is not empty ({found} is there): a backup is restored into an empty data directory only")]
    NotEmpty {
        /// The data directory.
        dir: PathBuf,
        /// What is there.
        found: String,
    },
    /// The backup's log is not one.
    #[error("the log of {group} in the backup, index {index}: {reason}")]
    Log {
        /// The group.
        group: GroupId,
        /// Where.
        index: u64,
        /// What is wrong.
        reason: String,
    },
    /// A frame is longer than the new cluster's segments allow.
    #[error(
        "the log of {group}: {source}. Raise log.segment_bytes to what the cluster had that the backup is of"
    )]
    Segment {
        /// The group.
        group: GroupId,
        /// What the log says.
        source: LogFailure,
    },
    /// The new log cannot be made.
    #[error("the new log of {group}: {reason}")]
    NewLog {
        /// The group.
        group: GroupId,
        /// What went wrong.
        reason: String,
    },
    /// The backup's snapshot is none, or does not belong to its log.
    #[error("the snapshot of {group} in the backup: {reason}")]
    Snapshot {
        /// The group.
        group: GroupId,
        /// What is wrong.
        reason: String,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { path, source }
}

/// For whom a data directory is made.
#[derive(Clone, Debug)]
pub struct RestoreTarget {
    /// The new cluster's name.
    pub cluster: String,
    /// The node.
    pub node: NodeId,
    /// Every node of the new cluster, and its peer address.
    pub members: Vec<(NodeId, String)>,
    /// Its data directory.
    pub data: PathBuf,
    /// The size of a log's segments.
    pub segment_bytes: u64,
}

/// A data directory that is being made of a backup. What was made goes with it, unless it is finished.
pub struct Restore {
    target: RestoreTarget,
    finished: bool,
    _lock: Box<dyn std::any::Any + Send>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_dir_all(self.target.data.join(UNFINISHED));
        }
    }
}

impl Restore {
    /// Takes a data directory, which must be empty, and which no process may use.
    ///
    /// # Errors
    /// [`RestoreError::Data`] or [`RestoreError::NotEmpty`]; nothing was changed.
    pub fn begin(target: RestoreTarget) -> Result<Restore, RestoreError> {
        let lock = Box::new(lock_data(&target.data)?);
        let restore = Restore { target, finished: false, _lock: lock };
        let data = &restore.target.data;
        for entry in fs::read_dir(data).map_err(io_at(data))? {
            let name = entry.map_err(io_at(data))?.file_name().to_string_lossy().into_owned();
            if !NO_DATA.contains(&name.as_str()) {
                return Err(RestoreError::NotEmpty { dir: data.clone(), found: name });
            }
        }
        Ok(restore)
    }

    /// Takes away what an earlier restore left, and begins.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn clear(&self) -> Result<(), RestoreError> {
        let unfinished = self.target.data.join(UNFINISHED);
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(&unfinished)(error)),
            _ => Ok(()),
        }
    }

    /// Begins with a group, whose log in the backup goes on behind `behind` at `at`, or begins with the first entry.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn group(
        &self,
        group: GroupId,
        behind: Option<LogMark>,
        at: LogPosition,
    ) -> Result<GroupRestore, RestoreError> {
        let dir = self.target.data.join(UNFINISHED).join(GROUPS).join(group.to_string());
        fs::create_dir_all(&dir).map_err(io_at(&dir))?;
        let log = open_log(&self.target, group, &dir).map_err(|error| new_log(group, error))?;
        if let Some(behind) = behind {
            settle(|done| log.reset_to(behind, at, done)).map_err(|error| new_log(group, error))?;
        }
        let dirs = SnapshotDirs::open(&dir).map_err(|error| of_snapshot(group, error))?;
        let staged = dirs.begin().map_err(|error| of_snapshot(group, error))?;
        let joined =
            membership::encode_voters(&self.target.members).map_err(|error| new_log(group, error))?;
        let leader = self.target.members.iter().map(|(id, _)| *id).min().unwrap_or(self.target.node);
        Ok(GroupRestore { group, log, dirs, staged, leader, joined, rest: BytesMut::new(), stamp_ms: 0 })
    }

    /// Puts everything in place: the node can be started.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn finish(mut self) -> Result<(), RestoreError> {
        let data = &self.target.data;
        let (unfinished, groups) = (data.join(UNFINISHED), data.join(GROUPS));
        let sync = |dir: &Path| File::open(dir).and_then(|it| it.sync_all()).map_err(io_at(dir));
        sync(&unfinished.join(GROUPS))?;
        fs::rename(unfinished.join(GROUPS), &groups).map_err(io_at(&groups))?;
        sync(data)?;
        fs::remove_dir(&unfinished).map_err(io_at(&unfinished))?;
        self.finished = true;
        Ok(())
    }
}

/// A group of a data directory that is being made.
pub struct GroupRestore {
    group: GroupId,
    log: CommitLog,
    dirs: SnapshotDirs,
    staged: Unfinished,
    /// Who proposed the entry that names the members.
    leader: NodeId,
    joined: Bytes,
    /// The beginning of a frame whose rest did not come yet.
    rest: BytesMut,
    stamp_ms: u64,
}

impl GroupRestore {
    /// Takes the next bytes of the log, cut anywhere. Each frame is checked, and must continue the one before.
    ///
    /// # Errors
    /// They are not what comes next, or the disk refuses.
    pub fn log_bytes(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.rest.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = next_frame(&mut self.rest).map_err(|error| self.bad_frame(error))? {
            frames.push(frame);
        }
        let pointers = self.log.pointers();
        let (mut index, mut position) = (pointers.next_index(), pointers.next_position);
        for frame in &frames {
            if frame.index != index || frame.position() != Some(position) {
                let found = frame.position().unwrap_or_default();
                let reason = format!("frame {} at {found} comes where {position} is due", frame.index);
                return Err(RestoreError::Log { group: self.group, index, reason });
            }
            index += 1;
            position = position + frame.encoded_len();
            self.stamp_ms = self.stamp_ms.max(frame.stamp_ms);
        }
        if frames.is_empty() {
            return Ok(());
        }
        self.append(frames)
    }

    fn append(&self, frames: Vec<Frame>) -> Result<(), RestoreError> {
        // Whoever waits for the last one has waited for all.
        self.log.append(frames, Box::new(|_| {})).map_err(|error| match error {
            LogFailure::TooLarge { .. } => RestoreError::Segment { group: self.group, source: error },
            other => new_log(self.group, other),
        })
    }

    fn bad_frame(&self, error: FrameError) -> RestoreError {
        let index = self.log.pointers().next_index();
        RestoreError::Log { group: self.group, index, reason: error.to_string() }
    }

    /// Takes the next part of a file of the snapshot's tables.
    ///
    /// # Errors
    /// A name that no such file has, or a disk that refuses.
    pub fn file_part(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), RestoreError> {
        self.staged.write(name, offset, bytes).map_err(|error| of_snapshot(self.group, error))
    }

    /// Everything has come. `meta` is what the snapshot says of itself. Every row of it is read.
    ///
    /// # Errors
    /// Log and snapshot do not belong together, the snapshot is damaged, or the disk refuses.
    pub fn finish(self, meta: &[u8]) -> Result<(), RestoreError> {
        let group = self.group;
        let meta = SnapshotMeta::decode(meta).map_err(|reason| RestoreError::Snapshot { group, reason })?;
        let last = LogMark { term: meta.last.term, leader: meta.last.leader, index: meta.last.index };
        let pointers = self.log.pointers();
        if !self.rest.is_empty() || pointers.last != Some(last) || pointers.next_position != meta.log_end {
            let (found, end) = (pointers.last, pointers.next_position);
            let reason =
                format!("the log ends with {found:?} at {end}, not with {last:?} at {}", meta.log_end);
            return Err(RestoreError::Log { group, index: last.index, reason });
        }
        self.join(last)?;
        let snapshot = self.staged.finish(meta).map_err(|error| of_snapshot(group, error))?;
        let kept = self.dirs.adopt(&snapshot).map_err(|error| of_snapshot(group, error))?;
        self.dirs.install(&kept).map_err(|error| of_snapshot(group, error))?;
        self.log.close();
        Ok(())
    }

    /// Ends the log with the entry that names the members, and the vote for its term, which is why it is there.
    fn join(&self, last: LogMark) -> Result<(), RestoreError> {
        let (term, leader) = (last.term + 1, self.leader.0);
        let (kind, body) = (FrameKind::Membership, self.joined.clone());
        let frame = Frame::new(kind, last.index + 1, term, leader, self.stamp_ms, 0, body);
        self.log.save_committed(last);
        self.append(vec![frame])?;
        let ballot = Ballot { term, node: leader, committed: true };
        settle(|done| self.log.save_ballot(ballot, done)).map_err(|error| new_log(self.group, error))
    }
}

/// The first frame in `bytes`, if all of it is there.
fn next_frame(bytes: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    if bytes.len() < FRAME_HEADER_BYTES as usize {
        return Ok(None);
    }
    let length = FrameHeader::decode(bytes)?.encoded_len() as usize;
    if bytes.len() < length {
        return Ok(None);
    }
    // A copy: what the log keeps in memory must not hold on to everything around it.
    let frame = Bytes::copy_from_slice(&bytes[..length]);
    bytes.advance(length);
    Frame::decode(frame).map(Some)
}

fn open_log(target: &RestoreTarget, group: GroupId, dir: &Path) -> Result<CommitLog, OpenError> {
    let identity = LogIdentity { cluster: target.cluster.clone(), node: target.node.0, group: group.0 };
    let segment_bytes = match group {
        GroupId::META => target.segment_bytes.min(SEGMENT_BYTES_MIN),
        _ => target.segment_bytes,
    };
    let options = LogOptions { segment_bytes, ..LogOptions::default() };
    CommitLog::open(Arc::new(RealDisk), &dir.join("log"), identity, options)
}

/// Asks the log's writer for something, and waits until it is durable.
fn settle(ask: impl FnOnce(store::commit_log::Completion)) -> Result<(), LogFailure> {
    let (done, waits) = std::sync::mpsc::channel();
    ask(Box::new(move |result| _ = done.send(result)));
    waits.recv().unwrap_or(Err(LogFailure::Closed))
}

fn new_log(group: GroupId, error: impl ToString) -> RestoreError {
    RestoreError::NewLog { group, reason: error.to_string() }
}

fn of_snapshot(group: GroupId, error: SnapshotError) -> RestoreError {
    RestoreError::Snapshot { group, reason: error.to_string() }
}
