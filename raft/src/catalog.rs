//! What the `meta` group knows, as an immutable picture that every node keeps in memory.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::names::{ConsumerId, GroupId, NodeId, QueueKey, TopicId};
use crate::settings::{GroupSettings, TopicSettings};

/// What stands before the name of a consumer group in the name of its topic of dead letters.
pub const DEAD_LETTERS_PREFIX: &str = "%DLQ%";

/// Which messages a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicType {
    /// Messages without order.
    Normal,
    /// Messages with a message group, in order within it.
    Fifo,
    /// Messages with a delivery time.
    Delay,
    /// Half messages that a transaction commits.
    Transaction,
    /// Messages with a priority.
    Priority,
    /// Messages of lite topics.
    Lite,
    /// Normal, fifo, delay and transaction messages.
    Mixed,
}

/// A topic as `meta` keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Which messages it takes.
    pub kind: TopicType,
    /// The broker group of each queue; the length is the number of queues.
    pub queues: Vec<GroupId>,
    /// When it was made, by the log's time, in milliseconds since 1970.
    pub created_ms: u64,
    /// How often it has been changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// What else is set.
    #[serde(default, skip_serializing_if = "TopicSettings::is_empty")]
    pub settings: TopicSettings,
    /// Message groups and lite topics are spread over so many of its first queues: as many as there were before it was
    /// widened, for a message group that changed its queue would lose its order. 0: over all of them.
    #[serde(default, skip_serializing_if = "is_no_queue")]
    pub spread: u32,
}

fn is_no_queue(count: &u32) -> bool {
    *count == 0
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Topic {
    /// The queues that `group` holds, in ascending order.
    pub fn queues_of(&self, group: GroupId) -> impl Iterator<Item = QueueKey> + '_ {
        self.queues
            .iter()
            .enumerate()
            .filter(move |(_, holder)| **holder == group)
            .map(|(number, _)| QueueKey { topic: self.id, number: number as u32 })
    }

    /// The broker groups that hold queues of this topic, ascending, each once.
    pub fn groups(&self) -> Vec<GroupId> {
        distinct(&self.queues)
    }

    /// The broker group of each queue that message groups are spread over.
    pub fn ordered(&self) -> &[GroupId] {
        match self.spread as usize {
            0 => &self.queues,
            spread => &self.queues[..spread.min(self.queues.len())],
        }
    }

    /// The broker groups that lite topics are spread over, ascending, each once.
    pub fn lite_groups(&self) -> Vec<GroupId> {
        distinct(self.ordered())
    }
}

fn distinct(groups: &[GroupId]) -> Vec<GroupId> {
    let mut groups = groups.to_vec();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Where a consumer group begins in a queue that it has not read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartFrom {
    /// At the first message that is still there.
    First,
    /// Behind the last message.
    Last,
    /// At the first message stored at or after this time, milliseconds since 1970.
    Time(u64),
}

/// A consumer group as `meta` keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerGroup {
    /// Its id.
    pub id: ConsumerId,
    /// Its name.
    pub name: String,
    /// Whether messages of one message group are delivered in order, one batch at a time.
    pub fifo: bool,
    /// How often a message is delivered before it becomes a dead letter.
    pub max_attempts: u16,
    /// Where it begins.
    pub start: StartFrom,
    /// The topic of its dead letters: one queue in each broker group.
    pub dead_letters: TopicId,
    /// When it was made, by the log's time, in milliseconds since 1970.
    pub created_ms: u64,
    /// How often it has been changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// What else is set.
    #[serde(default, skip_serializing_if = "GroupSettings::is_empty")]
    pub settings: GroupSettings,
}

/// A node as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Its name, for people.
    pub name: String,
    /// `host:port` that clients dial.
    pub grpc: String,
    /// `host:port` of the HTTP server.
    pub http: String,
    /// `host:port` that peers dial.
    pub peer: String,
    /// Made once with the node's data: tells a node that lost its data from one that was started again. 0: not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incarnation: u64,
}

/// Everything that `meta` holds, at one applied index. Cheap to share, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Grows with every change.
    pub version: u64,
    /// Topics by name.
    pub topics: BTreeMap<String, Topic>,
    /// Consumer groups by name.
    pub consumers: BTreeMap<String, ConsumerGroup>,
    /// Nodes by id.
    pub nodes: BTreeMap<NodeId, NodeInfo>,
    /// Nodes that were removed: their ids are not given out again (rule R10).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub removed_nodes: BTreeSet<NodeId>,
    /// The broker groups, ascending.
    pub groups: Vec<GroupId>,
    /// Who begins a broker group that was added to a running cluster, with a vote each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub founders: BTreeMap<GroupId, Vec<NodeId>>,
    /// The nodes that hold a broker group, if it was placed on some. Every node holds one that is not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holders: BTreeMap<GroupId, BTreeSet<NodeId>>,
}

impl Catalog {
    /// Whether a node is to hold a group.
    pub fn holds(&self, node: NodeId, group: GroupId) -> bool {
        self.holders.get(&group).is_none_or(|holders| holders.contains(&node))
    }

    /// The topic with this id. Linear: for messages of people, not for the path of a message.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Topic> {
        self.topics.values().find(|topic| topic.id == id)
    }
}
