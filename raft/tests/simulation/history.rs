//! What clients did, and what they were told.

use std::time::Duration;

use raft::names::{NodeId, QueueKey};

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<T> {
    Done(T),
    /// It certainly did not happen.
    Refused(String),
    /// It may have happened, or may happen yet.
    Unknown(String),
}

/// Where a message is: in a queue at an offset, or nowhere yet.
pub type Place = Option<(QueueKey, u64)>;

/// What is special about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Of a message group.
    Ordered(u64),
    /// Not to be delivered before this, by the log's time in milliseconds since 1970.
    Delayed(u64),
    /// Half of a transaction.
    Half,
}

/// A message that a client sent, the first time or again.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: String,
    pub kind: Kind,
    pub node: NodeId,
    pub ending: Ending<Place>,
}

/// The end of a transaction, as a client asked for it.
#[derive(Clone, Debug)]
pub struct Ended {
    pub id: String,
    pub commit: bool,
    pub begun: Duration,
    pub ending: Ending<()>,
}

/// A message that a client was given.
#[derive(Clone, Debug)]
pub struct Got {
    pub id: String,
    /// The consumer group: 1 takes messages as they come, 2 keeps their order.
    pub consumer: u32,
    pub queue: QueueKey,
    pub offset: u64,
    pub attempt: u16,
    /// When it was asked for.
    pub begun: Duration,
    pub at: Duration,
    /// By the log's time, milliseconds since 1970.
    pub leased_ms: (u64, u64),
}

/// A lease that a client settled.
#[derive(Clone, Debug)]
pub struct Settled {
    pub id: String,
    pub consumer: u32,
    /// When the message had come.
    pub given: Duration,
    pub begun: Duration,
    pub ended: Duration,
    pub ending: Ending<()>,
}

/// An answer to the question where a queue ends.
#[derive(Clone, Debug)]
pub struct Read {
    pub queue: QueueKey,
    /// What was acked before the question was asked reaches up to here.
    pub acked_end: u64,
    pub end: u64,
}

/// All of it. What never ended is there as unknown.
#[derive(Debug, Default)]
pub struct History {
    pub sent: Vec<Sent>,
    /// When sends succeeded.
    pub acked: Vec<Duration>,
    pub ended: Vec<Ended>,
    pub got: Vec<Got>,
    pub settled: Vec<Settled>,
    pub reads: Vec<Read>,
}
