//! What the `meta` group knows, as an immutable picture that every node keeps in memory.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::access::Users;
use crate::features::FeatureLevel;
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
    /// Lite topics are spread over so many of its first queues, and message groups as long as nobody says otherwise: as
    /// many as there were before it was widened, for what changed its queue would lose its order. 0: over all of them.
    #[serde(default, skip_serializing_if = "is_no_queue")]
    pub spread: u32,
    /// What was said otherwise.
    #[serde(default, skip_serializing_if = "Mapping::is_initial")]
    pub mapping: Mapping,
}

/// How message groups come to their queues, as far as it was changed by steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The last step that ended, 0 for none. What is sent with a message group names it, so that no broker group takes
    /// what was meant for another mapping.
    pub generation: u32,
    /// Over so many of the topic's first queues; 0: as [`Topic::spread`] says.
    pub width: u32,
    /// The step under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spreading: Option<Spreading>,
    /// The steps that were finished, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<SpreadStep>,
    /// The last step, if it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
}

/// A step that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spreading {
    /// Its number.
    pub generation: u32,
    /// Message groups are spread over so many queues.
    pub from: u32,
    /// They are to be spread over so many.
    pub to: u32,
    /// Since when, by the log's time, in milliseconds since 1970.
    pub begun_ms: u64,
    /// It is given up if it has not ended by then.
    pub until_ms: u64,
}

/// A step that was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadStep {
    /// Its number.
    pub generation: u32,
    /// Over so many queues before.
    pub from: u32,
    /// Over so many since then.
    pub to: u32,
    /// When it ended, by the log's time, in milliseconds since 1970.
    pub finished_ms: u64,
}

/// A step that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// Its number.
    pub generation: u32,
    /// When it ended, by the log's time, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why, for people.
    pub why: String,
}

impl Mapping {
    /// Whether no step was ever begun.
    pub fn is_initial(&self) -> bool {
        *self == Mapping::default()
    }

    /// The finished step of this number; none if it was given up, or has not ended.
    pub fn step(&self, generation: u32) -> Option<&SpreadStep> {
        self.steps.iter().find(|step| step.generation == generation)
    }
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
        self.first(if self.mapping.width == 0 { self.spread } else { self.mapping.width })
    }

    fn first(&self, count: u32) -> &[GroupId] {
        match count as usize {
            0 => &self.queues,
            count => &self.queues[..count.min(self.queues.len())],
        }
    }

    /// The number of the queue of a message group, by the hash of its name.
    pub fn queue_of(&self, order_hash: u64) -> u32 {
        (order_hash % self.ordered().len() as u64) as u32
    }

    /// The broker groups that lite topics are spread over, ascending, each once.
    pub fn lite_groups(&self) -> Vec<GroupId> {
        distinct(self.first(self.spread))
    }
}

pub(crate) fn distinct(groups: &[GroupId]) -> Vec<GroupId> {
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
    /// What the logs may hold: see [`crate::features`].
    #[serde(default)]
    pub feature_level: FeatureLevel,
    /// Users by name. Not for any text: their secrets are sealed, but nobody's business.
    #[serde(skip)]
    pub users: Users,
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
