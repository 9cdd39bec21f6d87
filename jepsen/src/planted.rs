//! The bugs that a broker built for it can be given, and the runs that must find them.
//!
//! A suite that finds nothing proves nothing unless it finds these.

use serde::{Deserialize, Serialize};

use crate::nemesis::Nemesis;
use crate::workload::Workload;

/// Names the bug of a process of a broker that was built with planted bugs.
pub const VARIABLE: &str = "LEDGERMQ_PLANTED_BUG";

/// Where a bug is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaughtBy {
    /// A run of the push tier's length, within a few tries.
    Push,
    /// Longer runs; chance may need several.
    Long,
    /// The simulation of the cluster; a black box meets it by luck only.
    Simulation,
}

/// How a bug is looked for.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The bug's name.
    pub bug: &'static str,
    /// What it does, for people.
    pub means: &'static str,
    /// What clients do.
    pub workload: Workload,
    /// Who makes trouble.
    pub nemeses: &'static [Nemesis],
    /// What is expected to be violated: any of these. `behaviour` stands for a node that ends or does not converge.
    pub violates: &'static [&'static str],
    /// Where it is to be found.
    pub by: CaughtBy,
    /// How long a run lasts, in seconds.
    pub seconds: u64,
}

/// All hunts, in the order of the table.
pub fn hunts() -> Vec<Hunt> {
    use CaughtBy::{Long, Push, Simulation};
    let hunt = |bug, means, workload, nemeses, violates, by| {
        let seconds = if by == Push { 20 } else { 40 };
        Hunt { bug, means, workload, nemeses, violates, by, seconds }
    };
    vec![
        hunt(
            "ack-before-fsync",
            "a frame counts as durable before it is fsynced",
            Workload::Queue,
            &[Nemesis::PowerAll],
            &["durability", "behaviour", "liveness", "log_prefix", "offset_agreement", "conservation"],
            Push,
        ),
        hunt(
            "ack-before-quorum",
            "the leader counts a follower that it cannot reach",
            Workload::Queue,
            &[Nemesis::LeaderLast],
            &["durability", "offset_agreement", "log_prefix", "linearizable_append", "behaviour"],
            Push,
        ),
        hunt(
            "vote-not-persisted",
            "a vote never gets to disk",
            Workload::Queue,
            &[Nemesis::KillDuringRestart, Nemesis::KillAll, Nemesis::DoubleKill],
            &["durability", "log_prefix", "offset_agreement", "behaviour"],
            Simulation,
        ),
        hunt(
            "log-not-truncated",
            "a follower keeps entries that a new leader overwrites",
            Workload::Queue,
            &[Nemesis::Partition, Nemesis::LeaderAlone],
            &["log_prefix", "durability", "behaviour", "no_phantom", "liveness"],
            Push,
        ),
        hunt(
            "deposed-leader-serves",
            "a replica that led answers questions as a leader for ever",
            Workload::Pull,
            &[Nemesis::Partition],
            &["producer_order", "offset_agreement", "no_phantom", "durability"],
            Push,
        ),
        hunt(
            "apply-before-durable",
            "entries are applied that are not durable here",
            Workload::Queue,
            &[Nemesis::DiskStall, Nemesis::PowerFailure],
            &["behaviour", "log_prefix", "durability", "conservation", "offset_agreement"],
            Long,
        ),
        hunt(
            "half-message-indexed",
            "a half message can be received before its commit",
            Workload::Transactions,
            &[Nemesis::Kill],
            &["transactions"],
            Push,
        ),
        hunt(
            "timer-on-local-clock",
            "a timer falls due by the clock of the machine that applies it",
            Workload::Delay,
            &[Nemesis::ClockJump],
            &["delay", "log_prefix", "offset_agreement", "state_digest", "conservation"],
            Push,
        ),
        hunt(
            "receipt-valid-after-expiry",
            "an acknowledgement is taken after its lease has ended",
            Workload::Leases,
            &[Nemesis::Kill],
            &["acknowledgement", "receive_linearizability"],
            Push,
        ),
        hunt(
            "fifo-lock-lost-on-failover",
            "after an election nobody knows which messages of a message group are out",
            Workload::Fifo,
            &[Nemesis::Kill],
            &["fifo", "redelivery"],
            Push,
        ),
        hunt(
            "dedup-window-missing-from-snapshot",
            "a replica that opens its tables has forgotten which message ids came",
            Workload::Deduplication,
            &[Nemesis::KillAll],
            &["idempotence", "offset_agreement"],
            Push,
        ),
        hunt(
            "purge-above-snapshot",
            "the log is given up as far as it was committed, snapshot or not",
            Workload::Queue,
            &[Nemesis::KillAll],
            &["behaviour", "durability", "log_prefix", "conservation", "liveness"],
            Long,
        ),
        hunt(
            "corrupt-frame-skipped",
            "damage in the middle of the log is taken for its end",
            Workload::Queue,
            &[Nemesis::LostTail],
            &["durability", "log_prefix", "offset_agreement", "state_digest", "behaviour"],
            Long,
        ),
        hunt(
            "metadata-loss-deletes-data",
            "a topic that the catalog does not have (yet) loses its messages",
            Workload::Queue,
            &[Nemesis::LostMetadata],
            &["durability", "conservation", "offset_agreement"],
            Push,
        ),
        hunt(
            "replica-diverges",
            "now and then a replica writes a row that no other one has",
            Workload::Queue,
            &[Nemesis::Transfer],
            &["state_digest"],
            Push,
        ),
    ]
}

/// What a hunt came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Catch {
    /// The bug.
    pub bug: String,
    /// Where it is to be found.
    pub by: CaughtBy,
    /// Whether one of the expected properties was violated.
    pub caught: bool,
    /// The properties that were violated, expected or not.
    pub violated: Vec<String>,
    /// How many runs it took, or were tried.
    pub tries: u32,
    /// How long that took, in seconds, the starting and draining of clusters included.
    pub seconds: u64,
    /// The command that repeats the last run.
    pub command: String,
    /// Why runs could not be made or were no proof, if so.
    pub trouble: Vec<String>,
}

impl Catch {
    /// Whether it is as it must be: what the push tier is to find is found.
    pub fn is_good(&self) -> bool {
        self.caught || self.by != CaughtBy::Push
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_hunt_knows_what_it_looks_for() {
        let known: HashSet<&str> = checkers::Property::ALL.iter().map(|property| property.name()).collect();
        let mut bugs = HashSet::new();
        for hunt in hunts() {
            assert!(bugs.insert(hunt.bug), "{} is hunted twice", hunt.bug);
            assert!(!hunt.nemeses.is_empty() && !hunt.violates.is_empty(), "{hunt:?}");
            for property in hunt.violates {
                assert!(*property == "behaviour" || known.contains(property), "{property} is no property");
            }
        }
        assert_eq!(bugs.len(), 15);
    }
}
