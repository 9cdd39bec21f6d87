//! Carries commands to the node that leads their group, many in one call.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use proto::peer::{self, ForwardOutcome, forward_outcome::Kind};
use tokio::sync::{mpsc, oneshot};

use crate::group::propose::{ProposeError, Proposed};
use crate::limits::{FORWARD_COMMANDS_MAX, FORWARDS_IN_FLIGHT_MAX, FORWARDS_QUEUED_MAX, FRAME_BYTES_TARGET};
use crate::names::{GroupId, NodeId};
use crate::node::peers::{Lane, PeerPool};
use crate::outcome::Outcome;
use crate::spans::{Span, SpanKind, Trail};

/// A call that carries commands is given up after so long: its outcome is then unknown.
const FORWARD_WAIT_MAX: Duration = Duration::from_secs(5);
/// With fewer calls than this under way, a command is forwarded at once.
const FORWARDS_EAGER: usize = 4;

struct Forward {
    command: Bytes,
    waiting: Waiting,
}

/// Who waits for what the leader answers.
struct Waiting {
    reply: oneshot::Sender<Proposed>,
    /// If the command is traced. It ends with the answer.
    span: Option<Span>,
}

impl Waiting {
    fn answer(self, answer: Proposed) {
        if let (Some(mut span), Err(error)) = (self.span, &answer) {
            span.fail(format!("{error:?}"));
        }
        // Who asked may have given up.
        let _ = self.reply.send(answer);
    }
}

/// The queue of commands for each node and group.
type Ways = HashMap<(NodeId, GroupId), mpsc::Sender<Forward>>;

/// The ways to the leaders. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Forwarder {
    peers: PeerPool,
    // A mutex, because every request may open a way; never held over an await.
    ways: Arc<Mutex<Ways>>,
}

impl Forwarder {
    pub(crate) fn new(peers: PeerPool) -> Forwarder {
        Forwarder { peers, ways: Arc::default() }
    }

    /// Queues a command for `target`. The receiver gets what the leader answers.
    pub(crate) fn forward(
        &self,
        target: NodeId,
        group: GroupId,
        command: Bytes,
        trail: Option<Trail>,
    ) -> Result<oneshot::Receiver<Proposed>, ProposeError> {
        let (reply, receiver) = oneshot::channel();
        let span = trail.map(|trail| forwarding(&trail, target, group));
        let forward = Forward { command, waiting: Waiting { reply, span } };
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let way = ways.entry((target, group)).or_insert_with(|| {
            let (sender, queue) = mpsc::channel(FORWARDS_QUEUED_MAX);
            tokio::spawn(Way { peers: self.peers.clone(), target, group, queue }.run());
            sender
        });
        match way.try_send(forward) {
            Ok(()) => Ok(receiver),
            Err(mpsc::error::TrySendError::Full(_)) => Err(ProposeError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ProposeError::Stopped),
        }
    }
}

/// The way to one node for one group.
struct Way {
    peers: PeerPool,
    target: NodeId,
    group: GroupId,
    queue: mpsc::Receiver<Forward>,
}

type Calls = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Way {
    async fn run(mut self) {
        let mut calls: Calls = FuturesUnordered::new();
        let mut commands: Vec<Bytes> = Vec::new();
        let mut replies: Vec<Waiting> = Vec::new();
        let mut bytes = 0usize;
        loop {
            while !is_full(commands.len(), bytes) {
                let Ok(forward) = self.queue.try_recv() else { break };
                bytes += forward.command.len();
                commands.push(forward.command);
                replies.push(forward.waiting);
            }
            let full = is_full(commands.len(), bytes);
            let bound = if full { FORWARDS_IN_FLIGHT_MAX } else { FORWARDS_EAGER };
            if !commands.is_empty() && calls.len() < bound {
                bytes = 0;
                calls.push(Box::pin(self.call(std::mem::take(&mut commands), std::mem::take(&mut replies))));
                continue;
            }
            tokio::select! {
                biased;
                Some(()) = calls.next(), if !calls.is_empty() => {}
                forward = self.queue.recv(), if !full => {
                    let Some(forward) = forward else { return };
                    bytes += forward.command.len();
                    commands.push(forward.command);
                    replies.push(forward.waiting);
                }
            }
        }
    }

    fn call(&self, commands: Vec<Bytes>, replies: Vec<Waiting>) -> impl Future<Output = ()> + Send + 'static {
        let client = self.peers.client(self.target, Lane::Requests);
        let request = peer::ForwardRequest {
            group: self.group.0,
            commands,
            timeout_ms: FORWARD_WAIT_MAX.as_millis() as u32,
            target: self.target.0,
            traced: traced(&replies),
        };
        async move {
            let answers = match client {
                Err(_) => Err(ProposeError::NotLeader(None)),
                Ok(mut client) => {
                    match tokio::time::timeout(FORWARD_WAIT_MAX, client.forward(request)).await {
                        Ok(Ok(response)) => Ok(response.into_inner().outcomes),
                        Ok(Err(status)) => Err(ProposeError::Unknown(status.message().to_owned())),
                        Err(_) => Err(ProposeError::Unknown("the leader does not answer".to_owned())),
                    }
                }
            };
            match answers {
                Ok(outcomes) if outcomes.len() == replies.len() => {
                    for (reply, outcome) in replies.into_iter().zip(outcomes) {
                        reply.answer(outcome_in(outcome));
                    }
                }
                Ok(_) => fail(replies, ProposeError::Unknown("the leader's answer is cut short".to_owned())),
                Err(error) => fail(replies, error),
            }
        }
    }
}

fn is_full(commands: usize, bytes: usize) -> bool {
    commands >= FORWARD_COMMANDS_MAX || bytes >= FRAME_BYTES_TARGET
}

fn fail(replies: Vec<Waiting>, error: ProposeError) {
    for reply in replies {
        reply.answer(Err(error.clone()));
    }
}

/// The span of a command, or of a receive, on its way to the leader and back.
pub(crate) fn forwarding(trail: &Trail, leader: NodeId, group: GroupId) -> Span {
    let mut span = trail.child("forward", SpanKind::Client);
    span.set("ledgermq.group", group.to_string());
    span.set("ledgermq.leader", leader.0);
    span
}

/// Which of the commands are traced, as the leader is told.
fn traced(replies: &[Waiting]) -> Vec<peer::TracedCommand> {
    let spans = replies.iter().enumerate().filter_map(|(at, waiting)| Some((at, waiting.span.as_ref()?)));
    let told = spans
        .map(|(at, span)| peer::TracedCommand { command: at as u32, span: Some(span.context().to_peer()) });
    told.collect()
}

/// What a leader answered about a command.
pub(crate) fn outcome_in(answer: ForwardOutcome) -> Proposed {
    let leader = (answer.leader != 0).then_some(NodeId(answer.leader));
    match answer.kind() {
        Kind::Applied => Outcome::decode(&answer.outcome)
            .ok_or_else(|| ProposeError::Unknown("the leader's outcome is malformed".to_owned())),
        Kind::NotLeader => Err(ProposeError::NotLeader(leader)),
        Kind::Overloaded => Err(ProposeError::Overloaded),
        Kind::Unknown | Kind::Unspecified => {
            Err(ProposeError::Unknown("the leader lost its office meanwhile".to_owned()))
        }
    }
}

/// What this leader answers about a command.
pub(crate) fn outcome_out(proposed: Proposed) -> ForwardOutcome {
    let mut answer = ForwardOutcome::default();
    match proposed {
        Ok(outcome) => {
            answer.set_kind(Kind::Applied);
            answer.outcome = outcome.encode().into();
        }
        Err(ProposeError::NotLeader(leader)) => {
            answer.set_kind(Kind::NotLeader);
            answer.leader = leader.map_or(0, |id| id.0);
        }
        Err(ProposeError::Unknown(_)) => answer.set_kind(Kind::Unknown),
        Err(ProposeError::Overloaded) => answer.set_kind(Kind::Overloaded),
        // A group that stops proposes nothing: whoever leads next will.
        Err(ProposeError::Stopped) => answer.set_kind(Kind::NotLeader),
    }
    answer
}
