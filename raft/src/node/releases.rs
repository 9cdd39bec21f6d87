//! Messages that wait for their time: the leader of a group releases them when they fall due, and who sent them may
//! take them back until then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::command;
use crate::group::Group;
use crate::limits::RELEASE_BATCH;
use crate::names::GroupId;
use crate::node::{Node, NodeInner};
use crate::outcome::Outcome;
use crate::request::{RequestError, Timer};

/// How often to look whether this node leads, if nothing else says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A release that is not answered in this time is proposed again: it may be repeated.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Releases the group's messages until the node stops.
pub(crate) async fn keep_releasing(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    loop {
        let work = async {
            let notified = group.wakers.waiting().notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let wake = match group.serves(node.id) {
                true => release_due(&node, &group).await,
                false => None,
            };
            let wake = wake.unwrap_or_else(|| Instant::now() + LOOK_EVERY);
            let _ = timeout_at(wake, notified).await;
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = work => {}
        }
    }
}

/// Releases what is due. Answers when the next message falls due, if one waits.
async fn release_due(node: &NodeInner, group: &Group) -> Option<Instant> {
    loop {
        let next_ms = group.replica().broker().next_due_ms()?;
        let now_ms = clock::now_ms();
        if next_ms > now_ms {
            // One millisecond more: the clock of the stamp cuts fractions off.
            let wait = Duration::from_millis((next_ms - now_ms).saturating_add(1));
            return Some((Instant::now() + wait).min(Instant::now() + LOOK_EVERY));
        }
        let command = command::encode_release_due(now_ms, RELEASE_BATCH);
        match release(node, group.id, command).await {
            Some(true) => {}
            // Nothing is due any more, or the leadership is gone: look again after a moment.
            Some(false) => tokio::task::yield_now().await,
            None => return Some(Instant::now() + Duration::from_millis(20)),
        }
    }
}

/// Whether more is due; `None` if there was no answer.
async fn release(node: &NodeInner, group: GroupId, command: bytes::Bytes) -> Option<bool> {
    match node.submit(group, command, Instant::now() + ANSWER_WAIT_MAX).await {
        Ok(Outcome::Released { more, .. }) => Some(more),
        Ok(other) => {
            tracing::error!(%group, ?other, "a release was answered with something else");
            None
        }
        Err(error) => {
            tracing::warn!(%group, %error, "messages that are due wait on");
            None
        }
    }
}

impl Node {
    /// Takes back a message that waits for its time.
    ///
    /// # Errors
    /// [`crate::request::Rejection::NotWaiting`] if it is visible already, was recalled, or never was.
    pub async fn recall(&self, timer: Timer, deadline: Instant) -> Result<(), RequestError> {
        self.inner.submit_done(timer.group, command::encode_recall(&timer), deadline).await
    }
}
