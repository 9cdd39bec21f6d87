//! What is wrong with a cluster, or soon will be, and what to do about it.

pub mod certificate;
pub mod cluster;
pub mod machine;

use serde::Serialize;

use crate::sentence::Sentence;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and will not for long, or not through the next failure.
    Warn,
    /// It does not work, or data is in danger.
    Bad,
}

impl Level {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Bad => "bad",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The check: `nodes`, `disk`, `clocks`, ...
    pub check: &'static str,
    /// A node, a group, or the cluster.
    #[serde(rename = "where")]
    pub place: String,
    /// What was found.
    pub found: Sentence,
    /// What to do about it; empty if there is nothing to do.
    #[serde(rename = "do")]
    pub advice: Sentence,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, place: impl Into<String>, found: impl Into<Sentence>) -> Finding {
        let advice = Sentence::default();
        Finding { level: Level::Ok, check, place: place.into(), found: found.into(), advice }
    }

    /// It is not.
    pub fn new(
        level: Level,
        check: &'static str,
        place: impl Into<String>,
        found: impl Into<Sentence>,
        advice: impl Into<Sentence>,
    ) -> Finding {
        Finding { level, check, place: place.into(), found: found.into(), advice: advice.into() }
    }
}
