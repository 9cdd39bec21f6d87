//! What happened in a group while this node led it, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::machine::{Effects, FrameContext};
use crate::names::NodeId;

/// Counts since the start of the process. What a replica applies again after a start counts again.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    node: u64,
    expired: AtomicU64,
}

impl Counters {
    /// Of this node.
    pub(crate) fn of(node: NodeId) -> Counters {
        Counters { node: node.0, ..Counters::default() }
    }

    /// A frame was applied. Every replica applies it; the one that proposed it counts.
    pub(crate) fn applied(&self, frame: &FrameContext, effects: &Effects) {
        if frame.leader == self.node && effects.expired > 0 {
            self.expired.fetch_add(effects.expired, Ordering::Relaxed);
        }
    }

    /// Messages that were passed over because their time to live was over, once for each consumer group.
    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}
