//! What `ledgermq cluster rebalance` would do: plans, made of what the cluster says of itself. They change nothing.

pub mod leaders;
pub mod replicas;
#[cfg(test)]
mod sample;

use crate::client::cluster_view::{GroupView, NodeView, ReplicaView};

/// So many entries a replica may be behind to count as caught up: under load there are always some.
pub const LEVEL_WITHIN: u64 = 1024;

/// Whether a node may be given something to do.
pub fn is_sound(node: &NodeView) -> bool {
    node.alive && !node.joining && !node.draining
}

/// So many committed entries a replica lacks, or has not applied.
pub fn behind(group: &GroupView, replica: &ReplicaView) -> u64 {
    group.committed.saturating_sub(replica.applied_index)
}

/// Whether a replica has everything, and a voice.
pub fn is_level(group: &GroupView, replica: &ReplicaView) -> bool {
    replica.role != "rejoining" && behind(group, replica) <= LEVEL_WITHIN
}
