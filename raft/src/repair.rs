//! Repairing a replica whose data is damaged, while its node does not run: it is told to give up what it has, but for
//! its vote, and to take everything from the other replicas at its next start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::commit_log::{Inspection, LogIdentity, OpenError, read_vote};
use store::disk::RealDisk;
use store::snapshot::SnapshotDirs;
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
    /// Whether it rejoins at the next start of its node.
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

    /// Reads every byte of a group's log, and opens its tables. `progress` gets the bytes as they are read.
    pub fn look(&self, group: GroupId, progress: impl FnMut(u64)) -> Found {
        let dir = self.dir(group);
        let rejoins = rejoin::is_noted(&dir);
        let damage = match rejoins {
            true => None,
            false => log_damage(&dir, progress).or_else(|| table_damage(group, &dir)),
        };
        Found { group, damage, rejoins }
    }

    /// Has a group's replica begin again at the node's next start, with nothing but its vote.
    ///
    /// # Errors
    /// If its vote cannot be read, or the disk refuses.
    pub fn rejoin(&self, group: GroupId) -> Result<(), RepairError> {
        let dir = self.dir(group);
        let (_, vote) =
            read_vote(&RealDisk, &dir.join("log")).map_err(|source| RepairError::Vote { group, source })?;
        tracing::info!(%group, node = %self.node, ?vote, "the replica is to be rebuilt");
        // In this order: a replica that begins again without being kept from voting would be a danger.
        let noted = rejoin::note(&dir).and_then(|()| rebuild::note(&dir, vote));
        noted.map_err(|source| RepairError::Io { path: dir, source })
    }
}

fn log_damage(dir: &Path, progress: impl FnMut(u64)) -> Option<String> {
    let log = match Inspection::open(Arc::new(RealDisk), &dir.join("log")) {
        Err(error) => return Some(error.to_string()),
        Ok(log) => log,
    };
    match log.check(progress) {
        Err(error) => Some(error.to_string()),
        Ok(report) => report.damages.first().map(ToString::to_string),
    }
}

fn table_damage(group: GroupId, dir: &Path) -> Option<String> {
    let tables = SnapshotDirs::open(dir).and_then(|dirs| dirs.tables());
    match tables {
        Err(error) => Some(error.to_string()),
        Ok(tables) => {
            Replica::open(group, &tables, LOOK_MEMORY_BYTES).err().map(|error| format!("the tables: {error}"))
        }
    }
}
