//! What clients did: one operation a line, with when it began, when it ended, and how.

use serde::{Deserialize, Serialize};

use super::votes::{ChangeVotes, ReadVoters};

/// How a call ended, as its caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened: the broker said so.
    Ok,
    /// It certainly did not happen, and never will: the broker refused it, and no try before (of a client that
    /// repeats a call by itself) was left unknown.
    Fail,
    /// Nobody knows: a time-out, a lost connection, an answer that does not say. It may still happen later.
    Info,
}

/// One call of one process.
///
/// Times are nanoseconds of one monotonic clock, which is the same for all processes of a run and
/// starts at [`super::Header::started_unix_ms`]. `return_ns` of an unknown outcome is when the caller gave up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation<S = String> {
    /// Who called. A process makes one call at a time.
    pub process: u32,
    /// When the call began.
    pub invoke_ns: u64,
    /// When the call ended.
    pub return_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The broker's or the connection's words, for people.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub error: Option<S>,
    /// What was called, with what was answered.
    pub call: Call<S>,
}

/// What a process can do. `message` is always the message's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call<S = String> {
    /// Sends one message. A batch is an operation for each of its messages.
    Send(Send<S>),
    /// Asks for messages, and leases those that come. With outcome [`Outcome::Info`]: what came before the call broke.
    Receive(Receive<S>),
    /// Settles a lease.
    Acknowledge(Lease<S>),
    /// Changes when a lease ends; zero gives the message back.
    ChangeInvisible(ChangeInvisible<S>),
    /// Moves a leased message to the dead letters.
    DeadLetter(Lease<S>),
    /// Says goodbye: the leases that the process got from this consumer group end now.
    Farewell(Farewell<S>),
    /// Reads a queue without leases.
    Pull(Pull<S>),
    /// Stores how far a consumer group has read.
    UpdateOffset(GroupOffset<S>),
    /// Asks how far a consumer group has read; `offset` is the answer.
    QueryOffset(GroupOffset<S>),
    /// Makes a half message visible.
    Commit(End<S>),
    /// Drops a half message.
    Rollback(End<S>),
    /// Takes a delayed message back before it is due.
    Recall(Recall<S>),
    /// Gives a node a vote in a group of replicas, or takes it.
    ChangeVotes(ChangeVotes<S>),
    /// Asks who has a vote.
    ReadVoters(ReadVoters<S>),
    /// Anything else administrative (a transfer of leadership); only its time and outcome count.
    Administer {
        /// What it was, for people.
        what: S,
    },
}

/// A send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Send<S = String> {
    /// The topic.
    pub topic: S,
    /// The message's id, which the client made. The same id again is a repetition.
    pub message: S,
    /// A digest of the body; any function, but the same everywhere in a history.
    pub body: u64,
    /// The message group, for order.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub message_group: Option<S>,
    /// What is to become of it.
    #[serde(default, skip_serializing_if = "Kind::is_normal")]
    pub kind: Kind,
    /// How many calls the client made under this id within this operation (hidden retries count).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attempts: u32,
    /// The answered place. `None` when there was none: also for delayed and half messages, which get theirs later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The answered transaction id of a half message.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub transaction: Option<S>,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Visible at once (ordered ones too).
    #[default]
    Normal,
    /// Visible from a moment on.
    Delay {
        /// The moment, in milliseconds since 1970.
        due_unix_ms: u64,
    },
    /// A half message: visible once it is committed.
    Transaction,
}

impl Kind {
    fn is_normal(&self) -> bool {
        *self == Kind::Normal
    }
}

/// Where a message is within its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The queue.
    pub queue: u32,
    /// The offset in the queue, from 0.
    pub offset: u64,
}

/// A receive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receive<S = String> {
    /// The consumer group.
    pub group: S,
    /// The topic.
    pub topic: S,
    /// How long the leases last.
    pub invisible_ms: u64,
    /// Whether the broker renews the leases while the client lives: then their end is not judged.
    #[serde(default, skip_serializing_if = "is_false")]
    pub renewed: bool,
    /// What came, in its order.
    pub delivered: Vec<Delivery<S>>,
}

/// A message that was delivered, with a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery<S = String> {
    /// The message's id.
    pub message: S,
    /// The digest of its body as it came.
    pub body: u64,
    /// The message group as it came.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub message_group: Option<S>,
    /// Where the broker says it is.
    pub place: Place,
    /// How often it was delivered to this consumer group, this time included.
    pub attempt: u32,
    /// The lease's receipt. The same receipt again is the same lease (a repeated answer).
    pub receipt: S,
    /// When the message got its place, by the broker's clock, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_unix_ms: Option<u64>,
}

/// A lease that is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease<S = String> {
    /// The consumer group.
    pub group: S,
    /// The message whose lease it is.
    pub message: S,
    /// The receipt that was used.
    pub receipt: S,
}

/// A lease whose end is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeInvisible<S = String> {
    /// The consumer group.
    pub group: S,
    /// The message whose lease it is.
    pub message: S,
    /// The receipt that was used; it is not valid afterwards.
    pub receipt: S,
    /// The lease ends so long after the change.
    pub invisible_ms: u64,
    /// The receipt that was answered. It is another one than `receipt`.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub new_receipt: Option<S>,
}

/// A client's goodbye.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Farewell<S = String> {
    /// The consumer group.
    pub group: S,
}

/// A pull. One session is one process reading one queue for one consumer group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pull<S = String> {
    /// The consumer group.
    pub group: S,
    /// The topic.
    pub topic: S,
    /// The queue.
    pub queue: u32,
    /// The offset that was asked for.
    pub from: u64,
    /// What came, in its order.
    pub pulled: Vec<Pulled<S>>,
    /// Where to go on, as the broker says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A message that was pulled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulled<S = String> {
    /// The message's id.
    pub message: S,
    /// The digest of its body as it came.
    pub body: u64,
    /// Its offset.
    pub offset: u64,
}

/// How far a consumer group has read a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupOffset<S = String> {
    /// The consumer group.
    pub group: S,
    /// The topic.
    pub topic: S,
    /// The queue.
    pub queue: u32,
    /// The next offset to read; `None` as an answer when nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End<S = String> {
    /// The half message that the caller meant.
    pub message: S,
    /// The transaction id that was named.
    pub transaction: S,
}

/// A delayed message that is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recall<S = String> {
    /// The message.
    pub message: S,
}

fn one() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A default that asks nothing of `S`.
pub(super) fn none<S>() -> Option<S> {
    None
}

impl Outcome {
    /// Whether it happened, or may have.
    pub fn may_have_happened(self) -> bool {
        self != Outcome::Fail
    }
}

impl<S> Operation<S> {
    /// The same with other texts.
    pub(super) fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Operation<T> {
        Operation {
            process: self.process,
            invoke_ns: self.invoke_ns,
            return_ns: self.return_ns,
            outcome: self.outcome,
            error: self.error.map(&mut *f),
            call: self.call.map(f),
        }
    }
}

impl<S> Call<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Call<T> {
        match self {
            Call::Send(send) => Call::Send(send.map(f)),
            Call::Receive(receive) => Call::Receive(Receive {
                group: f(receive.group),
                topic: f(receive.topic),
                invisible_ms: receive.invisible_ms,
                renewed: receive.renewed,
                delivered: receive.delivered.into_iter().map(|delivery| delivery.map(f)).collect(),
            }),
            Call::Acknowledge(lease) => Call::Acknowledge(lease.map(f)),
            Call::DeadLetter(lease) => Call::DeadLetter(lease.map(f)),
            Call::ChangeInvisible(change) => Call::ChangeInvisible(ChangeInvisible {
                group: f(change.group),
                message: f(change.message),
                receipt: f(change.receipt),
                invisible_ms: change.invisible_ms,
                new_receipt: change.new_receipt.map(f),
            }),
            Call::Farewell(farewell) => Call::Farewell(Farewell { group: f(farewell.group) }),
            Call::Pull(pull) => Call::Pull(pull.map(f)),
            Call::UpdateOffset(offset) => Call::UpdateOffset(offset.map(f)),
            Call::QueryOffset(offset) => Call::QueryOffset(offset.map(f)),
            Call::Commit(end) => Call::Commit(end.map(f)),
            Call::Rollback(end) => Call::Rollback(end.map(f)),
            Call::Recall(recall) => Call::Recall(Recall { message: f(recall.message) }),
            Call::ChangeVotes(change) => Call::ChangeVotes(change.map(f)),
            Call::ReadVoters(read) => Call::ReadVoters(read.map(f)),
            Call::Administer { what } => Call::Administer { what: f(what) },
        }
    }
}

impl<S> Send<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Send<T> {
        Send {
            topic: f(self.topic),
            message: f(self.message),
            body: self.body,
            message_group: self.message_group.map(&mut *f),
            kind: self.kind,
            attempts: self.attempts,
            place: self.place,
            transaction: self.transaction.map(f),
        }
    }
}

impl<S> Delivery<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Delivery<T> {
        Delivery {
            message: f(self.message),
            body: self.body,
            message_group: self.message_group.map(&mut *f),
            place: self.place,
            attempt: self.attempt,
            receipt: f(self.receipt),
            stored_unix_ms: self.stored_unix_ms,
        }
    }
}

impl<S> Lease<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Lease<T> {
        Lease { group: f(self.group), message: f(self.message), receipt: f(self.receipt) }
    }
}

impl<S> Pull<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Pull<T> {
        let pulled = self.pulled.into_iter();
        Pull {
            group: f(self.group),
            topic: f(self.topic),
            queue: self.queue,
            from: self.from,
            pulled: pulled
                .map(|one| Pulled { message: f(one.message), body: one.body, offset: one.offset })
                .collect(),
            next: self.next,
        }
    }
}

impl<S> GroupOffset<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> GroupOffset<T> {
        GroupOffset { group: f(self.group), topic: f(self.topic), queue: self.queue, offset: self.offset }
    }
}

impl<S> End<S> {
    fn map<T>(self, f: &mut impl FnMut(S) -> T) -> End<T> {
        End { message: f(self.message), transaction: f(self.transaction) }
    }
}
