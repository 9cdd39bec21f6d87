//! What openraft is told about our log: a frame is an entry, a node is a number.

use std::fmt;

use bytes::Bytes;
use openraft::impls::{OneshotResponder, leader_id_adv};
use openraft::vote::RaftLeaderId;
use store::commit_log::LogMark;

use crate::consensus::entry::Entry;
use crate::group::traced::ApplyTimes;
use crate::machine::AppliedMark;
use crate::outcome::Outcome;

/// The commands of one frame, as the proposer packed them.
#[derive(Clone, PartialEq)]
pub(crate) struct CommandFrame {
    /// The leader's stamp, milliseconds since 1970.
    pub stamp_ms: u64,
    /// How many commands there are.
    pub count: u32,
    /// The commands, back to back.
    pub body: Bytes,
}

impl CommandFrame {
    /// A frame that is on its way into the log.
    pub(crate) fn new(stamp_ms: u64, count: u32, body: Bytes) -> CommandFrame {
        CommandFrame { stamp_ms, count, body }
    }
}

impl fmt::Debug for CommandFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands, {} bytes, stamp {}", self.count, self.body.len(), self.stamp_ms)
    }
}

impl fmt::Display for CommandFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What apply answers to the proposer of a frame: an outcome for each command.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// In the order of the commands.
    pub outcomes: Vec<Outcome>,
    /// If the frame is traced.
    pub times: Option<ApplyTimes>,
}

/// The types of our groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl openraft::RaftTypeConfig for TypeConfig {
    type D = CommandFrame;
    type R = Answer;
    type NodeId = u64;
    type Node = openraft::BasicNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = crate::seams::Runtime;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(crate) type LeaderId = leader_id_adv::LeaderId<u64, u64>;
pub(crate) type LogId = openraft::LogId<LeaderId>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type Payload = openraft::EntryPayload<CommandFrame, u64, openraft::BasicNode>;
pub(crate) type Membership = openraft::Membership<u64, openraft::BasicNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId, u64, openraft::BasicNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<LeaderId, u64, openraft::BasicNode>;
pub(crate) type Snapshot<D> = openraft::Snapshot<LeaderId, u64, openraft::BasicNode, D>;

/// The id of an entry from its parts.
pub(crate) fn log_id(term: u64, leader: u64, index: u64) -> LogId {
    LogId::new(LeaderId::new(term, leader).to_committed(), index)
}

/// The id of an entry as the store keeps it.
pub(crate) fn mark_of(id: &LogId) -> LogMark {
    let leader = id.committed_leader_id();
    LogMark { term: leader.term, leader: leader.node_id, index: id.index }
}

/// The id of an entry as openraft wants it.
pub(crate) fn id_of(mark: &LogMark) -> LogId {
    log_id(mark.term, mark.leader, mark.index)
}

/// The id of an entry as the tables keep it.
pub(crate) fn id_of_applied(mark: &AppliedMark) -> LogId {
    log_id(mark.term, mark.leader, mark.index)
}
