//! The properties, in the order in which reports show them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::history::History;
use crate::verdict::Verdict;
use crate::{
    acknowledgement, conservation, delay, durability, fifo, idempotence, linearizable_append, liveness,
    log_prefix, membership, no_phantom, offset_agreement, producer_order, receive_linearizability,
    redelivery, state_digest, transactions,
};

/// What a history must have; each is one module of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// What was acknowledged is there: in the queue, and in every replica's log.
    Durability,
    /// What was seen had been sent, as it was seen.
    NoPhantom,
    /// One place holds one message, whoever looks, and queues have no gaps.
    OffsetAgreement,
    /// A send that began after another returned comes after it.
    LinearizableAppend,
    /// Each producer's order within a message group is kept, and reads are monotonic.
    ProducerOrder,
    /// Replicas' logs have the same bytes below the smaller commit point.
    LogPrefix,
    /// Replicas that applied the same entries have the same state.
    StateDigest,
    /// Messages of a message group come one batch at a time, in order.
    Fifo,
    /// A message id is stored once within the window.
    Idempotence,
    /// Half messages are visible after their commit, once, and never after a rollback.
    Transactions,
    /// Nothing is delivered before it is due.
    Delay,
    /// Attempts count up to the maximum, and nobody gets a message inside a live lease.
    Redelivery,
    /// What is acknowledged stays away, and a stale receipt is refused.
    Acknowledgement,
    /// Each message goes available, leased, settled, and all answers fit into one such course.
    ReceiveLinearizability,
    /// Each committed message ends in exactly one state for each consumer group.
    Conservation,
    /// Sends go on under a minority's faults, and replicas converge after them.
    Liveness,
    /// Whoever leads knows who has a vote, and at the end everybody has.
    Membership,
}

impl Property {
    /// All of them.
    pub const ALL: [Property; 17] = [
        Property::Durability,
        Property::NoPhantom,
        Property::OffsetAgreement,
        Property::LinearizableAppend,
        Property::ProducerOrder,
        Property::LogPrefix,
        Property::StateDigest,
        Property::Fifo,
        Property::Idempotence,
        Property::Transactions,
        Property::Delay,
        Property::Redelivery,
        Property::Acknowledgement,
        Property::ReceiveLinearizability,
        Property::Conservation,
        Property::Liveness,
        Property::Membership,
    ];

    /// Its name, as in reports and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Property::Durability => "durability",
            Property::NoPhantom => "no_phantom",
            Property::OffsetAgreement => "offset_agreement",
            Property::LinearizableAppend => "linearizable_append",
            Property::ProducerOrder => "producer_order",
            Property::LogPrefix => "log_prefix",
            Property::StateDigest => "state_digest",
            Property::Fifo => "fifo",
            Property::Idempotence => "idempotence",
            Property::Transactions => "transactions",
            Property::Delay => "delay",
            Property::Redelivery => "redelivery",
            Property::Acknowledgement => "acknowledgement",
            Property::ReceiveLinearizability => "receive_linearizability",
            Property::Conservation => "conservation",
            Property::Liveness => "liveness",
            Property::Membership => "membership",
        }
    }

    /// What it says, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Property::Durability => {
                "what was acknowledged is there: in the queue, and in every replica's log"
            }
            Property::NoPhantom => "what was seen had been sent, as it was seen",
            Property::OffsetAgreement => {
                "one place holds one message, whoever looks, and queues have no gaps"
            }
            Property::LinearizableAppend => "a send that began after another returned comes after it",
            Property::ProducerOrder => {
                "each producer's order within a message group is kept, and reads are monotonic"
            }
            Property::LogPrefix => "replicas' logs have the same bytes below the smaller commit point",
            Property::StateDigest => "replicas that applied the same entries have the same state",
            Property::Fifo => "messages of a message group come one batch at a time, in order",
            Property::Idempotence => "a message id is stored once within the window",
            Property::Transactions => {
                "half messages are visible after their commit, once, and never after a rollback"
            }
            Property::Delay => "nothing is delivered before it is due",
            Property::Redelivery => {
                "attempts count up to the maximum, and nobody gets a message inside a live lease"
            }
            Property::Acknowledgement => "what is acknowledged stays away, and a stale receipt is refused",
            Property::ReceiveLinearizability => {
                "each message goes available, leased, settled, and all answers fit into one such course"
            }
            Property::Conservation => {
                "each committed message ends in exactly one state for each consumer group"
            }
            Property::Liveness => "sends go on under a minority's faults, and replicas converge after them",
            Property::Membership => {
                "an acknowledged change of votes is what is read until the next, and at the end all vote"
            }
        }
    }

    /// Whether a history has it.
    pub fn check(self, evidence: &Evidence<'_>) -> Verdict {
        match self {
            Property::Durability => durability::check(evidence),
            Property::NoPhantom => no_phantom::check(evidence),
            Property::OffsetAgreement => offset_agreement::check(evidence),
            Property::LinearizableAppend => linearizable_append::check(evidence),
            Property::ProducerOrder => producer_order::check(evidence),
            Property::LogPrefix => log_prefix::check(evidence),
            Property::StateDigest => state_digest::check(evidence),
            Property::Fifo => fifo::check(evidence),
            Property::Idempotence => idempotence::check(evidence),
            Property::Transactions => transactions::check(evidence),
            Property::Delay => delay::check(evidence),
            Property::Redelivery => redelivery::check(evidence),
            Property::Acknowledgement => acknowledgement::check(evidence),
            Property::ReceiveLinearizability => receive_linearizability::check(evidence),
            Property::Conservation => conservation::check(evidence),
            Property::Liveness => liveness::check(evidence),
            Property::Membership => membership::check(evidence),
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Checks all properties.
pub fn check_all(history: &History) -> Vec<(Property, Verdict)> {
    let evidence = Evidence::new(history);
    Property::ALL.into_iter().map(|property| (property, property.check(&evidence))).collect()
}
