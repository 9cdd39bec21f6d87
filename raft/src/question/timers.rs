//! Questions for messages that wait for their time.

use serde::{Deserialize, Serialize};
use store::position::LogPosition;

use super::as_number;
use crate::names::TopicId;

/// Which of the messages that wait for their time are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimersWanted {
    /// Of this topic only.
    pub topic: Option<TopicId>,
    /// Those that fall due at this time or later, in milliseconds since 1970.
    pub from_ms: u64,
    /// At most so many.
    pub max: usize,
}

/// A message that waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerPlace {
    /// When it falls due, by the log's time, in milliseconds since 1970.
    pub due_ms: u64,
    /// Names it within its broker group, with the time.
    pub number: u64,
    /// The topic's number.
    pub topic: u32,
    /// Its id as the window of ids knows it.
    pub id: u128,
    /// Where its record begins in the group's log.
    #[serde(with = "as_number")]
    pub position: LogPosition,
    /// How many bytes the record has.
    pub length: u32,
}

/// Messages of a broker group that wait for their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimersFound {
    /// By ascending time.
    pub places: Vec<TimerPlace>,
    /// How many wait in all.
    pub total: u64,
    /// When the last one fell due that was looked at, if there are more behind it.
    pub cut_at_ms: Option<u64>,
}
