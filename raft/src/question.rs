//! What may be asked of a group's replica without writing to its log, and the answers.
//!
//! Answers come from what a replica has applied, so never from anything uncommitted. A leader
//! answers only when it serves (rule R8). Between nodes a question and its answer travel as JSON;
//! the records of messages go beside them as they are.

mod timers;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::position::LogPosition;
use store::tables::consume_queue::Entry;
use store::tables::pending::Pending;

use crate::names::{ConsumerId, GroupId, QueueKey, TopicId};
use crate::request::{Filter, QueueState};

pub use timers::{TimerPlace, TimersFound, TimersWanted};

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

impl MessagePlace {
    pub(crate) fn of(offset: u64, stored_ms: u64, entry: &Entry) -> MessagePlace {
        MessagePlace { offset, stored_ms, position: entry.position, length: entry.length }
    }
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

/// The order of what a search finds, and where its next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// When the message was stored, or is due, in milliseconds since 1970.
    pub stored_ms: u64,
    /// The number of its queue.
    pub queue: u32,
    /// Its offset, or the number under which it waits.
    pub number: u64,
}

/// What a message waits for that is in no queue yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// For its time.
    Timer {
        /// In milliseconds since 1970.
        due_ms: u64,
    },
    /// For the end of its transaction.
    Transaction {
        /// When its producer is asked next, in milliseconds since 1970.
        next_check_ms: u64,
        /// How often it was asked.
        checks: u32,
    },
    /// For nothing: its transaction was never ended, and it is kept for inspection.
    GivenUp {
        /// How often its producer was asked.
        checks: u32,
    },
}

/// Where a search found a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPlace {
    /// Its place in the order of the search.
    pub mark: Mark,
    /// The queue it is in, or will be in.
    pub queue: QueueKey,
    /// Its offset there, or the number under which it waits.
    pub number: u64,
    /// When it came into the queue, or when the log took what waits, in milliseconds since 1970. Of a
    /// timer: when it is due.
    pub stored_ms: u64,
    /// What it waits for, if it is in no queue yet.
    pub wait: Option<Wait>,
    /// Where its record begins in the group's log.
    #[serde(with = "as_number")]
    pub position: LogPosition,
    /// How many bytes the record has.
    pub length: u32,
    /// Hash of its tag, 0 for none.
    pub tag_hash: u64,
    /// Hash of its message group, 0 for none.
    pub order_hash: u64,
}

impl FoundPlace {
    /// A message in its queue, in the order of time.
    pub(crate) fn queued(queue: QueueKey, at: MessagePlace, entry: &Entry) -> FoundPlace {
        FoundPlace {
            mark: Mark { stored_ms: at.stored_ms, queue: queue.number, number: at.offset },
            queue,
            number: at.offset,
            stored_ms: at.stored_ms,
            wait: None,
            position: at.position,
            length: at.length,
            tag_hash: entry.tag_hash,
            order_hash: entry.order_hash,
        }
    }

    /// A message that waits under a number.
    pub(crate) fn waiting(number: u64, stored_ms: u64, wait: Wait, message: &Pending) -> FoundPlace {
        let queue = QueueKey { topic: TopicId(message.queue.0), number: message.queue.1 };
        let at = MessagePlace::of(number, stored_ms, &message.entry);
        FoundPlace { wait: Some(wait), ..FoundPlace::queued(queue, at, &message.entry) }
    }
}

/// What to search for in a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// A message id.
    Id {
        /// As the client gave it.
        id: String,
        /// As the window of ids knows it.
        dedup: u128,
        /// As the index of keys knows it, if it does not tell its time or waits.
        hash: u64,
        /// The second in which it was made, in milliseconds since 1970, if it tells.
        born_ms: Option<u64>,
    },
    /// One of the message's keys.
    Key {
        /// As the client gave it.
        key: String,
        /// Its hash.
        hash: u64,
    },
    /// When it was stored: from the first to the second, both included, in milliseconds since 1970.
    Time(u64, u64),
    /// When it was stored in a lite topic, as for [`By::Time`].
    LiteTopic {
        /// The lite topic's name.
        name: String,
        /// Its hash.
        hash: u64,
        /// In milliseconds since 1970.
        from_ms: u64,
        /// In milliseconds since 1970.
        to_ms: u64,
    },
    /// A queue, from an offset on.
    Offset {
        /// The queue's number.
        queue: u32,
        /// The offset.
        offset: u64,
    },
}

/// A search in the queues of a topic that one group holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Search {
    /// In the order in which to try them.
    pub queues: Vec<QueueKey>,
    pub by: By,
    pub after: Option<Mark>,
    pub limit: usize,
    /// They hold dead letters.
    #[serde(default)]
    pub dead_letters: bool,
}

/// What one group found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// By ascending mark.
    pub places: Vec<FoundPlace>,
    /// There are more behind the last one.
    pub more: bool,
    /// A bound was hit before everything was looked at.
    pub cut: bool,
}

/// How a message stands for a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// The queue has let go of it.
    Gone,
    /// The queue does not have it yet.
    NotThere,
    /// The group has never read from the queue.
    NotReadYet,
    /// The group has not got so far.
    Ahead {
        /// An earlier message of its message group that is not settled.
        behind: Option<u64>,
    },
    /// It was looked at, and waits for an earlier one of its message group.
    Parked {
        /// That one.
        behind: Option<u64>,
    },
    /// A client has it.
    Leased {
        /// Hash of the client id.
        client: u64,
        /// Which delivery it is.
        attempt: u16,
        /// In milliseconds since 1970.
        until_ms: u64,
        /// The client has set the end of the lease itself.
        changed: bool,
        /// The leader renews the lease while the client is online.
        renewed: bool,
        /// The client gets it again if it repeats its request.
        repeatable: bool,
    },
    /// Its lease is over, and it was not settled.
    Returned {
        /// Which delivery it was.
        attempt: u16,
        /// When the lease ended, in milliseconds since 1970.
        since_ms: u64,
        /// An earlier message of its message group that is not settled.
        behind: Option<u64>,
    },
    /// It is settled, or was passed over.
    Settled,
}

/// How a message, and the queue it is in, stand for a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryState {
    /// The queue.
    pub place: QueuePlace,
    /// The log's time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Messages of the queue that the group was given, or waits with, and has not settled.
    pub unsettled: u64,
    /// Messages that the group has in flight in all queues of the broker group.
    pub in_flight: u64,
    /// There are so many unsettled ones that it gets no fresh ones.
    pub is_full: bool,
    /// The message.
    pub delivery: Delivery,
    /// It comes when the group has settled what was sent before message groups were spread over more queues.
    #[serde(default)]
    pub behind_spread: bool,
}

/// The frame that holds a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFacts {
    /// The index of the entry.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The node that led the term.
    pub leader: u64,
    /// The leader's stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It was leased.
    Leased,
    /// It was settled.
    Settled,
    /// It was moved to the dead letters.
    DeadLettered,
    /// Its client set another end of the lease.
    Changed,
    /// Its client gave it back.
    GivenBack,
    /// It was given back because its client left.
    Released,
}

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEvent {
    /// When, by the log's time, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub what: Happening,
    /// For whom.
    pub consumer: ConsumerId,
    /// Which delivery it was, 0 where that is not known.
    pub attempt: u16,
    /// Hash of the client id, 0 where that is not known.
    pub client: u64,
    /// When the lease would end that was given or changed, in milliseconds since 1970.
    pub until_ms: u64,
}

/// What the delivery journal says of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalFound {
    /// By ascending time.
    pub events: Vec<JournalEvent>,
    /// Since when everything that happened is known; `None` if nothing is.
    pub since_ms: Option<u64>,
    /// There was more to look at than one look may.
    pub cut: bool,
}

/// What a consumer group has to settle of what came before a step that spread the message groups of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// So many messages lie between where it is in each queue and where the queue ended then.
    pub messages: u64,
    /// It has a place in one of the queues.
    pub begun: bool,
}

/// A message that is in the window of ids, or was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownMessage {
    pub queue: QueueKey,
    /// Its offset, or the number under which it waits.
    pub number: u64,
    pub waits: bool,
}

/// A question to a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    Pull(Pull),
    Places {
        queues: Vec<QueueKey>,
        consumer: Option<ConsumerId>,
    },
    OffsetAt {
        queue: QueueKey,
        time_ms: u64,
    },
    Transactions {
        max: usize,
    },
    Timers(TimersWanted),
    Find(Search),
    Frame {
        position: u64,
    },
    Journal {
        queue: QueueKey,
        offset: u64,
        consumer: Option<ConsumerId>,
        since_ms: u64,
    },
    Delivery {
        consumer: ConsumerId,
        queue: QueueKey,
        offset: u64,
        order_hash: u64,
    },
    /// What each of these consumer groups has to settle of what came before a step.
    Unsettled {
        topic: TopicId,
        generation: u32,
        consumers: Vec<ConsumerId>,
    },
    /// Where the messages with these ids are (each with its window, as [`crate::request::Extras`] has it), once the step
    /// was sealed: from then on nothing comes in that was sent before it.
    Known {
        topic: TopicId,
        generation: u32,
        ids: Vec<(u128, Option<u64>)>,
    },
}

/// Its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Pulled(PulledPlaces),
    Places(Vec<QueuePlace>),
    Offset(u64),
    Transactions(Vec<TransactionPlace>),
    Timers(TimersFound),
    Found(Found),
    Frame(Option<FrameFacts>),
    Journal(JournalFound),
    Delivery(DeliveryState),
    Unsettled(Option<Vec<Unsettled>>),
    Known(Option<Vec<Option<KnownMessage>>>),
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
