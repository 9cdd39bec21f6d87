//! Where queues and consumer groups stand, as the leaders know it, and moves to exact places.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::time::Instant;

use crate::catalog::{StartFrom, Topic};
use crate::command::{self, OffsetTarget};
use crate::names::{ConsumerId, GroupId, QueueKey};
use crate::node::ask::Source;
use crate::node::{Node, unexpected};
use crate::outcome::Outcome;
use crate::question::{Answer, Question, QueuePlace};
use crate::request::{Rejection, RequestError};

impl Node {
    /// How the queues of a topic stand, by queue number, and whether and where the consumer group
    /// stands in them, as the leaders have it applied.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if a group had no leader until the deadline.
    pub async fn places(
        &self,
        topic: &Topic,
        consumer: Option<ConsumerId>,
        deadline: Instant,
    ) -> Result<Vec<QueuePlace>, RequestError> {
        let mut places = BTreeMap::new();
        for group in topic.groups() {
            let queues: Vec<QueueKey> = topic.queues_of(group).collect();
            let found = self.group_places(group, queues.clone(), consumer, deadline).await?;
            places.extend(queues.into_iter().zip(found));
        }
        Ok(places.into_values().collect())
    }

    /// As [`Node::places`], from what this node's replicas have applied, which may lag the leaders
    /// by a moment. For overviews: it asks nobody but for groups that this node does not hold.
    ///
    /// # Errors
    /// As [`Node::places`], for such a group.
    pub async fn own_places(
        &self,
        topic: &Topic,
        consumer: Option<ConsumerId>,
        deadline: Instant,
    ) -> Result<Vec<QueuePlace>, RequestError> {
        let mut places = BTreeMap::new();
        for id in topic.groups() {
            let queues: Vec<QueueKey> = topic.queues_of(id).collect();
            let found = match self.inner.groups.get(id) {
                Some(group) => {
                    let replica = group.replica();
                    queues.iter().map(|queue| replica.broker().queue_place(*queue, consumer)).collect()
                }
                None => self.group_places(id, queues.clone(), consumer, deadline).await?,
            };
            places.extend(queues.into_iter().zip(found));
        }
        Ok(places.into_values().collect())
    }

    /// As [`Node::places`], of one queue.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] if the topic has no such queue, and as [`Node::places`].
    pub async fn place(
        &self,
        topic: &Topic,
        number: u32,
        consumer: Option<ConsumerId>,
        deadline: Instant,
    ) -> Result<QueuePlace, RequestError> {
        let (group, queue) = queue_of(topic, number)?;
        self.place_in(group, queue, consumer, deadline).await
    }

    /// As [`Node::place`], of a queue that the catalog does not list: that of a lite topic, as a search found it.
    ///
    /// # Errors
    /// As [`Node::places`].
    pub async fn place_in(
        &self,
        group: GroupId,
        queue: QueueKey,
        consumer: Option<ConsumerId>,
        deadline: Instant,
    ) -> Result<QueuePlace, RequestError> {
        let mut places = self.group_places(group, vec![queue], consumer, deadline).await?;
        places.pop().ok_or_else(|| RequestError::Unknown { reason: "the answer names no queue".to_owned() })
    }

    async fn group_places(
        &self,
        group: GroupId,
        queues: Vec<QueueKey>,
        consumer: Option<ConsumerId>,
        deadline: Instant,
    ) -> Result<Vec<QueuePlace>, RequestError> {
        let count = queues.len();
        let question = Question::Places { queues, consumer };
        match self.inner.ask(group, question, Source::Leader, deadline, deadline).await?.0 {
            Answer::Places(places) if places.len() == count => Ok(places),
            other => Err(RequestError::Unknown { reason: format!("a question for places got {other:?}") }),
        }
    }

    /// The first offset of a queue that was stored at `time_ms` or later; the end if none was.
    ///
    /// # Errors
    /// As [`Node::place`].
    pub async fn offset_at(
        &self,
        topic: &Topic,
        number: u32,
        time_ms: u64,
        deadline: Instant,
    ) -> Result<u64, RequestError> {
        let (group, queue) = queue_of(topic, number)?;
        let question = Question::OffsetAt { queue, time_ms };
        match self.inner.ask(group, question, Source::Leader, deadline, deadline).await?.0 {
            Answer::Offset(offset) => Ok(offset),
            other => Err(RequestError::Unknown { reason: format!("a question for an offset got {other:?}") }),
        }
    }

    /// Moves a consumer group in every queue of a topic.
    ///
    /// # Errors
    /// If a group had no leader until the deadline.
    pub async fn reset_offset(
        &self,
        consumer: ConsumerId,
        topic: &Topic,
        to: StartFrom,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        self.inner.forget_cleared(consumer, topic, deadline).await?;
        let commands: Vec<(GroupId, Bytes)> = topic
            .groups()
            .into_iter()
            .flat_map(|group| topic.queues_of(group).map(move |queue| (group, queue)))
            .map(|(group, queue)| {
                (group, command::encode_set_offset(consumer, queue, OffsetTarget::Start(to)))
            })
            .collect();
        for outcome in self.inner.submit_by_group(commands, deadline).await {
            match outcome? {
                Outcome::Done => {}
                other => return Err(unexpected(other)),
            }
        }
        Ok(())
    }

    /// Moves a consumer group in one queue; what it held there is given back.
    ///
    /// # Errors
    /// As [`Node::place`].
    pub async fn move_to(
        &self,
        consumer: ConsumerId,
        topic: &Topic,
        number: u32,
        to: OffsetTarget,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        let (group, queue) = queue_of(topic, number)?;
        self.inner.forget_cleared(consumer, topic, deadline).await?;
        let command = command::encode_set_offset(consumer, queue, to);
        self.inner.submit_done(group, command, deadline).await
    }

    /// Removes what a consumer group knows of a topic: leases, attempts, progress. It begins there anew when it next
    /// receives.
    ///
    /// # Errors
    /// As [`Node::places`].
    pub async fn delete_subscription(
        &self,
        consumer: ConsumerId,
        topic: &Topic,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        self.inner.forget_cleared(consumer, topic, deadline).await?;
        let command = command::encode_delete_subscription(consumer, topic.id);
        let groups = topic.groups();
        let all = groups.into_iter().map(|group| self.inner.submit_done(group, command.clone(), deadline));
        futures::future::join_all(all).await.into_iter().collect()
    }
}

fn queue_of(topic: &Topic, number: u32) -> Result<(GroupId, QueueKey), RequestError> {
    let group = topic.queues.get(number as usize).copied();
    let group = group.ok_or_else(|| {
        let (name, count) = (&topic.name, topic.queues.len());
        Rejection::Invalid(format!("topic {name} has the queues 0 to {}, not {number}", count.max(1) - 1))
    })?;
    Ok((group, QueueKey { topic: topic.id, number }))
}
