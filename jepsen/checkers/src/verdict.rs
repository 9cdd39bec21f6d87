//! What a checker says.

use serde::{Deserialize, Serialize};

use crate::limits::EXAMPLES_MAX;

/// Whether a history has a property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It has, and there was something to check.
    Held {
        /// How many things were checked; what they are depends on the property.
        checked: u64,
    },
    /// It has not.
    Violated {
        /// The first few violations.
        examples: Vec<Example>,
        /// How many there are.
        total: u64,
        /// Where the lost messages lie among those that were not lost, if messages were lost.
        #[serde(default, skip_serializing_if = "Losses::is_empty")]
        losses: Losses,
    },
    /// There was nothing to check, or not enough was recorded.
    NotChecked {
        /// Why.
        why: String,
    },
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What is wrong, with names and times.
    pub what: String,
    /// When it showed, if that can be said, in nanoseconds of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<u64>,
}

/// Lost messages by where they lie in their queue or log: a lost beginning, middle and end have
/// different causes (a wrong first offset, a damaged part, a tail that was never durable).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Before everything that is left.
    pub prefix: u64,
    /// Between what is left.
    pub middle: u64,
    /// After everything that is left; also when nothing is left.
    pub postfix: u64,
}

impl Losses {
    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        *self == Losses::default()
    }
}

impl Verdict {
    /// Whether the history lacks the property.
    pub fn is_violated(&self) -> bool {
        matches!(self, Verdict::Violated { .. })
    }

    /// Whether the history has the property.
    pub fn is_held(&self) -> bool {
        matches!(self, Verdict::Held { .. })
    }
}

/// Counts what a checker looks at, and keeps the first violations.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many things were looked at.
    pub checked: u64,
    /// See [`Losses`].
    pub losses: Losses,
    examples: Vec<Example>,
    total: u64,
}

impl Tally {
    /// Adds a violation; the text is made only if it is shown.
    pub fn violated(&mut self, at_ns: Option<u64>, what: impl FnOnce() -> String) {
        self.total += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(Example { what: what(), at_ns });
        }
    }

    /// The verdict; `nothing` says why nothing was checked, if so.
    pub fn verdict(self, nothing: &str) -> Verdict {
        match (self.total, self.checked) {
            (0, 0) => Verdict::NotChecked { why: nothing.to_owned() },
            (0, checked) => Verdict::Held { checked },
            (total, _) => Verdict::Violated { examples: self.examples, total, losses: self.losses },
        }
    }
}
