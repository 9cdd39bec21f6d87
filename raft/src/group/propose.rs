//! Packs commands into frames and puts them into the log.
//!
//! A frame goes at once while few are under way; otherwise it waits until one of them is done or it
//! is full. There is no fixed linger: load makes the frames larger by itself.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::Raft;
use openraft::errors::ClientWriteError;
use openraft::impls::OneshotResponder;
use store::limits::FRAME_HEADER_BYTES;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::command::{CommandError, FrameBuilder};
use crate::consensus::applier::Applier;
use crate::consensus::types::{CommandFrame, TypeConfig};
use crate::group::counters::Counters;
use crate::group::stall::Stall;
use crate::group::traced::{ApplyTimes, Traced, TracedFrame};
use crate::limits::{
    COMMAND_BYTES_MAX, FRAME_BYTES_TARGET, FRAMES_IN_FLIGHT_EAGER, FRAMES_IN_FLIGHT_MAX, PROPOSALS_QUEUED_MAX,
};
use crate::names::{GroupId, NodeId};
use crate::outcome::Outcome;
use crate::request::Rejection;
use crate::spans::Trail;

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProposeError {
    /// This node does not lead the group; it was not proposed.
    NotLeader(Option<NodeId>),
    /// It was proposed, and its fate is not known.
    Unknown(String),
    /// Too many commands wait already; it was not proposed.
    Overloaded,
    /// The group has stopped; it was not proposed.
    Stopped,
}

/// The outcome of a command, or why there is none.
pub(crate) type Proposed = Result<Outcome, ProposeError>;

struct Proposal {
    command: Bytes,
    reply: oneshot::Sender<Proposed>,
    traced: Option<Box<Traced>>,
}

/// The way into a group's log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Proposer {
    queue: mpsc::Sender<Proposal>,
}

impl Proposer {
    /// Starts the task that packs and proposes. `last_stamp_ms` is the stamp of the last frame that
    /// was applied here; `frame_bytes_max` is what the log takes.
    pub(crate) fn start(
        (group, raft, counters): (GroupId, Raft<TypeConfig, Applier>, Arc<Counters>),
        stall: Arc<Stall>,
        last_stamp_ms: u64,
        frame_bytes_max: u64,
    ) -> Proposer {
        let (queue, receiver) = mpsc::channel(PROPOSALS_QUEUED_MAX);
        // A frame is closed at its target, so the last command comes on top of nearly that much.
        let room = frame_bytes_max - FRAME_HEADER_BYTES - FRAME_BYTES_TARGET as u64;
        let command_bytes_max = COMMAND_BYTES_MAX.min(room as usize);
        tokio::spawn(
            Packer { group, raft, counters, stall, receiver, last_stamp_ms, command_bytes_max }.run(),
        );
        Proposer { queue }
    }

    /// How many commands wait to be put into a frame.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Queues an encoded command. The receiver gets its outcome once it is applied. With a trail it leaves spans.
    pub(crate) fn propose(
        &self,
        command: Bytes,
        trail: Option<Trail>,
    ) -> Result<oneshot::Receiver<Proposed>, ProposeError> {
        let (reply, receiver) = oneshot::channel();
        match self.queue.try_send(Proposal { command, reply, traced: trail.map(Traced::new) }) {
            Ok(()) => Ok(receiver),
            Err(mpsc::error::TrySendError::Full(_)) => Err(ProposeError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ProposeError::Stopped),
        }
    }
}

struct Packer {
    group: GroupId,
    raft: Raft<TypeConfig, Applier>,
    counters: Arc<Counters>,
    stall: Arc<Stall>,
    receiver: mpsc::Receiver<Proposal>,
    last_stamp_ms: u64,
    command_bytes_max: usize,
}

/// What becomes of what is under way when the disk stands still.
const STALLED: &str = "the disk of the leader stands still";

/// Who waits for the outcomes of a frame.
#[derive(Default)]
struct Replies {
    /// In the order of the commands.
    senders: Vec<oneshot::Sender<Proposed>>,
    /// Those of the commands that are traced.
    traced: Vec<Traced>,
}

impl Replies {
    fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Nothing of it was proposed.
    fn refuse(self, error: ProposeError) {
        self.traced.iter().for_each(|traced| traced.refused("not proposed"));
        fail(self.senders, error);
    }
}

type Answered = Pin<Box<dyn Future<Output = ()> + Send>>;
type InFlight = FuturesUnordered<Answered>;

impl Packer {
    async fn run(mut self) {
        clock::settled().await;
        let mut in_flight: InFlight = FuturesUnordered::new();
        let mut frame = FrameBuilder::default();
        let mut replies = Replies::default();
        let mut open = true;
        while open || !replies.is_empty() || !in_flight.is_empty() {
            while frame.len() < FRAME_BYTES_TARGET {
                match self.receiver.try_recv() {
                    Ok(proposal) => self.take(&mut frame, &mut replies, proposal),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        open = false;
                        break;
                    }
                }
            }
            let full = frame.len() >= FRAME_BYTES_TARGET;
            let bound = if full { FRAMES_IN_FLIGHT_MAX } else { FRAMES_IN_FLIGHT_EAGER };
            if !replies.is_empty() && in_flight.len() < bound {
                if let Some(answered) = self.put(frame.finish(), std::mem::take(&mut replies)).await {
                    in_flight.push(answered);
                }
                continue;
            }
            tokio::select! {
                biased;
                Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
                proposal = self.receiver.recv(), if open && !full => match proposal {
                    Some(proposal) => self.take(&mut frame, &mut replies, proposal),
                    None => open = false,
                },
                else => break,
            }
        }
    }

    /// A command that cannot be one is refused here: nothing in the log may fail to apply, and the log must
    /// never refuse a frame.
    fn take(&self, frame: &mut FrameBuilder, replies: &mut Replies, proposal: Proposal) {
        let bytes = proposal.command.len();
        let pushed = match bytes > self.command_bytes_max {
            true => Err(CommandError::TooLarge { bytes }),
            false => frame.push(&proposal.command),
        };
        match pushed {
            Ok(()) => {
                replies.senders.push(proposal.reply);
                replies.traced.extend(proposal.traced.map(|traced| *traced));
            }
            Err(error) => {
                let refusal = Outcome::Rejected(Rejection::Invalid(error.to_string()));
                // Who asked may have given up.
                let _ = proposal.reply.send(Ok(refusal));
            }
        }
    }

    async fn put(&mut self, (body, count): (Bytes, u32), replies: Replies) -> Option<Answered> {
        if let Some(successor) = self.stall.successor() {
            replies.refuse(ProposeError::NotLeader(Some(successor)));
            return None;
        }
        self.last_stamp_ms = self.last_stamp_ms.max(clock::now_ms());
        let Replies { senders: replies, traced } = replies;
        assert_eq!(count as usize, replies.len(), "a frame has a reply for each command");
        let traced = TracedFrame::begin(traced, self.group, (count, body.len()), &self.counters);
        let frame = CommandFrame::new(self.last_stamp_ms, count, body);
        let (responder, answer) = OneshotResponder::new_pair();
        if let Err(fatal) = self.raft.client_write_ff(frame, Some(responder)).await {
            tracing::debug!(%fatal, "the group has stopped");
            fail(replies, ProposeError::Stopped);
            return None;
        }
        let stall = self.stall.clone();
        Some(Box::pin(async move {
            let answer = tokio::select! {
                biased;
                answer = answer => answer,
                // It may be committed already: whoever asks the successor for the same thing gets to know.
                () = stall.begins() => {
                    leave(traced, Err(STALLED));
                    return fail(replies, ProposeError::Unknown(STALLED.to_owned()));
                }
            };
            match answer {
                Ok(Ok(response)) => {
                    let outcomes = response.data.outcomes;
                    leave(traced, Ok(response.data.times));
                    assert_eq!(outcomes.len(), replies.len(), "apply answers each command of a frame");
                    for (reply, outcome) in replies.into_iter().zip(outcomes) {
                        // Who asked may have given up.
                        let _ = reply.send(Ok(outcome));
                    }
                }
                Ok(Err(error)) => {
                    leave(traced, Err("refused"));
                    fail(replies, refused(error));
                }
                Err(_) => fail(replies, ProposeError::Unknown("the group stopped meanwhile".to_owned())),
            }
        }))
    }
}

/// Leaves the spans of a frame, if it is traced.
fn leave(frame: Option<Box<TracedFrame>>, ended: Result<Option<ApplyTimes>, &str>) {
    match (frame, ended) {
        (None, _) => {}
        (Some(frame), Ok(times)) => frame.applied(times),
        (Some(frame), Err(why)) => frame.failed(why),
    }
}

fn fail(replies: Vec<oneshot::Sender<Proposed>>, error: ProposeError) {
    for reply in replies {
        let _ = reply.send(Err(error.clone()));
    }
}

/// What openraft's refusal means for the commands of the frame.
fn refused(error: ClientWriteError<TypeConfig>) -> ProposeError {
    match error {
        ClientWriteError::ForwardToLeader(to) => ProposeError::NotLeader(to.leader_id.map(NodeId)),
        other => ProposeError::Unknown(other.to_string()),
    }
}
