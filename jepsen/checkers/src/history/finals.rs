//! What is read when the run is over: the queues, the dead letters, and every replica's log offline.
//!
//! *Write a line for everything that was read, and say so when a read is not complete*: an absence
//! counts only where the reads were complete.

use serde::{Deserialize, Serialize};

use super::operation::{Place, none};

/// A consumer group reads a topic in this run. Without this line nothing is expected of the group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription<S = String> {
    /// The consumer group.
    pub group: S,
    /// The topic.
    pub topic: S,
    /// Whether it reads in order of the message groups.
    #[serde(default)]
    pub fifo: bool,
    /// A message is delivered at most so often.
    pub max_attempts: u32,
    /// Whether it reads from the beginning; else from some message on that is not known.
    #[serde(default = "yes")]
    pub from_first: bool,
}

/// A consumer group received (and acknowledged) from a topic until nothing came any more. The
/// receives themselves are operations like all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drained<S = String> {
    /// The consumer group.
    pub group: S,
    /// The topic.
    pub topic: S,
    /// Whether it ended because nothing was left: every lease ended, every timer due, polls empty.
    pub complete: bool,
    /// Whether all of its dead letters were read afterwards, and are [`Dead`] lines.
    #[serde(default)]
    pub dead_read: bool,
    /// When it ended.
    pub at_ns: u64,
}

/// A queue was read from its first offset to its end, without leases. One line for every queue of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRead<S = String> {
    /// The topic.
    pub topic: S,
    /// The queue.
    pub queue: u32,
    /// The first offset that is there.
    pub first: u64,
    /// The offset after the last.
    pub next: u64,
    /// Whether all in between was read.
    pub complete: bool,
    /// When the read began.
    pub at_ns: u64,
}

/// A message that such a read found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored<S = String> {
    /// The topic.
    pub topic: S,
    /// Where it is.
    pub place: Place,
    /// The message's id.
    pub message: S,
    /// The digest of its body.
    pub body: u64,
    /// Its message group.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub message_group: Option<S>,
}

/// A dead letter of a consumer group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dead<S = String> {
    /// The consumer group.
    pub group: S,
    /// The message's own topic.
    pub topic: S,
    /// The message's id.
    pub message: S,
    /// The digest of its body.
    pub body: u64,
}

/// The replica of a group on a node, as its directory says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replica<S = String> {
    /// The node.
    pub node: u32,
    /// The group of replicas (`g1`).
    pub group: S,
    /// The first entry of the log that is still there.
    pub first_index: u64,
    /// The last entry of the log.
    pub last_index: u64,
    /// The last entry that this replica knows to be committed.
    pub committed_index: u64,
    /// Digests of the log's bytes, each from its own `from_index` to its `to_index`. They are compared
    /// with those of other replicas over the same entries: take the same bounds for all replicas of a
    /// group, the last one up to the smallest commit point. Several tell where a difference is.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<BytesDigest>,
    /// Why the log could not be read to its end, if so. Then it proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// The digest of the bytes of some entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BytesDigest {
    /// The first entry.
    pub from_index: u64,
    /// The last entry.
    pub to_index: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Their digest, as hex.
    pub digest: String,
}

/// The state of a replica at an applied index, at any time of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State<S = String> {
    /// The node.
    pub node: u32,
    /// The group of replicas.
    pub group: S,
    /// The last entry that it had applied.
    pub applied_index: u64,
    /// The digest of its tables, as hex.
    pub digest: S,
}

/// A message in the logs of the replicas. One line for each appearance of a message in a log;
/// replicas that have the same line may share it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<S = String> {
    /// The nodes whose log has it.
    pub nodes: Vec<u32>,
    /// The group of replicas.
    pub group: S,
    /// The entry that it is in.
    pub index: u64,
    /// The topic.
    pub topic: S,
    /// The message's id.
    pub message: S,
    /// The digest of its body.
    pub body: u64,
    /// Its message group.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub message_group: Option<S>,
    /// Its place, where the reader of the log can tell it. A repetition that got no place has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether it is a copy of an earlier record, which retention made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub carried: bool,
}

fn yes() -> bool {
    true
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The same line with other texts.
macro_rules! map_texts {
    ($type:ident { texts: $($text:ident),+; options: $($option:ident),*; others: $($other:ident),* }) => {
        impl<S> $type<S> {
            pub(super) fn map<T>(self, f: &mut impl FnMut(S) -> T) -> $type<T> {
                $type {
                    $($text: f(self.$text),)+
                    $($option: self.$option.map(&mut *f),)*
                    $($other: self.$other,)*
                }
            }
        }
    };
}

map_texts!(Subscription { texts: group, topic; options: ; others: fifo, max_attempts, from_first });
map_texts!(Drained { texts: group, topic; options: ; others: complete, dead_read, at_ns });
map_texts!(QueueRead { texts: topic; options: ; others: queue, first, next, complete, at_ns });
map_texts!(Stored { texts: topic, message; options: message_group; others: place, body });
map_texts!(Dead { texts: group, topic, message; options: ; others: body });
map_texts!(Replica {
    texts: group; options: ; others: node, first_index, last_index, committed_index, bytes, unreadable
});
map_texts!(State { texts: group, digest; options: ; others: node, applied_index });
map_texts!(Record {
    texts: group, topic, message; options: message_group; others: nodes, index, body, place, carried
});
