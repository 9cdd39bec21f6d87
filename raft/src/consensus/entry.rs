//! A log entry as openraft handles it is the frame that goes to disk and over the wire.

use std::fmt;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use store::commit_log::{Frame, FrameKind};

use crate::consensus::membership::{self, MembershipDecodeError};
use crate::consensus::types::{LeaderId, LogId, Membership, Payload, log_id};

/// One entry of a group's log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    log_id: LogId,
    frame: Frame,
    // Decoded once: openraft asks for it again and again.
    membership: Option<Membership>,
}

impl Entry {
    /// The entry that a frame is.
    ///
    /// # Errors
    /// If a membership frame's body is not a membership.
    pub(crate) fn of(frame: Frame) -> Result<Entry, MembershipDecodeError> {
        let membership = match frame.kind {
            FrameKind::Membership => Some(membership::decode(&frame.body)?),
            FrameKind::Blank | FrameKind::Commands => None,
        };
        Ok(Entry { log_id: log_id(frame.term, frame.leader, frame.index), frame, membership })
    }

    /// The frame that the entry is.
    pub(crate) fn into_frame(self) -> Frame {
        self.frame
    }
}

/// Entries are equal if they say the same; where they lie does not count.
impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        let (a, b) = (&self.frame, &other.frame);
        self.log_id == other.log_id && a.kind == b.kind && a.stamp_ms == b.stamp_ms && a.body == b.body
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} of {} bytes", self.log_id, self.frame.kind, self.frame.body.len())
    }
}

impl RaftEntry for Entry {
    type CommittedLeaderId = LeaderId;
    type Payload = Payload;

    fn new(log_id: LogId, payload: Payload) -> Entry {
        let leader = log_id.committed_leader_id();
        let (term, leader, index) = (leader.term, leader.node_id, log_id.index);
        match payload {
            Payload::Blank => {
                let frame = Frame::new(FrameKind::Blank, index, term, leader, 0, 0, Bytes::new());
                Entry { log_id, frame, membership: None }
            }
            Payload::Normal(commands) => {
                let (stamp_ms, count, body) = (commands.stamp_ms, commands.count, commands.body);
                let frame = Frame::new(FrameKind::Commands, index, term, leader, stamp_ms, count, body);
                Entry { log_id, frame, membership: None }
            }
            Payload::Membership(members) => {
                let body = membership::encode(&members);
                let frame = Frame::new(FrameKind::Membership, index, term, leader, 0, 0, body);
                Entry { log_id, frame, membership: Some(members) }
            }
        }
    }

    fn log_id_parts(&self) -> (&LeaderId, u64) {
        (self.log_id.committed_leader_id(), self.log_id.index)
    }

    fn set_log_id(&mut self, new: LogId) {
        let leader = new.committed_leader_id();
        self.frame.term = leader.term;
        self.frame.leader = leader.node_id;
        self.frame.index = new.index;
        self.log_id = new;
    }

    fn get_membership(&self) -> Option<Membership> {
        self.membership.clone()
    }
}
