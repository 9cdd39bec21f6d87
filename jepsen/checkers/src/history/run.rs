//! What a run was: its header, its faults, and what it had promised to cover.

use serde::{Deserialize, Serialize};

/// The first line of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format: [`super::VERSION`].
    pub version: u32,
    /// The seed of workload and faults.
    pub seed: u64,
    /// The workload's name.
    pub workload: String,
    /// The faults' names.
    #[serde(default)]
    pub nemesis: Vec<String>,
    /// How many nodes the cluster has.
    pub nodes: u32,
    /// The commit of the product.
    pub commit: String,
    /// The command that repeats the run.
    pub command: String,
    /// What the wall clock of the clients' machine said at nanosecond 0 of the run, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// What the product promises.
    #[serde(default)]
    pub rules: Rules,
}

/// What the product promises, as far as it is a matter of settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// A message id that comes again within this time after its first answer is recognized.
    pub dedup_window_ms: u64,
    /// The broker's clock may be off from the clients' by so much, and leases shorter or longer. The
    /// broker's own stamps are compared without tolerance.
    pub clock_tolerance_ms: u64,
    /// While at most a minority of the nodes suffers, acknowledged sends are never farther apart than this.
    pub progress_gap_ms_max: u64,
    /// So long after the last fault has gone, sends are acknowledged and replicas agree again.
    pub convergence_ms_max: u64,
    /// Whether retention may take messages away within the run: for their age, or because a disk is full.
    pub retention: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            dedup_window_ms: 10 * 60 * 1000,
            clock_tolerance_ms: 500,
            progress_gap_ms_max: 10_000,
            convergence_ms_max: 30_000,
            retention: true,
        }
    }
}

/// A fault that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which fault (`kill`).
    pub fault: String,
    /// Whom it was meant for (`leader`, `minority`).
    pub target: String,
    /// The nodes that the target came to.
    pub nodes: Vec<u32>,
    /// Whether it happened.
    pub status: FaultStatus,
    /// When it was injected.
    pub from_ns: u64,
    /// When it was gone, the node running again.
    pub to_ns: u64,
}

/// Whether a fault happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultStatus {
    /// It did.
    Installed,
    /// It did not.
    Skipped {
        /// Why.
        why: String,
    },
    /// Nobody knows.
    Indeterminate {
        /// Why.
        why: String,
    },
}

/// Something that a run had to reach for its verdicts to mean something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// What (`sends under kill`).
    pub what: String,
    /// At least so many.
    pub wanted: u64,
    /// So many there were.
    pub seen: u64,
}

impl Coverage {
    /// Whether it was reached.
    pub fn is_met(&self) -> bool {
        self.seen >= self.wanted
    }
}

/// The last line. A history without it was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// How many operations were written.
    pub operations: u64,
}
