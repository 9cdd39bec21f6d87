//! Messages on their way into the log, and what becomes of those with a message group while their topic is spread.
//!
//! A broker group refuses what was sent under another mapping than its own. That is a refusal for good: the message is
//! not there, and never will be under that mapping. So it is mapped anew, as soon as this node knows the new mapping. What a
//! client repeats may be there already, under an earlier mapping and in another broker group than it would go to now: that
//! one's window of message ids is asked first, for as long as it remembers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::catalog::{Catalog, Topic};
use crate::clock;
use crate::command;
use crate::limits::DEDUP_WINDOW_MS;
use crate::names::GroupId;
use crate::node::ask::Source;
use crate::node::{Node, NodeInner, unexpected};
use crate::outcome::Outcome;
use crate::question::{Answer, KnownMessage, Question};
use crate::request::{Place, Publish, Published, Rejection, RequestError};

/// What is held is tried again after so long, if nothing said that the mapping changed.
const HELD_LOOK_EVERY: Duration = Duration::from_millis(500);
/// A broker group that has not sealed yet is asked again after so long.
const UNSEALED_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Earlier mappings count for so long: the window of ids, and more than clocks differ.
const EARLIER_MS: u64 = DEDUP_WINDOW_MS + 60_000;

type Answered = Result<Published, RequestError>;

impl Node {
    /// Puts messages into the log, one answer for each, in order. Waits out elections until the
    /// deadline; a repeated proposal is told apart by its message id.
    pub async fn publish(&self, messages: Vec<Publish>, deadline: Instant) -> Vec<Answered> {
        self.inner.publish(commands(messages.iter()), deadline).await
    }

    /// As [`Node::publish`], of messages of `topic`. Those with a message group follow its mapping when that changes
    /// meanwhile: they say afterwards where they went.
    pub async fn publish_in(
        &self,
        topic: &Topic,
        messages: &mut [Publish],
        deadline: Instant,
    ) -> Vec<Answered> {
        match messages.iter().any(is_ordered) {
            true => self.inner.publish_ordered(topic, messages, deadline).await,
            false => self.inner.publish(commands(messages.iter()), deadline).await,
        }
    }
}

impl NodeInner {
    async fn publish(&self, commands: Vec<(GroupId, Bytes)>, deadline: Instant) -> Vec<Answered> {
        if let Some(refusal) = self.space.refusal(self.id) {
            return commands.iter().map(|_| Err(refusal.clone())).collect();
        }
        let outcomes = self.submit_by_group(commands, deadline).await;
        outcomes
            .into_iter()
            .map(|outcome| match outcome? {
                Outcome::Published(published) => Ok(published),
                other => Err(unexpected(other)),
            })
            .collect()
    }

    async fn publish_ordered(
        &self,
        topic: &Topic,
        messages: &mut [Publish],
        deadline: Instant,
    ) -> Vec<Answered> {
        let mut topic = Cow::Borrowed(topic);
        let mut results: Vec<Option<Answered>> = vec![None; messages.len()];
        loop {
            self.answer_known(&topic, messages, &mut results, deadline).await;
            let open: Vec<usize> = (0..messages.len()).filter(|at| results[*at].is_none()).collect();
            let answers = self.publish(commands(open.iter().map(|at| &messages[*at])), deadline).await;
            let give_up = Instant::now() >= deadline || self.is_stopping();
            let mut held = Vec::new();
            for (at, answer) in open.into_iter().zip(answers) {
                match answer {
                    Err(RequestError::Rejected(Rejection::Respread)) if !give_up => held.push(at),
                    answer => results[at] = Some(answer),
                }
            }
            if held.is_empty() {
                return results.into_iter().map(|result| result.expect("every message has one")).collect();
            }
            let Some(changed) = self.until_respread(&topic, deadline).await else {
                let gone = Rejection::TopicNotFound { name: topic.name.clone() };
                held.into_iter().for_each(|at| results[at] = Some(Err(gone.clone().into())));
                continue;
            };
            held.into_iter().for_each(|at| map(&mut messages[at], &changed));
            topic = Cow::Owned(changed);
        }
    }

    /// Waits until the mapping has another generation than `before`, or for a while; the topic as it is then.
    async fn until_respread(&self, before: &Topic, deadline: Instant) -> Option<Topic> {
        let find = |catalog: &Catalog| {
            let found = catalog.topics.get(&before.name);
            found.filter(|topic| topic.id == before.id).cloned()
        };
        let mut catalog = self.catalog.clone();
        let changed = catalog.wait_for(|catalog| {
            find(catalog).is_none_or(|topic| topic.mapping.generation != before.mapping.generation)
        });
        let _ = timeout_at((Instant::now() + HELD_LOOK_EVERY).min(deadline), changed).await;
        find(&self.catalog.borrow())
    }

    /// Answers messages that are there already, where an earlier mapping put them.
    async fn answer_known(
        &self,
        topic: &Topic,
        messages: &mut [Publish],
        results: &mut [Option<Answered>],
        deadline: Instant,
    ) {
        let since_ms = clock::now_ms().saturating_sub(EARLIER_MS);
        let recent = topic.mapping.steps.iter().filter(|step| step.finished_ms > since_ms);
        let mut by_group: BTreeMap<GroupId, Vec<usize>> = BTreeMap::new();
        for step in recent {
            for (at, message) in messages.iter().enumerate() {
                let earlier = topic.queues[(message.order_hash % u64::from(step.from)) as usize];
                let asks = results[at].is_none() && is_ordered(message) && message.dedup != 0;
                let places = by_group.entry(earlier).or_default();
                if asks && earlier != message.group && !places.contains(&at) {
                    places.push(at);
                }
            }
        }
        by_group.retain(|_, places| !places.is_empty());
        let sent: &[Publish] = messages;
        let asked = by_group.into_iter().map(|(group, places)| async move {
            let ids = places.iter().map(|at| (sent[*at].dedup, sent[*at].extras.dedup_window_ms));
            let known = self.known(group, topic, ids.collect(), deadline).await;
            (group, places, known)
        });
        for (group, places, known) in futures::future::join_all(asked).await {
            match known {
                Err(error) => places.into_iter().for_each(|at| results[at] = Some(Err(error.clone()))),
                Ok(known) => {
                    for (at, found) in places.into_iter().zip(known) {
                        let Some(found) = found else { continue };
                        (messages[at].queue, messages[at].group) = (found.queue, group);
                        results[at] = Some(Ok(found.into()));
                    }
                }
            }
        }
    }

    /// Where messages with these ids are in a broker group that takes nothing any more from before the topic's mapping.
    async fn known(
        &self,
        group: GroupId,
        topic: &Topic,
        ids: Vec<(u128, Option<u64>)>,
        deadline: Instant,
    ) -> Result<Vec<Option<KnownMessage>>, RequestError> {
        let count = ids.len();
        let question = Question::Known { topic: topic.id, generation: topic.mapping.generation, ids };
        loop {
            match self.ask(group, question.clone(), Source::Leader, deadline, deadline).await?.0 {
                Answer::Known(Some(known)) if known.len() == count => return Ok(known),
                Answer::Known(None) if Instant::now() < deadline => {
                    tokio::time::sleep(UNSEALED_LOOK_EVERY).await;
                }
                Answer::Known(None) => return Err(Rejection::Respread.into()),
                other => {
                    return Err(RequestError::Unknown {
                        reason: format!("a question for ids got {other:?}"),
                    });
                }
            }
        }
    }
}

/// What is proposed for each.
fn commands<'m>(messages: impl Iterator<Item = &'m Publish>) -> Vec<(GroupId, Bytes)> {
    messages.map(|message| (message.group, command::encode_publish(message))).collect()
}

/// Whether it has a message group.
fn is_ordered(message: &Publish) -> bool {
    message.order_hash != 0 && message.extras.lite_hash.is_none()
}

/// Gives a message with a message group the queue that the topic says.
fn map(message: &mut Publish, topic: &Topic) {
    let number = topic.queue_of(message.order_hash);
    message.queue.number = number;
    message.group = topic.queues[number as usize];
    message.extras.generation = topic.mapping.generation;
}

impl From<Published> for KnownMessage {
    fn from(published: Published) -> KnownMessage {
        let (number, waits) = match published.place {
            Place::Queued(offset) => (offset.0, false),
            Place::Waiting(number) => (number, true),
        };
        KnownMessage { queue: published.queue, number, waits }
    }
}

impl From<KnownMessage> for Published {
    fn from(known: KnownMessage) -> Published {
        let place = match known.waits {
            false => Place::Queued(crate::names::QueueOffset(known.number)),
            true => Place::Waiting(known.number),
        };
        Published { queue: known.queue, place, duplicate: true }
    }
}
