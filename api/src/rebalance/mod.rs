//! What `ledgermq cluster rebalance` would do: plans, made of what the cluster says of itself. They change nothing.

pub mod leaders;
pub mod replicas;
#[cfg(test)]
mod sample;

use serde::Serialize;

use self::leaders::LeaderPlan;
use self::replicas::ReplicaPlan;
use crate::client::cluster_view::{ClusterView, GroupView, NodeView, ReplicaView};

/// So many entries a replica may be behind to count as caught up: under load there are always some.
pub const LEVEL_WITHIN: u64 = 1024;

/// What is to be done: replicas first, for they may take leaderships with them.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Replicas of placed broker groups.
    pub replicas: ReplicaPlan,
    /// Leaderships, when the replicas are where they belong.
    pub leaders: LeaderPlan,
}

impl Plan {
    /// Plans.
    pub fn of(view: &ClusterView, leaders_only: bool) -> Plan {
        if leaders_only {
            return Plan { replicas: ReplicaPlan::default(), leaders: leaders::plan(view) };
        }
        let (replicas, after) = replicas::plan(view);
        let mut leaders = leaders::plan(&after);
        // As they are now, not as they will be between.
        for (node, now) in leaders.nodes.iter_mut().zip(leaders::plan(view).nodes) {
            node.before = now.before;
        }
        Plan { replicas, leaders }
    }

    /// How many moves there are.
    pub fn steps(&self) -> usize {
        self.replicas.moves.len() + self.leaders.moves.len()
    }

    /// How many placed replicas a node holds, and will hold; none if no replicas were looked at.
    pub fn placed(&self, node: u64) -> Option<(usize, usize)> {
        let found = self.replicas.nodes.iter().find(|it| it.node == node);
        found.map(|it| (it.before, it.after))
    }
}

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
