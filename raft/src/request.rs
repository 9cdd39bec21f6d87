//! What the client edge asks of the cluster, and what it is told.
//!
//! Every request goes through [`crate::node::Node`], which finds the leader, forwards, waits out an
//! election, and retries where that is safe. A request ends as committed, rejected or unknown
//! (rule R7), never as a guess.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::catalog::{StartFrom, TopicType};
use crate::names::{ConsumerId, GroupId, NodeId, QueueKey, QueueOffset, TopicId};
use crate::settings::{GroupSettings, TopicSettings};

/// Why a request was not carried out, or why nobody knows whether it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The state machine refused it; nothing happened. Every replica refused it alike.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// The group had no leader until the deadline and nothing was proposed. Try again.
    #[error("{group} has no leader at the moment")]
    NoLeader {
        /// The group that waits for a leader.
        group: GroupId,
    },
    /// It was proposed and its fate is not known. Sends may be repeated with the same message id.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What got in the way.
        reason: String,
    },
    /// A queue on the way is full (rule R9); nothing was proposed. Try again later.
    #[error("too much is in flight: {what}")]
    Overloaded {
        /// Which bound was hit.
        what: &'static str,
    },
    /// The disk of a node is too full to take messages; nothing was proposed. Try again when there is room.
    #[error(
        "the disk of node {node} is {used_percent} % full: no messages are taken until old ones have gone; \
             give it a larger disk, or keep messages for a shorter time"
    )]
    DiskFull {
        /// The node.
        node: NodeId,
        /// How full, in percent.
        used_percent: u8,
    },
    /// This node is stopping; nothing was proposed.
    #[error("this node is stopping")]
    Stopping,
}

/// A refusal by the state machine: deterministic, replicated, and without effect (rule R5).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No such topic.
    #[error("topic {name} does not exist")]
    TopicNotFound {
        /// The name asked for.
        name: String,
    },
    /// The name is taken.
    #[error("{what} {name} exists already")]
    AlreadyExists {
        /// "topic" or "consumer group".
        what: String,
        /// The name asked for.
        name: String,
    },
    /// No such consumer group.
    #[error("consumer group {name} does not exist")]
    ConsumerNotFound {
        /// The name asked for.
        name: String,
    },
    /// The receipt is of a lease that is over, or never was.
    #[error("the receipt handle is not valid: the lease is over")]
    InvalidReceipt,
    /// The delayed message is visible already, was recalled, or never was.
    #[error("the message cannot be recalled: it is not waiting for its time (any more)")]
    NotWaiting,
    /// No such transaction, or it has ended in another way.
    #[error("{0}")]
    TransactionOver(String),
    /// There are as many lite topics as there may be.
    #[error("{0}")]
    LiteTopicQuota(String),
    /// A bound of the state machine is reached; later there may be room.
    #[error("{0}")]
    Full(String),
    /// The message groups of the topic are being spread over more queues, or were a moment ago.
    #[error("the message groups of the topic are being spread over more queues: try again")]
    Respread,
    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// A message on its way into the log. `record` is encoded once, at the edge, by
/// [`store::record::MessageRecord::encode`].
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where it goes.
    pub queue: QueueKey,
    /// The group that holds the queue.
    pub group: GroupId,
    /// The message id as 128 bits; a second message with the same id inside the window is answered
    /// with the first one's offset.
    pub dedup: u128,
    /// The 64-bit hash of the tag, 0 for none. See [`crate::hash`].
    pub tag_hash: u64,
    /// The 64-bit hash of the message group, 0 for none.
    pub order_hash: u64,
    /// What else it asks for.
    pub extras: Extras,
    /// The encoded record.
    pub record: Bytes,
}

/// What a message asks for beyond a place in its queue. Most messages ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// It is not visible before this time, in milliseconds since 1970 by the log's clock.
    pub due_ms: Option<u64>,
    /// It is a half message, visible once its transaction is committed; its producer is asked after
    /// so many milliseconds.
    pub check_after_ms: Option<u64>,
    /// A message with the same id is the same message for so long, in milliseconds, if that is shorter than
    /// [`crate::limits::DEDUP_WINDOW_MS`].
    pub dedup_window_ms: Option<u64>,
    /// Hashes of the keys under which it can be found.
    pub key_hashes: Vec<u64>,
    /// Hash of its lite topic's name: the lite topic's queue takes it, whatever queue it names.
    pub lite_hash: Option<u64>,
    /// Under which mapping of message groups to queues it was sent: see [`crate::catalog::Mapping`]. 0 without a message
    /// group.
    pub generation: u32,
}

/// A message that is durable on a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The queue it is in, or will be in (the first one's, if it was there already).
    pub queue: QueueKey,
    /// Where it is there.
    pub place: Place,
    /// Whether this id was there already.
    pub duplicate: bool,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Visible, at this offset of its queue.
    Queued(QueueOffset),
    /// Not visible yet: it waits under this number for its time or for the end of its transaction.
    Waiting(u64),
}

impl Published {
    /// The offset, if the message is visible.
    pub fn offset(&self) -> Option<QueueOffset> {
        match self.place {
            Place::Queued(offset) => Some(offset),
            Place::Waiting(_) => None,
        }
    }
}

/// A message that waits for its time: the content of a recall handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The broker group that holds it.
    pub group: GroupId,
    /// Its topic.
    pub topic: TopicId,
    /// When it falls due, in milliseconds since 1970.
    pub due_ms: u64,
    /// Its number, as [`Place::Waiting`] has it.
    pub number: u64,
    /// The message id as the window of ids knows it.
    pub id: u128,
}

/// A half message: the content of a transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The broker group that holds it.
    pub group: GroupId,
    /// Its topic.
    pub topic: TopicId,
    /// Its number, as [`Place::Waiting`] has it.
    pub number: u64,
    /// The message id as the window of ids knows it.
    pub id: u128,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The message becomes visible.
    Commit,
    /// The message is gone.
    Rollback,
    /// Nobody knew: the message is kept for inspection for a while, then gone.
    GiveUp,
}

/// Which messages a consumer wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// All.
    All,
    /// Those whose tag hash is one of these. Sorted, each once.
    AnyOf(Vec<u64>),
    /// Those that this SQL92 filter is true of: see [`crate::filter`]. The leader judges them, so
    /// that the state machine need not read the log (rule R4).
    Sql(String),
}

/// What a topic says about the delivery of its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicRules {
    /// The queues are levels of priority: from the highest number down, whatever their order in the
    /// receive. Every few leases go to what has waited for too long: see
    /// [`crate::limits::PRIORITY_WAIT_MS_MAX`].
    pub by_priority: bool,
    /// A message that was stored this long ago, by the log's time, is not delivered any more, but
    /// settled. 0: however old it is.
    pub ttl_ms: u64,
}

/// A lease on up to `max` messages.
#[derive(Clone, Debug)]
pub struct Receive {
    /// Who reads.
    pub consumer: ConsumerId,
    /// The topic.
    pub topic: TopicId,
    /// The group that holds the queues.
    pub group: GroupId,
    /// The queues' numbers, in the order in which to try them.
    pub queues: Vec<u32>,
    /// At most so many messages.
    pub max: u16,
    /// How long they are invisible to others.
    pub invisible_ms: u64,
    /// In order within a message group, and none of a group that has a message in flight.
    pub fifo: bool,
    /// The leader renews the lease while the client is online.
    pub auto_renew: bool,
    /// Hash of the client id: who holds the lease.
    pub client: u64,
    /// Hash of the attempt id (never 0): the same attempt gets the same batch again.
    pub attempt: u64,
    /// Which messages.
    pub filter: Filter,
    /// After so many deliveries a message goes to `dead_letters` instead.
    pub max_attempts: u16,
    /// Where the consumer group begins in a queue it has not read yet.
    pub start: StartFrom,
    /// The queue of this group's dead letters.
    pub dead_letters: QueueKey,
    /// The consumer group has no more messages than this in flight in the broker group.
    pub in_flight_max: Option<u64>,
    /// What the topic says.
    pub rules: TopicRules,
    /// Read these lite topics (hashes of their names) instead of `queues`. The leader turns them into queues.
    pub lite: Option<Vec<u64>>,
}

/// What names a lease: the content of a receipt handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// Who reads.
    pub consumer: ConsumerId,
    /// The queue.
    pub queue: QueueKey,
    /// The group that holds the queue.
    pub group: GroupId,
    /// The message.
    pub offset: QueueOffset,
    /// The lease: unique within (consumer group, queue), growing.
    pub lease: u64,
    /// Grows when the lease's end is changed by the client.
    pub revision: u32,
}

/// What became of a dead letter that was to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendResult {
    /// It is in the queue that it came from once more.
    Resent {
        /// That queue.
        queue: QueueKey,
        /// Its offset there.
        offset: QueueOffset,
    },
    /// It was sent again before, and is not a second time.
    Already {
        /// The queue that it came from.
        queue: QueueKey,
        /// Its offset there since then.
        offset: QueueOffset,
    },
    /// There is no such dead letter, or nobody knows where it came from.
    Unknown,
    /// The topic that it came from was deleted.
    TopicGone,
}

/// Which dead letters to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLettersWanted {
    /// The group that holds the queue.
    pub group: GroupId,
    /// The queue of dead letters.
    pub queue: QueueKey,
    /// From this offset on.
    pub from: u64,
    /// At most so many, and at most [`crate::limits::DEAD_LETTERS_PAGE_MAX`].
    pub max: usize,
    /// Their records too.
    pub with_records: bool,
}

/// A message that a consumer group could not settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The queue of dead letters.
    pub queue: QueueKey,
    /// Its offset there.
    pub offset: QueueOffset,
    /// The consumer group.
    pub consumer: ConsumerId,
    /// The queue that it came from.
    pub from: QueueKey,
    /// Its offset there.
    pub from_offset: QueueOffset,
    /// How often it was delivered.
    pub attempts: u16,
    /// When it was given up, by the log's time, in milliseconds since 1970.
    pub buried_ms: u64,
    /// Its new offset in the queue that it came from, and since when, in milliseconds since 1970.
    pub resent: Option<(QueueOffset, u64)>,
    /// The record as it was published; empty if it was not asked for, or is gone.
    pub record: Bytes,
}

/// A message that was leased.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// What settles it.
    pub receipt: Receipt,
    /// How often it has been delivered, this time included.
    pub attempt: u16,
    /// When the lease ends, by the log's time, in milliseconds since 1970.
    pub lease_until_ms: u64,
    /// When the log took the message, by the leader's stamp, in milliseconds since 1970.
    pub stored_ms: u64,
    /// The record, as it was published.
    pub record: Bytes,
}

/// How a queue stands, and how a consumer group stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueState {
    /// The first offset that is still there.
    pub first: u64,
    /// The offset that the next message gets.
    pub end: u64,
    /// Everything below is settled by the consumer group.
    pub settled: u64,
    /// The first offset never delivered to the consumer group.
    pub next: u64,
    /// Leases that are held now.
    pub in_flight: u64,
    /// Messages below `next` that are not settled: leased, to be delivered again, or behind others of their message
    /// group.
    #[serde(default)]
    pub unsettled: u64,
}

/// A topic to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name, checked by the caller against PROTOCOL 2.
    pub name: String,
    /// Which messages it takes.
    pub kind: TopicType,
    /// How many queues.
    pub queues: u32,
    /// Answer with the one that is there, if it is.
    pub if_not_exists: bool,
    /// What else is set.
    #[serde(default, skip_serializing_if = "TopicSettings::is_empty")]
    pub settings: TopicSettings,
}

/// A consumer group to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewConsumer {
    /// Its name, checked by the caller against PROTOCOL 2.
    pub name: String,
    /// In order within a message group.
    pub fifo: bool,
    /// Deliveries before a message becomes a dead letter.
    pub max_attempts: u16,
    /// Where it begins.
    pub start: StartFrom,
    /// Answer with the one that is there, if it is.
    pub if_not_exists: bool,
    /// What else is set.
    #[serde(default, skip_serializing_if = "GroupSettings::is_empty")]
    pub settings: GroupSettings,
}
