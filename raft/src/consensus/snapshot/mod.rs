//! Snapshots of a group: built, described, sent, received.

pub(crate) mod pace;
pub(crate) mod rebuild;
pub(crate) mod receive;
pub(crate) mod send;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::RaftSnapshotBuilder;
use store::commit_log::CommitLog;
use store::position::LogPosition;
use store::snapshot::{Snapshot as Stored, SnapshotDirs, SnapshotMeta as StoredMeta, Unfinished};
use store::tables::applied::{AppliedMark, Membership};

use crate::consensus::membership;
use crate::consensus::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, id_of_applied};
use crate::group::replica::Replica;

/// A snapshot's description as openraft wants it.
///
/// # Errors
/// The membership in it cannot be read.
pub(crate) fn meta_out(meta: &StoredMeta) -> io::Result<SnapshotMeta> {
    let last_membership = match &meta.membership {
        None => StoredMembership::default(),
        Some(Membership { mark, bytes }) => {
            let members = membership::decode(bytes).map_err(io::Error::other)?;
            StoredMembership::new(Some(id_of_applied(mark)), members)
        }
    };
    Ok(SnapshotMeta { last_log_id: Some(id_of_applied(&meta.last)), last_membership })
}

/// A snapshot on disk as openraft wants it.
pub(crate) fn snapshot_out(stored: Stored) -> io::Result<Snapshot<Stored>> {
    Ok(Snapshot { meta: meta_out(stored.meta())?, snapshot: stored })
}

/// The id of an entry as the tables keep it.
pub(crate) fn applied_of(id: &LogId) -> AppliedMark {
    let leader = id.committed_leader_id();
    AppliedMark { term: leader.term, leader: leader.node_id, index: id.index }
}

/// Builds a snapshot of a replica.
pub(crate) struct Builder {
    pub replica: Arc<Mutex<Replica>>,
    pub dirs: SnapshotDirs,
    pub log: Option<CommitLog>,
}

impl Builder {
    fn build(&self) -> io::Result<Stored> {
        let (building, meta) = self.checkpoint()?;
        let index = meta.last.index;
        let kept = self.dirs.keep(building, meta).map_err(io::Error::other)?;
        // What was applied after the first flush is on disk too, and has to be known to be (rule R2).
        self.lock().durability().flush().map_err(io::Error::other)?;
        tracing::info!(index, "a snapshot is built");
        Ok(kept)
    }

    /// Builds a snapshot that openraft never hears of: every row of it is read, and it goes with its last handle.
    pub(crate) fn build_apart(&self) -> io::Result<Stored> {
        let (building, meta) = self.checkpoint()?;
        building.finish(meta).map_err(io::Error::other)
    }

    /// The tables as they are, in a directory of their own.
    fn checkpoint(&self) -> io::Result<(Unfinished, StoredMeta)> {
        // Most of it goes to disk beside the applying; only the rest holds it up.
        let durability = self.lock().durability();
        durability.flush().map_err(io::Error::other)?;
        let building = self.dirs.begin().map_err(io::Error::other)?;
        let (last, members) = {
            let replica = self.lock();
            replica.checkpoint(&building.tables()).map_err(io::Error::other)?;
            (replica.applied(), replica.membership())
        };
        let last = last.ok_or_else(|| io::Error::other("nothing is applied: there is nothing to keep"))?;
        let membership = members.map(|(mark, bytes)| Membership { mark, bytes: bytes.to_vec() });
        let meta = StoredMeta { last, log_end: self.log_end(last.index)?, membership };
        Ok((building, meta))
    }

    fn lock(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the log goes on behind an entry.
    fn log_end(&self, index: u64) -> io::Result<LogPosition> {
        let Some(log) = &self.log else { return Ok(LogPosition::default()) };
        let frames = log.frames(index..index + 1, 0).map_err(io::Error::other)?;
        let frame = frames.first().ok_or_else(|| io::Error::other(format!("the log lacks {index}")))?;
        let position = frame.position().ok_or_else(|| io::Error::other("a frame without a position"))?;
        Ok(position + frame.encoded_len())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Stored;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot<Stored>> {
        let builder =
            Builder { replica: self.replica.clone(), dirs: self.dirs.clone(), log: self.log.clone() };
        let built = crate::seams::spawn_blocking(move || builder.build()).await;
        snapshot_out(built.map_err(io::Error::other)??)
    }
}
