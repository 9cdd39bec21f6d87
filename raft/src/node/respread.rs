//! Steps that spread the message groups of a topic over more queues: begun by somebody, driven on by whoever leads `meta`.
//!
//! Every broker group with one of the topic's queues seals (see `machine/spread.rs`); when all have, `meta` changes the
//! mapping. From the first seal to that change no message with a message group is taken: a few round trips. If a broker
//! group does not seal in time, for want of a leader or because transactions are open, the step is given up: then the old
//! mapping holds under the step's number, and what was held goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::catalog::{Spreading, Topic, distinct};
use crate::clock;
use crate::command;
use crate::features::FeatureLevel;
use crate::group::Group;
use crate::machine::{MetaAction, SpreadAction};
use crate::names::ConsumerId;
use crate::node::ask::Source;
use crate::node::route::Leader;
use crate::node::{Node, NodeInner, unexpected};
use crate::outcome::Outcome;
use crate::question::{Answer, Question};
use crate::request::{Rejection, RequestError};

/// Whether steps are under way is looked at so often, if nothing says that one was begun.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A broker group is asked to seal for so long at a time.
const SEAL_WAIT: Duration = Duration::from_secs(2);
/// And for so long at least.
const SEAL_WAIT_MIN: Duration = Duration::from_millis(500);
/// Before it is asked again.
const REST: Duration = Duration::from_millis(50);
/// `meta` must have decided within this.
const DECISION_WAIT_MAX: Duration = Duration::from_secs(10);

/// Brings steps to their end, while this node leads `meta`.
pub(crate) async fn keep_spreading(node: Arc<NodeInner>, meta: Group) {
    let mut stop = node.stop.subscribe();
    let mut catalog = node.catalog.clone();
    loop {
        let work = async {
            let begun: Vec<Topic> = match matches!(node.leader(meta.id), Leader::Here) {
                false => Vec::new(),
                true => {
                    let known = catalog.borrow_and_update();
                    let begun = known.topics.values().filter(|topic| topic.mapping.spreading.is_some());
                    begun.cloned().collect()
                }
            };
            let driven = begun.iter().filter_map(|topic| Some((topic, topic.mapping.spreading?)));
            futures::future::join_all(driven.map(|(topic, step)| drive(&node, topic, step))).await;
            let rest = if begun.is_empty() { LOOK_EVERY } else { REST };
            timeout_at(Instant::now() + rest, catalog.changed()).await
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            changed = work => if let Ok(Err(_)) = changed {
                // `meta` is gone, because a disk failed: the node is about to end, and nothing changes any more.
                return;
            }
        }
    }
}

/// Has the broker groups seal, and ends the step if they have, or if it takes too long. May be repeated.
async fn drive(node: &NodeInner, topic: &Topic, step: Spreading) {
    let Spreading { generation, from, to, until_ms, .. } = step;
    let seal = command::encode_seal_spread(topic.id, generation, from, to);
    let left = Duration::from_millis(until_ms.saturating_sub(clock::now_ms()));
    // The last time, too, it is long enough to be told why not.
    let deadline = Instant::now() + left.clamp(SEAL_WAIT_MIN, SEAL_WAIT);
    let groups = distinct(&topic.queues[..to as usize]);
    let seals = groups.into_iter().map(|group| node.submit_done(group, seal.clone(), deadline));
    let sealed: Result<(), RequestError> = futures::future::join_all(seals).await.into_iter().collect();
    let action = match sealed {
        Ok(()) => SpreadAction::Finish { topic: topic.id, generation },
        Err(error) if clock::now_ms() >= until_ms => {
            SpreadAction::GiveUp { topic: topic.id, generation, why: error.to_string() }
        }
        Err(error) => {
            tracing::debug!(topic = topic.name, %error, "not all broker groups have sealed");
            return;
        }
    };
    let finished = matches!(action, SpreadAction::Finish { .. });
    match node.change(MetaAction::Spread(action), Instant::now() + DECISION_WAIT_MAX).await {
        Ok(_) if finished => tracing::info!(topic = topic.name, from, to, "message groups are spread"),
        Ok(_) => tracing::warn!(topic = topic.name, from, to, "message groups stay as they were"),
        Err(error) => tracing::warn!(topic = topic.name, %error, "the end of a step is not decided yet"),
    }
}

impl Node {
    /// Begins to spread the message groups of a topic over all of its queues, and answers with the topic as it is then:
    /// nothing has begun if they are. Given up by itself if it is not done `within` this time.
    ///
    /// # Errors
    /// [`Rejection::TopicNotFound`], or [`Rejection::Invalid`] for a topic that has no message groups, or below the
    /// feature level [`FeatureLevel::SPREAD`].
    pub async fn spread_topic(
        &self,
        name: &str,
        within: Duration,
        deadline: Instant,
    ) -> Result<Topic, RequestError> {
        self.inner.needs(FeatureLevel::SPREAD)?;
        let within_ms = within.as_millis() as u64;
        self.inner.change_spread(SpreadAction::Begin { name: name.to_owned(), within_ms }, deadline).await
    }

    /// Gives up the step that is under way, if one is, and answers with the topic as it is then.
    ///
    /// # Errors
    /// [`Rejection::TopicNotFound`].
    pub async fn give_spread_up(&self, name: &str, deadline: Instant) -> Result<Topic, RequestError> {
        let topic = self.catalog().topics.get(name).cloned();
        let topic = topic.ok_or_else(|| Rejection::TopicNotFound { name: name.to_owned() })?;
        let Some(step) = topic.mapping.spreading else { return Ok(topic) };
        let why = "an operator gave it up".to_owned();
        let action = SpreadAction::GiveUp { topic: topic.id, generation: step.generation, why };
        self.inner.change_spread(action, deadline).await
    }

    /// The FIFO consumer groups that have something to settle of what came before the last step of a topic, and how
    /// many messages at most. Those that never read it are not among them.
    ///
    /// # Errors
    /// If a group had no leader until the deadline.
    pub async fn behind_spread(
        &self,
        topic: &Topic,
        deadline: Instant,
    ) -> Result<Vec<(String, u64)>, RequestError> {
        let Some(step) = topic.mapping.steps.last() else { return Ok(Vec::new()) };
        let catalog = self.catalog();
        let fifo = || catalog.consumers.values().filter(|consumer| consumer.fifo);
        let consumers: Vec<ConsumerId> = fifo().map(|consumer| consumer.id).collect();
        let mut behind: Vec<(String, u64, bool)> =
            fifo().map(|consumer| (consumer.name.clone(), 0, false)).collect();
        for group in distinct(&topic.queues[..step.from as usize]) {
            let (topic, consumers) = (topic.id, consumers.clone());
            let question = Question::Unsettled { topic, generation: step.generation, consumers };
            match self.inner.ask(group, question, Source::Leader, deadline, deadline).await?.0 {
                Answer::Unsettled(Some(found)) => {
                    for (of, found) in behind.iter_mut().zip(found) {
                        (of.1, of.2) = (of.1 + found.messages, of.2 || found.begun);
                    }
                }
                Answer::Unsettled(None) => {}
                other => {
                    return Err(RequestError::Unknown { reason: format!("a question got {other:?}") });
                }
            }
        }
        behind.retain(|(_, messages, begun)| *messages > 0 && *begun);
        Ok(behind.into_iter().map(|(name, messages, _)| (name, messages)).collect())
    }
}

impl NodeInner {
    async fn change_spread(&self, action: SpreadAction, deadline: Instant) -> Result<Topic, RequestError> {
        match self.change(MetaAction::Spread(action), deadline).await? {
            Outcome::Topic(topic) => Ok(topic),
            other => Err(unexpected(other)),
        }
    }

    /// Before a consumer group is moved: in no broker group of the topic it counts as cleared of a step any more, nor for
    /// a while by what is said now.
    pub(crate) async fn forget_cleared(
        &self,
        consumer: ConsumerId,
        topic: &Topic,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        if topic.mapping.generation == 0 && topic.mapping.spreading.is_none() {
            return Ok(());
        }
        let catalog = self.catalog.borrow().clone();
        if !catalog.consumers.values().any(|known| known.id == consumer && known.fifo) {
            return Ok(());
        }
        let forget = command::encode_clear_spread(topic.id, consumer, 0, 0);
        let groups = topic.groups().into_iter();
        let all = groups.map(|group| self.submit_done(group, forget.clone(), deadline));
        futures::future::join_all(all).await.into_iter().collect()
    }
}
