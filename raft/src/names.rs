//! Identities that the log and the tables use instead of names.
//!
//! Names live in the `meta` group only. Everything else speaks of topics and consumer groups by
//! numbers that are allocated once and never reused (rule R10), so that a topic which is deleted
//! and made again is another topic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A node of the cluster. Allocated once, never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// A Raft group: 0 is `meta`, the broker groups count from 1 (`g1`, `g2`, ...).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group of topics, consumer groups and placement.
    pub const META: GroupId = GroupId(0);

    /// The group of a name: `meta`, `g1`, `g2`, ...
    pub fn parse(name: &str) -> Option<GroupId> {
        if name == "meta" {
            return Some(GroupId::META);
        }
        let number: u32 = name.strip_prefix('g')?.parse().ok()?;
        // Only as it is printed: no zero in front.
        Some(GroupId(number)).filter(|group| number > 0 && group.to_string() == name)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("meta"),
            number => write!(f, "g{number}"),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A topic. Allocated by `meta`, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicId(pub u32);

/// A consumer group. Allocated by `meta`, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsumerId(pub u32);

/// One queue of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueKey {
    /// The topic.
    pub topic: TopicId,
    /// The queue's number within the topic, from 0.
    pub number: u32,
}

/// The position of a message in its queue, from 0, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueOffset(pub u64);
