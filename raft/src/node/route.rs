//! Brings commands to the leader of their group, through elections and lost connections.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::async_runtime::WatchReceiver;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::group::Group;
use crate::group::propose::{ProposeError, Proposed};
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;
use crate::outcome::Outcome;
use crate::request::{Rejection, RequestError};
use crate::spans::{self, Trail};

/// How long to wait before asking again who leads, when nothing said that it changed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Who leads a group, as seen from here.
pub(crate) enum Leader {
    /// This node.
    Here,
    /// Another one.
    At(NodeId),
    /// Nobody that is alive.
    Nobody,
}

/// Why a leader did not do what it was asked for.
#[derive(Debug, Error)]
pub(crate) enum NotDone {
    /// This node does not lead the group any more, or not yet.
    #[error("this node does not lead the group")]
    LeadsNoMore,
    /// It will not, for this reason.
    #[error("{0}")]
    Refused(String),
}

/// A refusal as the caller gets it.
pub(crate) fn invalid(refusal: String) -> RequestError {
    RequestError::Rejected(Rejection::Invalid(refusal))
}

struct Pending {
    command: Bytes,
    result: Option<Result<Outcome, RequestError>>,
    /// Why it may have been proposed already.
    doubt: Option<String>,
}

impl NodeInner {
    /// Who leads `group`. A leader whose process is known to be gone does not count.
    pub(crate) fn leader(&self, group: GroupId) -> Leader {
        let (leader, is_held) = match self.groups.get(group) {
            Some(group) => (group.stall.successor().or_else(|| group.leader()), true),
            None => (self.groups.elsewhere.leader(group), false),
        };
        match leader {
            Some(id) if id == self.id && is_held => Leader::Here,
            Some(id) if id == self.id => Leader::Nobody,
            Some(id) if !self.presence.is_gone(id) => Leader::At(id),
            _ => Leader::Nobody,
        }
    }

    /// Waits until the leader of `group` may have changed.
    pub(crate) async fn leader_may_change(&self, group: GroupId, deadline: Instant) {
        let wake = (Instant::now() + LOOK_AGAIN).min(deadline);
        match self.groups.get(group) {
            Some(group) => {
                let mut metrics = group.raft.server_metrics();
                // What is known already is no news: without this the wait would be none, and a loop around it
                // would take a whole core.
                drop(metrics.borrow_and_update());
                if let Ok(Err(_)) = timeout_at(wake, metrics.changed()).await {
                    // The group has stopped: nobody will say anything any more.
                    tokio::time::sleep_until(wake).await;
                }
            }
            None => self.look_elsewhere(deadline).await,
        }
    }

    /// Resolves when another node than `leader` is known to lead `group`: who waits for an answer of `leader` then need
    /// not wait on. One that stands still, or is cut off, gives none.
    pub(crate) fn superseded(&self, group: GroupId, leader: NodeId) -> BoxFuture<'static, ()> {
        // While this node's disk stands still its consensus knows nothing new.
        let knows = |group: &&Group| group.stall.successor().is_none();
        let Some(group) = self.groups.get(group) else {
            return Box::pin(self.groups.elsewhere.superseded(group, leader));
        };
        let Some(group) = Some(group).filter(knows) else {
            return Box::pin(std::future::pending());
        };
        let mut metrics = group.raft.server_metrics();
        Box::pin(async move {
            loop {
                let now = metrics.borrow_and_update().current_leader;
                if now.is_some_and(|now| now != leader.0) {
                    return;
                }
                if metrics.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        })
    }

    fn send(
        &self,
        group: GroupId,
        command: Bytes,
        trail: Option<Trail>,
    ) -> Result<oneshot::Receiver<Proposed>, ProposeError> {
        match self.leader(group) {
            Leader::Here => match self.groups.get(group) {
                Some(group) => {
                    self.counters.proposed_here();
                    group.proposer.propose(command, trail)
                }
                None => Err(ProposeError::NotLeader(None)),
            },
            Leader::At(id) => {
                self.counters.forwarded();
                self.forwarder.forward(id, group, command, trail)
            }
            Leader::Nobody => Err(ProposeError::NotLeader(None)),
        }
    }

    /// Puts one command into the log of `group`. See [`NodeInner::submit_all`].
    pub(crate) async fn submit(
        &self,
        group: GroupId,
        command: Bytes,
        deadline: Instant,
    ) -> Result<Outcome, RequestError> {
        let mut results = self.submit_all(group, vec![command], deadline).await;
        results.pop().expect("a result for each command")
    }

    /// Puts commands into the log of `group`, one result each, in order. Every command is one that
    /// may be repeated (by message id, attempt, lease revision or request id), so that what an
    /// election left in doubt is tried again until the deadline.
    pub(crate) async fn submit_all(
        &self,
        group: GroupId,
        commands: Vec<Bytes>,
        deadline: Instant,
    ) -> Vec<Result<Outcome, RequestError>> {
        let mut pending: Vec<Pending> =
            commands.into_iter().map(|command| Pending { command, result: None, doubt: None }).collect();
        let mut waited = None;
        loop {
            self.attempt(group, &mut pending, deadline).await;
            if pending.iter().all(|pending| pending.result.is_some()) {
                break;
            }
            if Instant::now() >= deadline || self.is_stopping() {
                for pending in pending.iter_mut().filter(|pending| pending.result.is_none()) {
                    pending.result = Some(Err(self.given_up(group, pending.doubt.take())));
                }
                break;
            }
            waited.get_or_insert_with(|| self.counters.wait_for_leader());
            self.leader_may_change(group, deadline).await;
        }
        pending.into_iter().map(|pending| pending.result.expect("every command has a result")).collect()
    }

    /// Somebody said who leads: this node does not learn it from the consensus while its disk stands still.
    fn heed(&self, group: GroupId, leader: NodeId) {
        if let Some(group) = self.groups.get(group).filter(|_| leader != self.id) {
            group.stall.follow(leader);
        }
    }

    fn given_up(&self, group: GroupId, doubt: Option<String>) -> RequestError {
        match doubt {
            Some(reason) => RequestError::Unknown { reason },
            None if self.is_stopping() => RequestError::Stopping,
            None => RequestError::NoLeader { group },
        }
    }

    /// Sends everything that has no result yet, and waits for the answers.
    async fn attempt(&self, group: GroupId, pending: &mut [Pending], deadline: Instant) {
        let mut waiting = Vec::with_capacity(pending.len());
        let mut superseded = match self.leader(group) {
            Leader::At(leader) => self.superseded(group, leader),
            Leader::Here | Leader::Nobody => Box::pin(std::future::pending()),
        };
        let mut answers_come = true;
        // They go the same way: the first one's spans stand for all.
        let mut trail = spans::current();
        for (at, slot) in pending.iter_mut().enumerate().filter(|(_, slot)| slot.result.is_none()) {
            match self.send(group, slot.command.clone(), trail.take()) {
                Ok(receiver) => waiting.push((at, receiver)),
                Err(ProposeError::Overloaded) => {
                    slot.result =
                        Some(Err(RequestError::Overloaded { what: "commands waiting for the log" }));
                }
                Err(_) => {}
            }
        }
        for (at, mut receiver) in waiting {
            let slot = &mut pending[at];
            let answer = if answers_come {
                tokio::select! {
                    biased;
                    answer = timeout_at(deadline, &mut receiver) => Some(answer),
                    () = &mut superseded => None,
                }
            } else {
                // What has come is taken; nothing more is awaited.
                receiver.try_recv().ok().map(|answer| Ok(Ok(answer)))
            };
            let Some(answer) = answer else {
                answers_come = false;
                slot.doubt = Some("another node leads meanwhile".to_owned());
                continue;
            };
            match answer {
                Ok(Ok(Ok(outcome))) => slot.result = Some(Ok(outcome)),
                Ok(Ok(Err(ProposeError::NotLeader(Some(leader))))) => self.heed(group, leader),
                Ok(Ok(Err(ProposeError::NotLeader(None) | ProposeError::Stopped))) => {}
                Ok(Ok(Err(ProposeError::Overloaded))) => {
                    slot.result =
                        Some(Err(RequestError::Overloaded { what: "commands waiting for the log" }));
                }
                Ok(Ok(Err(ProposeError::Unknown(reason)))) => slot.doubt = Some(reason),
                Ok(Err(_)) => slot.doubt = Some("the group stopped meanwhile".to_owned()),
                Err(_) => slot.doubt = Some("the log did not answer before the deadline".to_owned()),
            }
        }
    }
}
