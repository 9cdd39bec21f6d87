//! What the logs of a cluster may hold, as a number that only rises: the *feature level*.
//!
//! Nodes of two versions run side by side while a cluster is upgraded. What the older one cannot read must not be in a
//! log before all nodes run the newer one, and never again an older one: whoever runs the cluster says so, by raising its
//! level. So a version that writes something new has a level of its own for it, below which it does not write it. A new
//! cluster begins at the highest level that all of its nodes know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A feature level. Data that does not say is of the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureLevel(pub u32);

impl FeatureLevel {
    /// What every build can read.
    pub const FIRST: FeatureLevel = FeatureLevel(1);
    /// Message groups may be spread over more queues ([`crate::catalog::Mapping`]).
    pub const SPREAD: FeatureLevel = FeatureLevel(2);
    /// Broker groups may be on chosen nodes ([`crate::catalog::Catalog::holders`]).
    pub const PLACEMENT: FeatureLevel = FeatureLevel(2);
    /// The receipt handle of a traced delivery may name its span.
    pub const TRACED_RECEIPTS: FeatureLevel = FeatureLevel(2);
    /// There may be users and rules ([`crate::access`]).
    pub const ACCESS: FeatureLevel = FeatureLevel(3);
    /// What this build can read.
    pub const NEWEST: FeatureLevel = FeatureLevel(3);

    /// Whether it is the first one.
    pub fn is_first(&self) -> bool {
        *self == FeatureLevel::FIRST
    }

    /// What a node says of itself between nodes; 0 comes of one that knows of no levels.
    pub(crate) fn of_wire(level: u32) -> FeatureLevel {
        FeatureLevel(level.max(FeatureLevel::FIRST.0))
    }

    /// Why a node that knows no more than this cannot be in a cluster of that level.
    pub(crate) fn falls_short_of(self, cluster: FeatureLevel) -> Option<String> {
        (self < cluster).then(|| {
            format!(
                "the cluster is at feature level {cluster}, and this version knows only {self}: start the node with the \
                 version that it ran before, or a newer one"
            )
        })
    }
}

impl Default for FeatureLevel {
    fn default() -> FeatureLevel {
        FeatureLevel::FIRST
    }
}

impl fmt::Display for FeatureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
