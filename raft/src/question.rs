//! What may be asked of a group's replica without writing to its log, and the answers.
//!
//! Answers come from what a replica has applied, so never from anything uncommitted. A leader
//! answers only when it serves (rule R8). Between nodes a question and its answer travel as JSON;
//! the records of messages go beside them as they are.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::position::LogPosition;

use crate::names::{ConsumerId, GroupId, QueueKey};
use crate::request::{Filter, QueueState};

/// A look at the messages of one queue, without leases: who pulls keeps the offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The queue.
    pub queue: QueueKey,
    /// The group that holds it.
    pub group: GroupId,
    /// The first offset wanted.
    pub offset: u64,
    /// At most so many messages.
    pub max: u16,
    /// Which messages.
    pub filter: Filter,
    /// Ask this node's own replica, which may lag the leader's, instead of the leader.
    pub from_replica: bool,
}

/// Where a message is, as a queue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePlace {
    /// Its offset in the queue.
    pub offset: u64,
    /// When the log took it, by the leader's stamp, in milliseconds since 1970.
    pub stored_ms: u64,
    /// Where its record begins in the group's log.
    #[serde(with = "as_number")]
    pub position: LogPosition,
    /// How many bytes the record has.
    pub length: u32,
}

/// What a pull found, without the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulledPlaces {
    /// The messages, by ascending offset.
    pub places: Vec<MessagePlace>,
    /// Where to go on: behind the last message looked at.
    pub next: u64,
    /// The first offset of the queue that is still there.
    pub first: u64,
    /// The offset that the queue's next message gets.
    pub end: u64,
}

/// What a pull found.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Where the messages are, and where to go on.
    pub found: PulledPlaces,
    /// Their records, in the same order.
    pub records: Vec<Bytes>,
}

/// How a queue stands, and whether and where a consumer group stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// The offsets. Without a place of the consumer group, its ones are the queue's first.
    pub state: QueueState,
    /// Whether the consumer group has a place in the queue: it has received from it, or was moved there.
    pub begun: bool,
}

/// A half message whose transaction is open, or was given up lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionPlace {
    /// Names the transaction within its broker group.
    pub number: u64,
    /// The topic's number.
    pub topic: u32,
    /// Where its message is; the offset is that of the queue's end to come, and means nothing.
    pub message: MessagePlace,
    /// How often a producer was asked.
    pub checks: u32,
    /// When it is asked next, by the log's time, in milliseconds since 1970; `None` if it was given up.
    pub next_check_ms: Option<u64>,
    /// When it was given up, by the log's time, in milliseconds since 1970.
    pub given_up_ms: Option<u64>,
}

/// A question to a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    Pull(Pull),
    Places { queues: Vec<QueueKey>, consumer: Option<ConsumerId> },
    OffsetAt { queue: QueueKey, time_ms: u64 },
    Transactions { max: usize },
}

/// Its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Pulled(PulledPlaces),
    Places(Vec<QueuePlace>),
    Offset(u64),
    Transactions(Vec<TransactionPlace>),
}

/// A position as its number.
mod as_number {
    use serde::{Deserialize, Deserializer, Serializer};
    use store::position::LogPosition;

    pub(super) fn serialize<S: Serializer>(position: &LogPosition, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(position.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LogPosition, D::Error> {
        u64::deserialize(from).map(LogPosition)
    }
}
