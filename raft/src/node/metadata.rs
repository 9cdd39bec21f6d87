//! Changes of what `meta` holds, and what follows from them in the broker groups.

use bytes::Bytes;
use tokio::time::Instant;

use crate::catalog::{ConsumerGroup, Topic, TopicType};
use crate::command;
use crate::machine::{MetaAction, MetaCommand};
use crate::names::GroupId;
use crate::node::{NodeInner, unexpected};
use crate::outcome::Outcome;
use crate::request::{NewConsumer, NewTopic, Rejection, RequestError};
use crate::settings::{GroupChange, TopicSettings};

impl NodeInner {
    /// Carries out a change of `meta`; a repeat after an election is told apart by its request id.
    pub(crate) async fn change(
        &self,
        action: MetaAction,
        deadline: Instant,
    ) -> Result<Outcome, RequestError> {
        let removes = matches!(action, MetaAction::DeleteTopic { .. } | MetaAction::DeleteConsumer { .. });
        let command = MetaCommand { request: crate::seams::random(), action }.encode();
        let outcome = self.submit(GroupId::META, command, deadline).await?;
        self.until_seen(&outcome, removes, deadline).await;
        Ok(outcome)
    }

    /// Waits until this node's own replica shows the change, so that who made it can use it here. What was made
    /// again under the same name since then has a higher id.
    async fn until_seen(&self, outcome: &Outcome, removes: bool, deadline: Instant) {
        let mut catalog = self.catalog.clone();
        let seen = catalog.wait_for(|catalog| {
            let (seen, changed) = match outcome {
                Outcome::Topic(topic) => {
                    let seen = catalog.topics.get(&topic.name);
                    (seen.map(|seen| (seen.id.0, seen.revision)), (topic.id.0, topic.revision))
                }
                Outcome::Consumer(group) => {
                    let seen = catalog.consumers.get(&group.name);
                    (seen.map(|seen| (seen.id.0, seen.revision)), (group.id.0, group.revision))
                }
                _ => return true,
            };
            match removes {
                true => seen.is_none_or(|seen| seen.0 != changed.0),
                false => seen.is_some_and(|seen| seen >= changed),
            }
        });
        // At the deadline the change is made all the same; this node will see it in a moment.
        let _ = tokio::time::timeout_at(deadline, seen).await;
    }

    /// Waits until `meta` knows every broker group, so that the queues of a topic made in the first moments of a
    /// cluster are spread over all of them.
    async fn until_begun(&self, deadline: Instant) {
        let brokers = self.groups.ids().filter(|group| *group != GroupId::META).count();
        let mut catalog = self.catalog.clone();
        let begun = catalog.wait_for(|catalog| catalog.groups.len() >= brokers);
        // At the deadline the topic is refused, or has the groups that are there.
        let _ = tokio::time::timeout_at(deadline, begun).await;
    }

    pub(crate) async fn create_topic(
        &self,
        topic: NewTopic,
        deadline: Instant,
    ) -> Result<Topic, RequestError> {
        self.until_begun(deadline).await;
        match self.change(MetaAction::CreateTopic(topic), deadline).await? {
            Outcome::Topic(topic) => Ok(topic),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn update_topic(
        &self,
        name: &str,
        kind: Option<TopicType>,
        queues: Option<u32>,
        settings: TopicSettings,
        deadline: Instant,
    ) -> Result<Topic, RequestError> {
        let change = MetaAction::UpdateTopic { name: name.to_owned(), kind, queues, settings };
        match self.change(change, deadline).await? {
            Outcome::Topic(topic) => Ok(topic),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn delete_topic(&self, name: &str, deadline: Instant) -> Result<(), RequestError> {
        let topic = self.catalog.borrow().topics.get(name).cloned();
        let topic = topic.ok_or_else(|| Rejection::TopicNotFound { name: name.to_owned() })?;
        match self.change(MetaAction::DeleteTopic { name: name.to_owned() }, deadline).await? {
            Outcome::Topic(_) | Outcome::Done => {}
            other => return Err(unexpected(other)),
        }
        self.submit_to_brokers(command::encode_delete_topic(topic.id), deadline).await
    }

    pub(crate) async fn create_consumer(
        &self,
        consumer: NewConsumer,
        deadline: Instant,
    ) -> Result<ConsumerGroup, RequestError> {
        match self.change(MetaAction::CreateConsumer(consumer), deadline).await? {
            Outcome::Consumer(consumer) => Ok(consumer),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn update_consumer(
        &self,
        name: &str,
        change: GroupChange,
        deadline: Instant,
    ) -> Result<ConsumerGroup, RequestError> {
        match self.change(MetaAction::UpdateConsumer { name: name.to_owned(), change }, deadline).await? {
            Outcome::Consumer(consumer) => Ok(consumer),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn delete_consumer(&self, name: &str, deadline: Instant) -> Result<(), RequestError> {
        let consumer = self.catalog.borrow().consumers.get(name).cloned();
        let consumer = consumer.ok_or_else(|| Rejection::ConsumerNotFound { name: name.to_owned() })?;
        match self.change(MetaAction::DeleteConsumer { name: name.to_owned() }, deadline).await? {
            Outcome::Consumer(_) | Outcome::Done => {}
            other => return Err(unexpected(other)),
        }
        self.submit_to_brokers(command::encode_delete_consumer(consumer.id), deadline).await
    }

    /// Puts one command that is answered with "done" into the log of `group`.
    pub(crate) async fn submit_done(
        &self,
        group: GroupId,
        command: Bytes,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        match self.submit(group, command, deadline).await? {
            Outcome::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// The same command for every broker group.
    pub(crate) async fn submit_to_brokers(
        &self,
        command: Bytes,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        let brokers = self.all_groups().into_iter().filter(|group| *group != GroupId::META);
        let brokers: Vec<GroupId> = brokers.collect();
        let all = brokers.into_iter().map(|group| self.submit_done(group, command.clone(), deadline));
        futures::future::join_all(all).await.into_iter().collect()
    }

    /// Commands of several groups, one result each, in order; the groups work side by side.
    pub(crate) async fn submit_by_group(
        &self,
        commands: Vec<(GroupId, Bytes)>,
        deadline: Instant,
    ) -> Vec<Result<Outcome, RequestError>> {
        let Some(first) = commands.first().map(|(group, _)| *group) else { return Vec::new() };
        if commands.iter().all(|(group, _)| *group == first) {
            if let Err(error) = self.must_exist(first) {
                return commands.iter().map(|_| Err(error.clone())).collect();
            }
            let commands = commands.into_iter().map(|(_, command)| command).collect();
            return self.submit_all(first, commands, deadline).await;
        }
        let mut groups: std::collections::BTreeMap<GroupId, (Vec<usize>, Vec<Bytes>)> = Default::default();
        let count = commands.len();
        for (at, (group, command)) in commands.into_iter().enumerate() {
            let part = groups.entry(group).or_default();
            part.0.push(at);
            part.1.push(command);
        }
        let parts = groups.into_iter().map(|(group, (places, commands))| async move {
            let results = match self.must_exist(group) {
                Ok(_) => self.submit_all(group, commands, deadline).await,
                Err(error) => commands.iter().map(|_| Err(error.clone())).collect(),
            };
            (places, results)
        });
        let mut ordered: Vec<Option<Result<Outcome, RequestError>>> = (0..count).map(|_| None).collect();
        for (places, results) in futures::future::join_all(parts).await {
            for (place, result) in places.into_iter().zip(results) {
                ordered[place] = Some(result);
            }
        }
        ordered.into_iter().map(|result| result.expect("every command has a result")).collect()
    }
}
