//! What a node is told at start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::NodeInfo;
use crate::hash::hash64;
use crate::names::NodeId;
use crate::node::TransactionChecks;
use crate::node::peers::FORMAT_VERSION;

/// What a node is told at start.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The cluster's name; a peer of another cluster is refused.
    pub cluster: String,
    /// This node.
    pub id: NodeId,
    /// Every node of the cluster at its first start, this one included.
    pub members: Vec<NodeInfo>,
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
}

impl NodeOptions {
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
    /// A follower campaigns after a silence between this and twice this.
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
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(600),
            segment_bytes: 1 << 30,
            tail_cache_bytes: 64 << 20,
            table_memory_bytes: 64 << 20,
            snapshot_log_bytes: 1 << 30,
            snapshot_entries_kept: 4096,
        }
    }
}
