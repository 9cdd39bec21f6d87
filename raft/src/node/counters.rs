//! What goes through a node on its way to the leaders, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::measure::Histogram;
use crate::measure::histogram::{MICROSECONDS, Timed};
use crate::node::lag::LagCache;
use crate::node::measures::Routed;

/// Counts since the start of the process.
#[derive(Debug)]
pub(crate) struct NodeCounters {
    commands_here: AtomicU64,
    commands_forwarded: AtomicU64,
    waiting: AtomicU64,
    waits: Histogram,
    /// What is known of how far consumer groups are behind.
    pub lag: LagCache,
}

impl Default for NodeCounters {
    fn default() -> NodeCounters {
        NodeCounters {
            commands_here: AtomicU64::new(0),
            commands_forwarded: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            waits: Histogram::new(MICROSECONDS),
            lag: LagCache::default(),
        }
    }
}

/// A request that waits for somebody to lead. It ends with this.
pub(crate) struct LeaderWait<'a> {
    counters: &'a NodeCounters,
    _timed: Timed<'a>,
}

impl Drop for LeaderWait<'_> {
    fn drop(&mut self) {
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl NodeCounters {
    /// A command goes into the log of a group that this node leads.
    pub(crate) fn proposed_here(&self) {
        self.commands_here.fetch_add(1, Ordering::Relaxed);
    }

    /// A command goes to the node that leads its group.
    pub(crate) fn forwarded(&self) {
        self.commands_forwarded.fetch_add(1, Ordering::Relaxed);
    }

    /// A request found no leader, or lost it, and waits for the next.
    pub(crate) fn wait_for_leader(&self) -> LeaderWait<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        LeaderWait { counters: self, _timed: Timed::begin(&self.waits) }
    }

    /// What was counted.
    pub(crate) fn read(&self) -> Routed {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Routed {
            commands_here: count(&self.commands_here),
            commands_forwarded: count(&self.commands_forwarded),
            waiting_for_leader: count(&self.waiting),
            leader_waits_us: self.waits.read(),
        }
    }
}
