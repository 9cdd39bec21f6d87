//! Brings commands to the leader of their group, through elections and lost connections.

use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::group::propose::{ProposeError, Proposed};
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;
use crate::outcome::Outcome;
use crate::request::RequestError;

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

struct Pending {
    command: Bytes,
    result: Option<Result<Outcome, RequestError>>,
    /// Why it may have been proposed already.
    doubt: Option<String>,
}

impl NodeInner {
    /// Who leads `group`. A leader whose process is known to be gone does not count.
    pub(crate) fn leader(&self, group: GroupId) -> Leader {
        match self.groups.get(&group).and_then(|group| group.leader()) {
            Some(id) if id == self.id => Leader::Here,
            Some(id) if !self.presence.is_gone(id) => Leader::At(id),
            _ => Leader::Nobody,
        }
    }

    /// Waits until the leader of `group` may have changed.
    pub(crate) async fn leader_may_change(&self, group: GroupId, deadline: Instant) {
        let wake = (Instant::now() + LOOK_AGAIN).min(deadline);
        match self.groups.get(&group) {
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
            None => tokio::time::sleep_until(wake).await,
        }
    }

    fn send(&self, group: GroupId, command: Bytes) -> Result<oneshot::Receiver<Proposed>, ProposeError> {
        match self.leader(group) {
            Leader::Here => match self.groups.get(&group) {
                Some(group) => group.proposer.propose(command),
                None => Err(ProposeError::NotLeader(None)),
            },
            Leader::At(id) => self.forwarder.forward(id, group, command),
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
            self.leader_may_change(group, deadline).await;
        }
        pending.into_iter().map(|pending| pending.result.expect("every command has a result")).collect()
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
        for (at, slot) in pending.iter_mut().enumerate().filter(|(_, slot)| slot.result.is_none()) {
            match self.send(group, slot.command.clone()) {
                Ok(receiver) => waiting.push((at, receiver)),
                Err(ProposeError::Overloaded) => {
                    slot.result =
                        Some(Err(RequestError::Overloaded { what: "commands waiting for the log" }));
                }
                Err(_) => {}
            }
        }
        for (at, receiver) in waiting {
            let slot = &mut pending[at];
            match timeout_at(deadline, receiver).await {
                Ok(Ok(Ok(outcome))) => slot.result = Some(Ok(outcome)),
                Ok(Ok(Err(ProposeError::NotLeader(_) | ProposeError::Stopped))) => {}
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
