//! Repairing a replica whose data is damaged, while its node does not run: it is told to give up what it has, but for
//! its vote, and to take everything from the other replicas at its next start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::commit_log::{Inspection, LogIdentity, OpenError, read_vote};
use store::disk::{Disk, RealDisk};
use store::snapshot::SnapshotDirs;
use store::tables::{GroupTables, TableStore};
use thiserror::Error;

use crate::consensus::snapshot::rebuild;
use crate::group::rejoin;
use crate::group::replica::Replica;
use crate::names::{GroupId, NodeId};
use crate::node::{StartError, lock_data};

/// Memory for a look into tables.
const LOOK_MEMORY_BYTES: usize = 16 << 20;

/// Why a replica is not repaired. Nothing was changed.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The data directory cannot be used, or the node runs.
    #[error(transparent)]
    Data(#[from] StartError),
    /// It is the data of another node.
    #[error("{dir} is the log of {found}, not of node {wanted}: nothing was changed")]
    OtherNode {
        /// The log's directory.
        dir: PathBuf,
        /// Whose it is.
        found: Box<LogIdentity>,
        /// Whose it should be.
        wanted: NodeId,
    },
    /// Its vote cannot be read.
    #[error(
        "{group} cannot be repaired: {source}. A replica that forgot its vote could vote twice in a term. Nothing was \
         changed"
    )]
    Vote {
        /// The group.
        group: GroupId,
        /// The node.
        node: NodeId,
        /// Why not.
        source: OpenError,
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

/// How a group's replica was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The group.
    pub group: GroupId,
    /// What is wrong with it; none if it is sound.
    pub damage: Option<String>,
    /// Whether it begins again at the next start of its node, with nothing but its vote.
    pub rejoins: bool,
}

/// A data directory whose node does not run, for as long as this lives.
pub struct Repair {
    data: PathBuf,
    node: NodeId,
    _lock: Box<dyn std::any::Any + Send>,
}

impl Repair {
    /// Takes the data directory of `node`.
    ///
    /// # Errors
    /// If the node runs, or the directory is not its.
    pub fn begin(data: &Path, node: NodeId) -> Result<Repair, RepairError> {
        let groups = data.join("groups");
        std::fs::read_dir(&groups).map_err(|source| RepairError::Io { path: groups, source })?;
        let repair = Repair { data: data.to_owned(), node, _lock: Box::new(lock_data(data)?) };
        for group in repair.groups()? {
            let dir = repair.dir(group).join("log");
            if let Ok((found, _)) = read_vote(&RealDisk, &dir)
                && found.node != node.0
            {
                return Err(RepairError::OtherNode { dir, found: Box::new(found), wanted: node });
            }
        }
        Ok(repair)
    }

    fn dir(&self, group: GroupId) -> PathBuf {
        self.data.join("groups").join(group.to_string())
    }

    /// The groups of which the node has a replica, ascending.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn groups(&self) -> Result<Vec<GroupId>, RepairError> {
        let path = self.data.join("groups");
        let io = |source| RepairError::Io { path: path.clone(), source };
        let mut groups = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            groups.extend(name.to_str().and_then(GroupId::parse));
        }
        groups.sort_unstable();
        Ok(groups)
    }

    /// Reads every byte of a group's log, and every row of its tables and its snapshot. `progress` gets the bytes of the
    /// log as they are read.
    pub fn look(&self, group: GroupId, progress: impl FnMut(u64)) -> Found {
        let dir = self.dir(group);
        // Not what rejoins already, and is not whole yet: that can be damaged again.
        let rebuilding = rebuild::noted(&dir);
        let rejoins = matches!(rebuilding, Ok(Some(_)));
        let damage = match rebuilding {
            Ok(Some(_)) => None,
            Ok(None) => damage(Arc::new(RealDisk), group, &dir, progress),
            Err(error) => Some(error.to_string()),
        };
        Found { group, damage, rejoins }
    }

    /// Has these groups' replicas begin again at the node's next start, with nothing but their votes.
    ///
    /// # Errors
    /// If the vote of one cannot be read, before anything is changed, or the disk refuses.
    pub fn rejoin(&self, groups: &[GroupId]) -> Result<(), RepairError> {
        let vote = |group: &GroupId| {
            let read = read_vote(&RealDisk, &self.dir(*group).join("log"));
            let (_, vote) =
                read.map_err(|source| RepairError::Vote { group: *group, node: self.node, source })?;
            Ok((*group, vote))
        };
        let votes: Vec<_> = groups.iter().map(vote).collect::<Result<_, RepairError>>()?;
        for (group, vote) in votes {
            let dir = self.dir(group);
            tracing::info!(%group, node = %self.node, ?vote, "the replica is to be rebuilt");
            // In this order: a replica that begins again without being kept from voting would be a danger.
            let noted = rejoin::note(&dir).and_then(|()| rebuild::note(&dir, vote));
            noted.map_err(|source| RepairError::Io { path: dir, source })?;
        }
        Ok(())
    }
}

/// What is wrong with the replica in `dir`, which nobody has open: every byte of its log and every row of its tables and
/// of its snapshot is read, and whether they fit together.
pub(crate) fn damage(
    disk: Arc<dyn Disk>,
    group: GroupId,
    dir: &Path,
    progress: impl FnMut(u64),
) -> Option<String> {
    let log = match log_reach(disk, dir, progress) {
        Err(damage) => return Some(damage),
        Ok(log) => log,
    };
    match table_reach(group, dir) {
        Err(damage) => Some(damage),
        Ok(tables) => misfit(log, tables),
    }
}

/// From where on a log has entries, and how far: the last index given up, and the last one.
struct LogReach {
    purged: Option<u64>,
    last: Option<u64>,
}

/// The index of the last entry that is applied, and of that of the snapshot.
struct TableReach {
    applied: Option<u64>,
    snapshot: Option<u64>,
}

fn log_reach(disk: Arc<dyn Disk>, dir: &Path, progress: impl FnMut(u64)) -> Result<LogReach, String> {
    let said = |error| match error {
        // Without what the sentence of a start says besides.
        OpenError::Damaged(damage) => damage.to_string(),
        other => other.to_string(),
    };
    let log = Inspection::open(disk, &dir.join("log")).map_err(said)?;
    let report = log.check(progress).map_err(said)?;
    match report.damages.first() {
        Some(damage) => Err(damage.to_string()),
        None => {
            let purged = log.purged.map(|mark| mark.index);
            Ok(LogReach { purged, last: report.last.map(|mark| mark.index).max(purged) })
        }
    }
}

fn table_reach(group: GroupId, dir: &Path) -> Result<TableReach, String> {
    let dirs = SnapshotDirs::open(dir).map_err(|error| error.to_string())?;
    let snapshot = dirs.current();
    if let Some(snapshot) = &snapshot {
        snapshot.check().map_err(|error| error.to_string())?;
    }
    let snapshot = snapshot.map(|snapshot| snapshot.meta().last.index);
    let path = dirs.tables().map_err(|error| error.to_string())?;
    // Whoever opens them to write makes them if they are not there.
    if !path.exists() {
        return Ok(TableReach { applied: None, snapshot });
    }
    let checked = GroupTables::open_read_only(&path).and_then(|tables| tables.check());
    checked.map_err(|error| error.to_string())?;
    let replica = Replica::open(group, &path, LOOK_MEMORY_BYTES).map_err(|error| error.to_string())?;
    Ok(TableReach { applied: replica.applied().map(|mark| mark.index), snapshot })
}

/// Rules R1 and R2, as a start checks them.
fn misfit(log: LogReach, tables: TableReach) -> Option<String> {
    let shown = |index: Option<u64>| index.map_or("nothing".to_owned(), |index| index.to_string());
    if tables.applied > log.last {
        let (applied, last) = (shown(tables.applied), shown(log.last));
        return Some(format!(
            "the tables have applied index {applied}, the log ends at {last}: a part of it is lost"
        ));
    }
    if tables.applied.max(tables.snapshot) < log.purged {
        let (applied, purged) = (shown(tables.applied), shown(log.purged));
        return Some(format!(
            "the tables have applied {applied}, the log was given up to {purged}: they are lost"
        ));
    }
    None
}
