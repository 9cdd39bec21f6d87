//! A copy of this node's replica of a group, for a backup, while it serves.
//!
//! The frames of the log come first, the oldest at the beginning, and the snapshot after them: retention can take away
//! what was copied meanwhile, never what the snapshot refers to, for the floor of the log only rises. What is between the
//! last frame copied and the snapshot's last entry is copied after it; that part is young.

use std::time::Duration;

use store::commit_log::{Frame, LogMark, ReadError};
use store::position::LogPosition;
use store::snapshot::{Snapshot, SnapshotError};
use thiserror::Error;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::consensus::snapshot::rebuild;
use crate::group::Group;
use crate::limits::COPY_PART_BYTES_MAX;
use crate::names::GroupId;
use crate::node::Node;
use crate::seams;

/// How often a replica that is behind is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why a replica cannot be copied.
#[derive(Debug, Error)]
pub enum CopyError {
    /// This node has no replica of the group.
    #[error("this node has no replica of {0}")]
    NotHere(GroupId),
    /// One at a time.
    #[error("another backup copies {0} from this node: wait for it, or take the backup from another node")]
    Busy(GroupId),
    /// It is not whole, or does not get the newest entries.
    #[error(
        "the replica of {group} here is at entry {applied}, and entry {wanted} did not come in time: {why}"
    )]
    Behind {
        /// The group.
        group: GroupId,
        /// What it has applied.
        applied: u64,
        /// What it should have.
        wanted: u64,
        /// What keeps it.
        why: &'static str,
    },
    /// Nothing is there to copy.
    #[error("{0} has no entry yet: there is nothing to copy")]
    Empty(GroupId),
    /// The log cannot be read.
    #[error("the log of {group}: {source}")]
    Log {
        /// The group.
        group: GroupId,
        /// What the log says.
        source: ReadError,
    },
    /// A snapshot cannot be made.
    #[error("a snapshot of {group}: {source}")]
    Snapshot {
        /// The group.
        group: GroupId,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A file of the snapshot cannot be read.
    #[error(transparent)]
    File(#[from] SnapshotError),
    /// The node stops.
    #[error("this node is stopping")]
    Stopping,
}

/// The part of a log that can be copied: committed, applied here, and without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStretch {
    /// The entry before its first one; none if it begins with the first entry of all.
    pub behind: Option<LogMark>,
    /// Where its first entry lies.
    pub at: LogPosition,
    /// Its last entry.
    pub last: LogMark,
    /// Where the log goes on behind that.
    pub end: LogPosition,
}

/// A replica that is being copied. Nobody else copies it meanwhile; it serves on.
pub struct ReplicaCopy {
    group: Group,
    _alone: OwnedMutexGuard<()>,
}

impl Node {
    /// Begins to copy this node's replica of a group, once it has applied the entry `at_least`.
    ///
    /// # Errors
    /// [`CopyError::NotHere`], [`CopyError::Busy`], or [`CopyError::Behind`] at the deadline.
    pub async fn copy_replica(
        &self,
        group: GroupId,
        at_least: u64,
        deadline: Instant,
    ) -> Result<ReplicaCopy, CopyError> {
        let group = self.inner.groups.get(group).ok_or(CopyError::NotHere(group))?.clone();
        let alone = group.copying.clone().try_lock_owned().map_err(|_| CopyError::Busy(group.id))?;
        loop {
            let applied = group.replica().applied().map_or(0, |mark| mark.index);
            let why = match group.rejoining.goes_on() || group.store.is_rebuilding() {
                true => "it is being rebuilt from the others",
                false if applied >= at_least => return Ok(ReplicaCopy { group, _alone: alone }),
                false => "it lags behind its leader",
            };
            if self.inner.is_stopping() {
                return Err(CopyError::Stopping);
            }
            if Instant::now() >= deadline {
                return Err(CopyError::Behind { group: group.id, applied, wanted: at_least, why });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl ReplicaCopy {
    /// Which group it is of.
    pub fn group(&self) -> GroupId {
        self.group.id
    }

    /// What of the log can be copied now.
    ///
    /// # Errors
    /// The log is empty, or cannot be read.
    pub async fn stretch(&self) -> Result<LogStretch, CopyError> {
        self.blocking(|group| {
            let applied = group.replica().applied().ok_or(CopyError::Empty(group.id))?;
            let log = group.store.log();
            let beginning = rebuild::beginning(log);
            let frames = log.frames(applied.index..applied.index + 1, 0);
            let frames = frames.map_err(|source| CopyError::Log { group: group.id, source })?;
            let last = frames.first().ok_or(CopyError::Empty(group.id))?;
            let position = last.position().expect("a frame of the log has its position");
            Ok(LogStretch {
                behind: beginning.map(|beginning| beginning.behind),
                at: beginning.map_or(LogPosition::default(), |beginning| beginning.at),
                last: last.mark(),
                end: position + last.encoded_len(),
            })
        })
        .await
    }

    /// Frames from `from` up to `to`, each checked against its checksums: some of them, and at least one.
    ///
    /// # Errors
    /// [`CopyError::Log`] if they are not there any more, or damaged.
    pub async fn frames(&self, from: u64, to: u64) -> Result<Vec<Frame>, CopyError> {
        self.blocking(move |group| {
            let frames = group.store.log().frames(from..to + 1, COPY_PART_BYTES_MAX);
            frames.map_err(|source| CopyError::Log { group: group.id, source })
        })
        .await
    }

    /// Makes a snapshot, and reads every row of it. It goes with its last handle.
    ///
    /// # Errors
    /// The disk refuses, or the tables are damaged.
    pub async fn snapshot(&self) -> Result<Snapshot, CopyError> {
        self.blocking(|group| {
            group.snapshot_apart().map_err(|source| CopyError::Snapshot { group: group.id, source })
        })
        .await
    }

    /// A part of a file of a snapshot.
    ///
    /// # Errors
    /// The disk refuses.
    pub async fn file_part(
        &self,
        snapshot: &Snapshot,
        name: &str,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, CopyError> {
        let (snapshot, name) = (snapshot.clone(), name.to_owned());
        self.blocking(move |_| Ok(snapshot.read(&name, offset, length)?)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Group) -> Result<T, CopyError> + Send + 'static,
    ) -> Result<T, CopyError> {
        let group = self.group.clone();
        seams::spawn_blocking(move || work(&group)).await.map_err(|_| CopyError::Stopping)?
    }
}
