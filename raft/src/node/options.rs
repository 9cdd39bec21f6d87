//! What a node is told at start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::NodeInfo;
use crate::features::FeatureLevel;
use crate::hash::hash64;
use crate::names::NodeId;
use crate::node::TransactionChecks;
use crate::node::peers::FORMAT_VERSION;
use crate::tls::PeerTls;

/// What a node is told at start.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The cluster's name; a peer of another cluster is refused.
    pub cluster: String,
    /// This node; 0 with `seeds`: its data says, or the others do.
    pub id: NodeId,
    /// Every node of the cluster at its first start, this one included; with `seeds` this one alone.
    pub members: Vec<NodeInfo>,
    /// Where to ask who this node is: `host:port` of the peer ports of those that found the cluster, the same on every
    /// node. Empty: `members` says everything.
    pub seeds: Vec<String>,
    /// Where this node's peer port listens.
    pub peer_bind: SocketAddr,
    /// Where everything is kept.
    pub data: PathBuf,
    /// How many broker groups the cluster begins with.
    pub broker_groups: u32,
    /// Raft's timing and the log's sizes.
    pub tuning: Tuning,
    /// How open transactions are asked about.
    pub transaction_checks: TransactionChecks,
    /// Up to which feature level this node can read: a build's own, another one only in tests.
    pub reads_up_to: FeatureLevel,
    /// How the nodes prove to each other who they are.
    pub tls: PeerTls,
}

impl NodeOptions {
    /// What is said of this node.
    ///
    /// # Panics
    /// If it is not among the members.
    pub fn own(&self) -> NodeInfo {
        let own = self.members.iter().find(|info| info.id == self.id);
        own.cloned().expect("a node is among its members")
    }

    /// A hash over everything that all nodes of a cluster must agree on. Peers with another one
    /// refuse each other.
    pub fn fingerprint(&self) -> u64 {
        let mut text = format!("{}\n{}\n{}", FORMAT_VERSION, self.cluster, self.broker_groups);
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|info| info.id);
        for member in members {
            text.push_str(&format!("\n{} {}", member.id, member.peer));
        }
        hash64(text.as_bytes())
    }
}

/// Timing and sizes. The defaults aim at a healthy local network.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// A leader that says nothing is replaced after 2.5 to 3 times this: followers keep to it for one and a half, and
    /// campaign after one to one and a half more.
    pub election_timeout: Duration,
    /// Size of a log segment.
    pub segment_bytes: u64,
    /// How many of the last bytes of a log stay in memory.
    pub tail_cache_bytes: usize,
    /// Memory of a group's tables: cache and memtables together.
    pub table_memory_bytes: usize,
    /// A snapshot is made after so many bytes of log.
    pub snapshot_log_bytes: u64,
    /// So many entries before a snapshot stay in Raft's reach, for followers that are a little behind.
    pub snapshot_entries_kept: u64,
    /// Snapshots leave a node at so many bytes a second at most, all together; 0: as fast as it goes.
    pub snapshot_bytes_per_s: u64,
    /// How long messages stay.
    pub retention: Retention,
    /// What a disk that fills up calls for.
    pub disk: DiskMarks,
}

/// How long messages stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages of topics that say nothing themselves stay so long.
    pub keep: Duration,
    /// A group's log has about so many bytes at most; 0: as many as it takes.
    pub log_bytes: u64,
    /// Files are deleted in the hour from this minute of the day on, by UTC; none: at any time.
    pub clean_at_minute: Option<u32>,
    /// How often the leader looks for what is too old.
    pub look_every: Duration,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            keep: Duration::from_secs(72 * 60 * 60),
            log_bytes: 0,
            clean_at_minute: None,
            look_every: Duration::from_secs(10),
        }
    }
}

/// What a disk that fills up calls for. Ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskMarks {
    /// From so much on, in percent, it is said.
    pub warn_percent: u8,
    /// From so much on what may go goes at once, and then the oldest messages.
    pub clean_percent: u8,
    /// From so much on no messages are taken.
    pub refuse_percent: u8,
    /// A disk with so many bytes free is not full, whatever part of it that is.
    pub spare_bytes: u64,
    /// The data directory counts as a disk of so many bytes; 0: the disk is the one that it is on.
    pub quota_bytes: u64,
    /// How often a node looks.
    pub look_every: Duration,
}

impl Default for DiskMarks {
    fn default() -> DiskMarks {
        DiskMarks {
            warn_percent: 75,
            clean_percent: 85,
            refuse_percent: 90,
            spare_bytes: 8 << 30,
            quota_bytes: 0,
            look_every: Duration::from_secs(2),
        }
    }
}

impl DiskMarks {
    /// Marks that no disk passes, for who shares one with others and does not care.
    pub fn never() -> DiskMarks {
        DiskMarks { spare_bytes: 0, ..DiskMarks::default() }
    }
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(500),
            segment_bytes: 1 << 30,
            tail_cache_bytes: 64 << 20,
            table_memory_bytes: 64 << 20,
            snapshot_log_bytes: 1 << 30,
            snapshot_entries_kept: 4096,
            snapshot_bytes_per_s: 128 << 20,
            retention: Retention::default(),
            disk: DiskMarks::default(),
        }
    }
}
