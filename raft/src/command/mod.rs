//! The commands of a broker group, in the compact bytes that the log keeps.
//!
//! A frame's body is a sequence of commands; `docs/formats.md`, section "Commands", shows the bytes.
//! A command is encoded once, at the edge, and copied as it is from there into the frame. Decoding
//! copies nothing: what a command holds are numbers and slices of the frame.

mod decode;
mod encode;
mod frame;
mod lite;
mod spread;
mod waiting;

pub use decode::{Commands, decode};
pub use encode::{
    encode_acknowledge, encode_carry, encode_change_lease, encode_dead_letter, encode_delete_consumer,
    encode_delete_subscription, encode_delete_topic, encode_doubt_leases, encode_judged_receive, encode_meta,
    encode_publish, encode_raise_floor, encode_receive, encode_release_client, encode_renew_leases,
    encode_resend, encode_set_offset, encode_trim,
};
pub use frame::FrameBuilder;
pub use lite::encode_expire_lite;
pub use spread::{encode_clear_spread, encode_seal_spread};
pub use waiting::{encode_end_transaction, encode_note_checks, encode_recall, encode_release_due};

use bytes::Bytes;
use store::position::LogPosition;
use thiserror::Error;

use crate::catalog::StartFrom;
use crate::names::{ConsumerId, QueueKey, QueueOffset, TopicId};
use crate::request::{Extras, Resolution, TopicRules};

/// Bytes of the length and the kind before a command's payload.
pub(crate) const COMMAND_HEADER_BYTES: usize = 5;
/// Bytes of a publish command before its record.
pub(crate) const PUBLISH_HEADER_BYTES: usize = 40;
/// Bytes of a carry command before its record.
pub(crate) const CARRY_HEADER_BYTES: usize = 8;

/// The byte that names a command. Part of the format: never change or reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Publish = 1,
    Receive = 2,
    Acknowledge = 3,
    ChangeLease = 4,
    DeadLetter = 5,
    ReleaseClient = 6,
    RenewLeases = 7,
    SetOffset = 8,
    DeleteTopic = 9,
    DeleteConsumer = 10,
    DoubtLeases = 11,
    Resend = 21,
    Trim = 18,
    Carry = 19,
    RaiseFloor = 20,
    PublishWithExtras = 12,
    ReleaseDue = 13,
    Recall = 14,
    EndTransaction = 15,
    NoteChecks = 16,
    JudgedReceive = 17,
    DeleteSubscription = 30,
    ExpireLite = 25,
    SealSpread = 35,
    ClearSpread = 36,
    Meta = 64,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        let all = [
            Kind::Publish,
            Kind::Receive,
            Kind::Acknowledge,
            Kind::ChangeLease,
            Kind::DeadLetter,
            Kind::ReleaseClient,
            Kind::RenewLeases,
            Kind::SetOffset,
            Kind::DeleteTopic,
            Kind::DeleteConsumer,
            Kind::DoubtLeases,
            Kind::Resend,
            Kind::Trim,
            Kind::Carry,
            Kind::RaiseFloor,
            Kind::PublishWithExtras,
            Kind::ReleaseDue,
            Kind::Recall,
            Kind::EndTransaction,
            Kind::NoteChecks,
            Kind::JudgedReceive,
            Kind::DeleteSubscription,
            Kind::ExpireLite,
            Kind::SealSpread,
            Kind::ClearSpread,
            Kind::Meta,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A lease as a command names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRef {
    /// Who reads.
    pub consumer: ConsumerId,
    /// The queue.
    pub queue: QueueKey,
    /// The message.
    pub offset: QueueOffset,
    /// The lease.
    pub lease: u64,
    /// Its revision.
    pub revision: u32,
}

/// Where a consumer group is to stand in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetTarget {
    /// By a rule.
    Start(StartFrom),
    /// At this offset, or at the nearest one that is there.
    Offset(u64),
}

/// A publish, read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishCommand {
    /// Where it goes.
    pub queue: QueueKey,
    /// The message id, 0 for none.
    pub dedup: u128,
    /// Hash of the tag, 0 for none.
    pub tag_hash: u64,
    /// Hash of the message group, 0 for none.
    pub order_hash: u64,
    /// What else it asks for.
    pub extras: Extras,
    /// Bytes from the command's beginning to the record's.
    pub record_at: u32,
    /// The record; its place in the frame is its place in the log.
    pub record: Bytes,
}

/// Which messages a receive is to lease, as the state machine can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    All,
    /// Those whose tag hash is one of these.
    AnyOf(Vec<u64>),
    /// What the leader has found before it proposed the receive: at most one for a queue. Only
    /// fresh messages are judged; what came back was wanted when it was first delivered.
    Judged(Vec<Verdict>),
}

/// Which messages of a stretch of a queue a filter is true of. That never changes: the messages
/// between two offsets stay the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The queue's number.
    pub queue: u32,
    /// The first offset that was judged.
    pub from: u64,
    /// The offset behind the last one.
    pub to: u64,
    /// Those that are wanted, ascending, each in the stretch. The others are passed over.
    pub matches: Vec<u64>,
}

/// A receive, read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveCommand {
    /// Who reads.
    pub consumer: ConsumerId,
    /// The topic.
    pub topic: TopicId,
    /// The queues' numbers, in the order in which to try them.
    pub queues: Vec<u32>,
    /// At most so many messages.
    pub max: u16,
    /// How long they are invisible to others.
    pub invisible_ms: u64,
    /// In order within a message group.
    pub fifo: bool,
    /// The leader renews the lease while the client is online.
    pub auto_renew: bool,
    /// Hash of the client id.
    pub client: u64,
    /// Hash of the attempt id, 0 for none.
    pub attempt: u64,
    /// Which messages.
    pub wanted: Wanted,
    /// After so many deliveries a message goes to `dead_letters` instead.
    pub max_attempts: u16,
    /// Where the consumer group begins in a queue it has not read yet.
    pub start: StartFrom,
    /// The queue of this group's dead letters.
    pub dead_letters: QueueKey,
    /// The consumer group has no more messages than this in flight here.
    pub in_flight_max: Option<u64>,
    /// What the topic says.
    pub rules: TopicRules,
}

/// A command of a broker group, or the envelope of one of `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Puts a message into a queue, or keeps it until it may be there.
    Publish(PublishCommand),
    /// Makes messages visible whose time has come.
    ReleaseDue {
        /// Those that are due at this time or before, by the log's time.
        up_to_ms: u64,
        /// At most so many.
        max: u32,
    },
    /// Takes back a message that waits for its time.
    Recall {
        /// When it would fall due.
        due_ms: u64,
        /// Its number.
        number: u64,
        /// Its message id.
        id: u128,
    },
    /// Ends a transaction.
    EndTransaction {
        /// The half message's number.
        number: u64,
        /// Its message id.
        id: u128,
        /// How it ends.
        resolution: Resolution,
    },
    /// It was tried to ask producers about half messages.
    NoteChecks {
        /// Their numbers.
        numbers: Vec<u64>,
        /// They are to be asked again so long from now.
        again_after_ms: u64,
        /// Whether it counts: somebody was asked.
        counted: bool,
    },
    /// Leases messages.
    Receive(ReceiveCommand),
    /// Settles leases.
    Acknowledge(Vec<LeaseRef>),
    /// Ends a lease `invisible_ms` from now.
    ChangeLease {
        /// Which one.
        lease: LeaseRef,
        /// 0: visible at once.
        invisible_ms: u64,
    },
    /// Moves a leased message to the dead letters.
    DeadLetter {
        /// Which one.
        lease: LeaseRef,
        /// Where to.
        dead_letters: QueueKey,
    },
    /// Puts dead letters back into the queues that they came from.
    Resend {
        /// The queue of dead letters.
        queue: QueueKey,
        /// Which ones.
        offsets: Vec<u64>,
    },
    /// Ends every lease that a client holds.
    ReleaseClient {
        /// Hash of the client id.
        client: u64,
    },
    /// Moves the end of the leases that the leader renews.
    RenewLeases {
        /// Of these clients.
        clients: Vec<u64>,
        /// Those that would end at this time or before, by the log's time.
        ending_by_ms: u64,
        /// So long from now.
        extend_ms: u64,
    },
    /// Renews no more what may never have reached its client: leases with renewal that were given
    /// lately.
    DoubtLeases {
        /// Given at this time or later, by the log's time.
        given_from_ms: u64,
        /// They end so long from now, unless they end before.
        end_within_ms: u64,
    },
    /// Moves a consumer group in a queue; its leases there are over.
    SetOffset {
        /// Who.
        consumer: ConsumerId,
        /// Where.
        queue: QueueKey,
        /// Where to.
        to: OffsetTarget,
    },
    /// Removes the queues of a topic and all that consumer groups know of them.
    DeleteTopic(TopicId),
    /// Removes what a consumer group knows.
    DeleteConsumer(ConsumerId),
    /// Removes what a consumer group knows of a topic: it begins there anew when it next reads.
    DeleteSubscription {
        /// Who.
        consumer: ConsumerId,
        /// Which topic.
        topic: TopicId,
    },
    /// Lets go of the beginning of a queue; what consumer groups have not settled of it is kept.
    Trim {
        /// The queue.
        queue: QueueKey,
        /// Its first offset from now on.
        first: u64,
    },
    /// Puts a record into the log once more, for those who refer to it out of a queue's order: the
    /// part of the log where it is shall go. Whoever is there only by a row that outlived its use
    /// is let go of.
    Carry {
        /// Where it is.
        from: LogPosition,
        /// The record, or nothing, only to let go.
        record: Bytes,
    },
    /// Lets go of lite topics that are idle, with their queues and all that consumer groups know of them.
    ExpireLite {
        /// Their topic.
        topic: TopicId,
        /// One is idle when nothing has been published to it for so long and none of its messages is leased;
        /// 0 if only those are that hold no message any more.
        idle_ms: u64,
        /// Hashes of their names.
        name_hashes: Vec<u64>,
    },
    /// Begins a step that spreads the message groups of a topic over more queues: from now on only messages are taken that
    /// were sent under it.
    SealSpread {
        /// The topic.
        topic: TopicId,
        /// Which step.
        generation: u32,
        /// Message groups were spread over so many of its first queues.
        from: u32,
        /// They are to be spread over so many.
        to: u32,
    },
    /// Notes that a consumer group has settled, in all broker groups, what came before a step.
    ClearSpread {
        /// The topic.
        topic: TopicId,
        /// Who.
        consumer: ConsumerId,
        /// Which step. 0: it is moved, and nothing is known any more.
        generation: u32,
        /// When the broker groups were asked, by the clock of the leader here, in milliseconds since 1970.
        asked_ms: u64,
    },
    /// Says that nothing refers to what lies below in the log. It is refused if that is not so.
    RaiseFloor(LogPosition),
    /// A command of `meta`: see [`crate::machine::MetaCommand`].
    Meta {
        /// Tells a repeated request from a new one; 0 for none.
        request: u128,
        /// The command as JSON.
        json: Bytes,
    },
}

/// Why bytes are not a command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// A length reaches behind the end.
    #[error("a command of {length} bytes begins at byte {at}, but only {rest} bytes follow")]
    Length {
        /// Where the command begins.
        at: usize,
        /// What its length says.
        length: usize,
        /// What is there.
        rest: usize,
    },
    /// A newer version wrote it.
    #[error("command kind {kind} is unknown to this build")]
    UnknownKind {
        /// The byte found.
        kind: u8,
    },
    /// A newer version wrote it.
    #[error("the action {action} of `meta` is unknown to this build")]
    UnknownAction {
        /// Its name.
        action: String,
    },
    /// The payload is not that of its kind.
    #[error("the payload of a command of kind {kind} is malformed")]
    Malformed {
        /// The command's kind.
        kind: u8,
    },
    /// The frame is full.
    #[error("a command of {bytes} bytes does not fit into a frame")]
    TooLarge {
        /// The command's length.
        bytes: usize,
    },
}
