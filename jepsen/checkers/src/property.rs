//! The properties, in the order in which reports show them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::durability;
use crate::evidence::Evidence;
use crate::history::History;
use crate::verdict::Verdict;

/// What a history must have; each is one module of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// What was acknowledged is there: in the queue, and in every replica's log.
    Durability,
}

impl Property {
    /// All of them.
    pub const ALL: [Property; 1] = [Property::Durability];

    /// Its name, as in reports and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Property::Durability => "durability",
        }
    }

    /// Whether a history has it.
    pub fn check(self, evidence: &Evidence<'_>) -> Verdict {
        match self {
            Property::Durability => durability::check(evidence),
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Checks all properties.
pub fn check_all(history: &History) -> Vec<(Property, Verdict)> {
    let evidence = Evidence::new(history);
    Property::ALL.into_iter().map(|property| (property, property.check(&evidence))).collect()
}
