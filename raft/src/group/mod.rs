//! One Raft group as this node holds it: its log, its tables, its part in the consensus.

pub(crate) mod confirm;
pub(crate) mod counters;
pub(crate) mod fault;
pub(crate) mod judged;
pub(crate) mod propose;
pub(crate) mod rejoin;
pub(crate) mod replica;
pub(crate) mod stall;
pub(crate) mod traced;
pub(crate) mod wakers;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::future::{BoxFuture, Either, select};
use openraft::async_runtime::WatchReceiver;
use openraft::{Config, Raft, SnapshotPolicy};
use store::commit_log::{CommitLog, LogIdentity, LogOptions};
use store::disk::Disk;
use store::limits::SEGMENT_BYTES_MIN;
use store::position::LogPosition;
use store::snapshot::{Snapshot as Stored, SnapshotDirs, SnapshotError};
use store::tables::{TableDigest, TableStore};
use thiserror::Error;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::consensus::applier::{Applier, SnapshotPlace};
use crate::consensus::log_store::LogStore;
use crate::consensus::network::NetworkFactory;
use crate::consensus::snapshot::pace::Pace;
use crate::consensus::snapshot::{Builder, rebuild};
use crate::consensus::types::TypeConfig;
use crate::group::confirm::Confirmations;
use crate::group::counters::{Counters, SyncClock};
use crate::group::fault::Faults;
use crate::group::judged::JudgedStretches;
use crate::group::propose::Proposer;
use crate::group::rejoin::Rejoining;
use crate::group::replica::Replica;
use crate::group::stall::Stall;
use crate::group::wakers::Wakers;
use crate::limits::ELECTION_SPREAD_PERCENT;
use crate::machine::MachineFailure;
use crate::names::{GroupId, NodeId};
use crate::node::Tuning;
use crate::node::failure::Failure;
use crate::node::peers::PeerPool;
use crate::{repair, seams};

/// Why a group cannot be opened.
#[derive(Debug, Error)]
pub enum GroupOpenError {
    /// The log.
    #[error("the log of {group}: {source}")]
    Log {
        /// The group.
        group: GroupId,
        /// What the log says.
        source: store::commit_log::OpenError,
    },
    /// The tables.
    #[error(
        "the tables of {group}: {source}. If they are damaged: `ledgermq cluster repair NODE --data DIR --group {group}` \
         on this machine, and start the node"
    )]
    Tables {
        /// The group.
        group: GroupId,
        /// What the tables say.
        source: MachineFailure,
    },
    /// The snapshot.
    #[error(
        "the snapshots of {group}: {source}. Or have the whole replica rebuilt from the others: `ledgermq cluster repair \
         NODE --data DIR --group {group}` on this machine, and start the node"
    )]
    Snapshots {
        /// The group.
        group: GroupId,
        /// What is wrong.
        source: SnapshotError,
    },
    /// The tables hold more than the log: part of the log is gone (rule R1).
    #[error(
        "the tables of {group} have applied index {applied} but its log ends at {last}: part of the log is \
         lost. Nothing was changed. Put the log back, or have the replica rebuilt from the others: `ledgermq cluster \
         repair NODE --data DIR --group {group}` on this machine, and start the node"
    )]
    LogBehindTables {
        /// The group.
        group: GroupId,
        /// What the tables have applied.
        applied: u64,
        /// Where the log ends; -1 if it is empty.
        last: i64,
    },
    /// The tables hold less than what the log was given up to: they are lost (rule R2).
    #[error(
        "the tables of {group} have applied up to {applied}, but its log was given up to {purged} and there is no \
         snapshot to begin with: the tables are lost. Nothing was changed. Put them back, or have the replica rebuilt \
         from the others: `ledgermq cluster repair NODE --data DIR --group {group}` on this machine, and start the node"
    )]
    TablesBehindLog {
        /// The group.
        group: GroupId,
        /// What the tables have applied; -1 if nothing.
        applied: i64,
        /// What Raft has given up.
        purged: u64,
    },
    /// Something of it was read, at this start or when it ran last, and is not what was written.
    #[error(
        "{group}: {damage}. Nothing was changed. The other replicas have the data: have this one rebuilt from them with \
         `ledgermq cluster repair NODE --data DIR --group {group}` on this machine, and start the node"
    )]
    Damaged {
        /// The group.
        group: GroupId,
        /// What is damaged, and where.
        damage: String,
    },
    /// It met a fault of its disk when it ran last, is sound, and cannot say so.
    #[error("{group} met a fault of its disk when it ran last; the note of that cannot be removed: {source}")]
    Suspect {
        /// The group.
        group: GroupId,
        /// What the system says.
        source: std::io::Error,
    },
    /// It was being rebuilt when its process ended, and cannot begin again.
    #[error("{group} was being rebuilt from another node, and cannot begin again: {source}")]
    Rebuilding {
        /// The group.
        group: GroupId,
        /// What the system says.
        source: std::io::Error,
    },
    /// That it has no voice yet cannot be written down.
    #[error("{group} is empty, and its directory cannot be written to: {source}")]
    Unnoted {
        /// The group.
        group: GroupId,
        /// What the system says.
        source: std::io::Error,
    },
    /// openraft.
    #[error("{group}: {reason}")]
    Consensus {
        /// The group.
        group: GroupId,
        /// What openraft says.
        reason: String,
    },
}

/// What a group needs from its node.
pub(crate) struct GroupSetup {
    pub id: GroupId,
    pub node: NodeId,
    /// Whether the cluster has no other node.
    pub alone: bool,
    pub cluster: String,
    pub data: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub tuning: Tuning,
    pub peers: PeerPool,
    /// How fast snapshots leave this node.
    pub snapshot_pace: Arc<Pace>,
    /// Told when the disk fails: the node must stop.
    pub failure: Failure,
    /// Where `meta` puts its catalog.
    pub catalog: Option<watch::Sender<Arc<Catalog>>>,
}

impl GroupSetup {
    fn faults(&self, dir: &Path) -> Faults {
        Faults {
            group: self.id,
            node: self.node,
            data: self.data.clone(),
            dir: dir.to_owned(),
            alone: self.alone,
            failure: self.failure.clone(),
            met: OnceLock::new(),
        }
    }
}

/// A running replica of a group. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Group {
    pub id: GroupId,
    /// Where everything of it is kept.
    pub dir: PathBuf,
    pub raft: Raft<TypeConfig, Applier>,
    pub store: LogStore,
    pub proposer: Proposer,
    pub wakers: Arc<Wakers>,
    pub counters: Arc<Counters>,
    pub judged: Arc<JudgedStretches>,
    /// Whether it lost what it had, and has no vote yet.
    pub rejoining: Arc<Rejoining>,
    /// Whether its disk stands still, and somebody else leads.
    pub stall: Arc<Stall>,
    confirmations: Arc<Confirmations>,
    pub dirs: SnapshotDirs,
    /// Held while a snapshot is received: one at a time.
    pub receiving: Arc<tokio::sync::Mutex<()>>,
    /// Held while the replica is copied for a backup: one at a time.
    pub copying: Arc<tokio::sync::Mutex<()>>,
    // A mutex, because apply and the leader's reads meet in the same machine; never held over an await.
    replica: Arc<Mutex<Replica>>,
}

impl Group {
    /// Opens what is on disk and joins the consensus.
    ///
    /// # Errors
    /// If the log or the tables are damaged, of another node, or do not fit together.
    pub(crate) async fn open(setup: GroupSetup) -> Result<Group, GroupOpenError> {
        let id = setup.id;
        let dir = setup.data.join("groups").join(id.to_string());
        start_over_if_rebuilding(&setup, &dir)?;
        look_if_suspect(&setup, &dir)?;
        let log = open_log(&setup, &dir.join("log"))?;
        let snapshots = |source| GroupOpenError::Snapshots { group: id, source };
        let dirs = SnapshotDirs::open(&dir).map_err(snapshots)?;
        let tables = dirs.tables().map_err(snapshots)?;
        let memory_bytes = setup.tuning.table_memory_bytes;
        let replica = Replica::open(id, &tables, memory_bytes)
            .map_err(|source| GroupOpenError::Tables { group: id, source })?;
        check_rule_one(id, &log, &replica)?;
        check_rule_two(id, &log, &replica, &dirs)?;
        if is_empty(&log, &replica, &dirs) && !setup.alone {
            rejoin::note_empty(&dir).map_err(|source| GroupOpenError::Unnoted { group: id, source })?;
        }
        let failure = setup.failure.clone();
        log.on_failure(Box::new(move |reason| failure.tell(format!("the log of {id} failed: {reason}"))));
        let faults = Arc::new(setup.faults(&dir));
        let of_log = faults.clone();
        log.on_disk_fault(Box::new(move |error| of_log.tell(error)));
        faults.watch(replica.tables());
        if let Some(catalog) = &setup.catalog {
            catalog.send_replace(replica.catalog());
        }
        let last_stamp_ms = replica.stamp_ms();
        let replica = Arc::new(Mutex::new(replica));
        let wakers = Arc::new(Wakers::default());
        let counters = Arc::new(Counters::of(setup.node));
        log.measure_syncs(Box::new(SyncClock(counters.syncs.clone())));
        let store = LogStore::new(log);
        let place = SnapshotPlace {
            group: id,
            dirs: dirs.clone(),
            memory_bytes,
            log: Some(store.log().clone()),
            rebuilt: Some((dir.clone(), store.clone())),
            faults: Some(faults.clone()),
        };
        let applier = Applier::new(
            replica.clone(),
            store.durable(),
            (wakers.clone(), counters.clone()),
            setup.catalog,
            place,
        );
        let network = NetworkFactory {
            group: id,
            peers: setup.peers,
            log: store.log().clone(),
            faults: faults.clone(),
            pace: setup.snapshot_pace,
        };
        let config = raft_config(&setup.cluster, &setup.tuning)
            .map_err(|reason| GroupOpenError::Consensus { group: id, reason })?;
        let raft = Raft::new(setup.node.0, Arc::new(config), network, store.clone(), applier).await.map_err(
            |error| match faults.met.get() {
                Some(damage) => GroupOpenError::Damaged { group: id, damage: damage.clone() },
                None => GroupOpenError::Consensus { group: id, reason: error.to_string() },
            },
        )?;
        let first_term = raft.metrics().borrow_watched().current_term;
        counters.first_term.store(first_term, Ordering::Relaxed);
        let rejoining = Arc::new(Rejoining::noted(&dir));
        raft.runtime_config().elect(!rejoining.goes_on());
        let stall = Arc::<Stall>::default();
        let frame_bytes_max = store.log().frame_bytes_max();
        let to = (id, raft.clone(), counters.clone());
        let proposer = Proposer::start(to, stall.clone(), last_stamp_ms, frame_bytes_max);
        Ok(Group {
            id,
            dir,
            raft,
            store,
            proposer,
            wakers,
            counters,
            judged: Arc::default(),
            rejoining,
            stall,
            confirmations: Arc::default(),
            dirs,
            receiving: Arc::default(),
            copying: Arc::default(),
            replica,
        })
    }

    /// The machine, for a read or a flush.
    pub(crate) fn replica(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leader, as this replica sees it.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.raft.server_metrics().borrow_watched().current_leader.map(NodeId)
    }

    /// Whether so many bytes of log were applied since the latest snapshot. Can block on the disk.
    pub(crate) fn snapshot_is_due(&self, log_bytes: u64) -> bool {
        let log = self.store.log();
        let snapshot = self.dirs.current();
        let covered = snapshot.as_ref().map_or(LogPosition::default(), |snapshot| snapshot.meta().log_end);
        let grown = |end: LogPosition| end.0.saturating_sub(covered.0) >= log_bytes;
        if !grown(log.pointers().next_position) {
            return false;
        }
        let Some(applied) = self.replica().applied() else { return false };
        // Of what lies there unapplied there can be no snapshot.
        let applied = log.frames(applied.index..applied.index + 1, 0);
        applied.ok().and_then(|frames| frames.first()?.position()).is_some_and(grown)
    }

    /// A snapshot of its own for a copy of this replica, read row by row; it goes with its last handle. Blocks.
    pub(crate) fn snapshot_apart(&self) -> std::io::Result<Stored> {
        let (replica, log) = (self.replica.clone(), Some(self.store.log().clone()));
        Builder { replica, dirs: self.dirs.clone(), log }.build_apart()
    }

    /// Rule R2: up to where the log may be given up. Not above the snapshot, nor above what the tables have durably
    /// applied, nor within the last `kept` entries of both.
    pub(crate) fn reach_of_purge(&self, kept: u64) -> Option<u64> {
        let snapshot = self.dirs.current()?.meta().last.index;
        let durable = self.replica().durability().durable_applied()?;
        snapshot.min(durable).checked_sub(kept)
    }

    /// The applied index and a checksum over all rows at it (rule R4). Applying goes on meanwhile. Ends with nothing
    /// when `wanted` says that nobody waits for it any more. Blocks on the disk.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub(crate) fn digest(
        &self,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Option<(u64, TableDigest)>, MachineFailure> {
        let replica = self.replica();
        let (applied, tables) = (replica.applied().map_or(0, |mark| mark.index), replica.tables().clone());
        // Held until the rows are as they were at that entry, whatever is applied afterwards.
        let mut replica = Some(replica);
        let digest = tables.digest_while(&mut || drop(replica.take()), wanted)?;
        Ok(digest.map(|digest| (applied, digest)))
    }

    /// Rule R8: whether this replica leads and has applied an entry of its own term.
    pub(crate) fn serves(&self, node: NodeId) -> bool {
        if self.stall.successor().is_some() {
            return false;
        }
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        if metrics.current_leader != Some(node.0) {
            return false;
        }
        let term = metrics.vote.leader_id.term;
        self.replica().applied().is_some_and(|mark| mark.term == term && mark.leader == node.0)
    }

    /// Whether a quorum says that this replica, which serves, leads still: [`Confirmations::still_leads`].
    pub(crate) async fn still_leads(&self) -> bool {
        let leads: BoxFuture<'_, bool> = Box::pin(self.confirmations.still_leads(&self.raft));
        // openraft's core cannot answer while the disk stands still.
        let stalls: BoxFuture<'_, ()> = Box::pin(self.stall.begins());
        match select(leads, stalls).await {
            Either::Left((leads, _)) => leads,
            Either::Right(_) => false,
        }
    }
}

/// A replica that was being rebuilt when its process ended begins again with nothing but its vote.
fn start_over_if_rebuilding(setup: &GroupSetup, dir: &Path) -> Result<(), GroupOpenError> {
    let failed = |source| GroupOpenError::Rebuilding { group: setup.id, source };
    let Some(ballot) = rebuild::noted(dir).map_err(failed)? else { return Ok(()) };
    let make = || open_log(setup, &dir.join("log"));
    rebuild::start_over(setup.disk.clone(), dir, ballot, make).map_err(failed)?
}

/// Whether there is nothing: the replica is new, or its disk is.
fn is_empty(log: &CommitLog, replica: &Replica, dirs: &SnapshotDirs) -> bool {
    let pointers = log.pointers();
    let no_log = log.ballot().is_none() && pointers.last.is_none() && pointers.purged.is_none();
    no_log && replica.applied().is_none() && dirs.current().is_none()
}

/// A replica that met a fault of its disk when it ran last is read wholly before it goes on.
fn look_if_suspect(setup: &GroupSetup, dir: &Path) -> Result<(), GroupOpenError> {
    if !fault::is_noted(dir) {
        return Ok(());
    }
    tracing::warn!(group = %setup.id, "this replica met a fault of its disk: it is read wholly, which takes a while");
    if let Some(damage) = repair::damage(setup.disk.clone(), setup.id, dir, |_| ()) {
        return Err(GroupOpenError::Damaged { group: setup.id, damage });
    }
    tracing::warn!(group = %setup.id, "no damage was found: the fault was none of what is kept");
    fault::clear(dir).map_err(|source| GroupOpenError::Suspect { group: setup.id, source })
}

fn open_log(setup: &GroupSetup, dir: &Path) -> Result<CommitLog, GroupOpenError> {
    let identity = LogIdentity { cluster: setup.cluster.clone(), node: setup.node.0, group: setup.id.0 };
    let options = LogOptions {
        segment_bytes: match setup.id {
            // It grows by a few records a day, and every segment is allocated whole, with the next one ahead.
            GroupId::META => setup.tuning.segment_bytes.min(SEGMENT_BYTES_MIN),
            _ => setup.tuning.segment_bytes,
        },
        tail_cache_bytes: setup.tuning.tail_cache_bytes,
        ..LogOptions::default()
    };
    seams::open_log(setup.disk.clone(), dir, identity, options)
        .map_err(|source| GroupOpenError::Log { group: setup.id, source })
}

/// The tables are never ahead of the log: see [`Applier`].
fn check_rule_one(group: GroupId, log: &CommitLog, replica: &Replica) -> Result<(), GroupOpenError> {
    let Some(applied) = replica.applied() else { return Ok(()) };
    let last = log.pointers().last;
    match last {
        Some(last) if last.index >= applied.index => Ok(()),
        _ => Err(GroupOpenError::LogBehindTables {
            group,
            applied: applied.index,
            last: last.map_or(-1, |mark| mark.index as i64),
        }),
    }
}

/// What the log was given up to is in the tables, or in the snapshot that openraft then begins with.
fn check_rule_two(
    group: GroupId,
    log: &CommitLog,
    replica: &Replica,
    dirs: &SnapshotDirs,
) -> Result<(), GroupOpenError> {
    let Some(purged) = log.pointers().purged.map(|mark| mark.index) else { return Ok(()) };
    let applied = replica.applied().map(|mark| mark.index);
    let snapshot = dirs.current().map(|snapshot| snapshot.meta().last.index);
    match applied.max(snapshot) {
        Some(reached) if reached >= purged => Ok(()),
        _ => {
            let applied = applied.map_or(-1, |index| index as i64);
            Err(GroupOpenError::TablesBehindLog { group, applied, purged })
        }
    }
}

fn raft_config(cluster: &str, tuning: &Tuning) -> Result<Config, String> {
    let election_ms = tuning.election_timeout.as_millis() as u64;
    let election_ms_max = election_ms * ELECTION_SPREAD_PERCENT / 100;
    let config = Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: tuning.heartbeat.as_millis() as u64,
        election_timeout_min: election_ms,
        election_timeout_max: election_ms_max,
        enable_pre_vote: Some(true),
        quorum_loss_probe_interval: Some(election_ms * 5),
        // A restarted leader does not know what others have done meanwhile: it asks for votes.
        enable_leader_restore: Some(false),
        // A follower that lost what it had acknowledged gets it again. A leader that stopped for that would make the
        // loss of one disk the loss of two nodes.
        allow_log_reversion: Some(true),
        // Snapshots and purges are ours to trigger (node/tick.rs); a follower that lags reads the log while it is there.
        snapshot_policy: SnapshotPolicy::Never,
        replication_lag_threshold: u64::MAX,
        max_in_snapshot_log_to_keep: u64::MAX,
        broadcast_submitted_on_append: Some(true),
        ..Config::default()
    };
    config.validate().map_err(|error| error.to_string())
}
