//! Steps that spread the message groups of a topic over more queues, as `meta` keeps them: begun, and then finished or
//! given up. Both end the step, and raise the generation; only the first one changes the mapping.

use serde::{Deserialize, Serialize};
use store::tables::TableStore;

use super::metadata::{MetaMachine, topic_not_found};
use crate::catalog::{GivenUp, SpreadStep, Spreading, Topic, TopicType};
use crate::limits::{SPREAD_STEPS_MAX, SPREADS_MAX};
use crate::names::TopicId;
use crate::request::Rejection;

/// What is done to a step. Answered with the topic. What is repeated has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpreadAction {
    /// Message groups are to be spread over all queues that the topic has now.
    Begin {
        /// The topic.
        name: String,
        /// It is given up if the broker groups have not sealed within so long.
        within_ms: u64,
    },
    /// All broker groups have sealed: the mapping changes.
    Finish {
        /// The topic.
        topic: TopicId,
        /// Which step.
        generation: u32,
    },
    /// The mapping stays as it is.
    GiveUp {
        /// The topic.
        topic: TopicId,
        /// Which step.
        generation: u32,
        /// Why, for people.
        why: String,
    },
}

impl<T: TableStore> MetaMachine<T> {
    pub(super) fn spread(&mut self, action: SpreadAction) -> Result<Topic, Rejection> {
        match action {
            SpreadAction::Begin { name, within_ms } => self.begin_spread(&name, within_ms),
            SpreadAction::Finish { topic, generation } => self.finish_spread(topic, generation),
            SpreadAction::GiveUp { topic, generation, why } => self.give_spread_up(topic, generation, why),
        }
    }

    fn begin_spread(&mut self, name: &str, within_ms: u64) -> Result<Topic, Rejection> {
        let mut topic = self.catalog.topics.get(name).cloned().ok_or(topic_not_found(name))?;
        let why = match topic.kind {
            TopicType::Lite => {
                "a lite topic is a queue of its own, in the broker group that has its messages: it stays there"
            }
            TopicType::Priority => {
                "the queues of a priority topic are its levels, and not for message groups"
            }
            _ => "",
        };
        if !why.is_empty() {
            return Err(Rejection::Invalid(format!("topic {name}: {why}")));
        }
        let (from, to) = (topic.ordered().len() as u32, topic.queues.len() as u32);
        if topic.mapping.spreading.is_some() || from == to {
            return Ok(topic);
        }
        let begun_before = topic.mapping.generation;
        if topic.mapping.steps.len() >= SPREAD_STEPS_MAX || begun_before >= SPREADS_MAX {
            let why = format!("topic {name} was spread, or nearly, {begun_before} times: make a new topic");
            return Err(Rejection::Full(why));
        }
        let begun_ms = self.progress.stamp_ms();
        let generation = topic.mapping.generation + 1;
        let until_ms = begun_ms.saturating_add(within_ms);
        topic.mapping.spreading = Some(Spreading { generation, from, to, begun_ms, until_ms });
        topic.mapping.given_up = None;
        topic.revision += 1;
        Ok(self.put_topic(topic))
    }

    fn finish_spread(&mut self, id: TopicId, generation: u32) -> Result<Topic, Rejection> {
        let (mut topic, step) = self.spreading(id, generation)?;
        let Some(Spreading { from, to, .. }) = step else { return Ok(topic) };
        let finished_ms = self.progress.stamp_ms();
        topic.mapping.steps.push(SpreadStep { generation, from, to, finished_ms });
        topic.mapping.width = to;
        Ok(self.end_spread(topic, generation))
    }

    fn give_spread_up(&mut self, id: TopicId, generation: u32, why: String) -> Result<Topic, Rejection> {
        let (mut topic, step) = self.spreading(id, generation)?;
        if step.is_none() {
            return Ok(topic);
        }
        topic.mapping.given_up = Some(GivenUp { generation, at_ms: self.progress.stamp_ms(), why });
        Ok(self.end_spread(topic, generation))
    }

    fn end_spread(&mut self, mut topic: Topic, generation: u32) -> Topic {
        topic.mapping.generation = generation;
        topic.mapping.spreading = None;
        topic.revision += 1;
        self.put_topic(topic)
    }

    /// The topic, and the step if it is the one under way.
    fn spreading(&self, id: TopicId, generation: u32) -> Result<(Topic, Option<Spreading>), Rejection> {
        let topic = self.catalog.topic_by_id(id).cloned();
        let topic = topic.ok_or_else(|| topic_not_found(&format!("number {}", id.0)))?;
        let step = topic.mapping.spreading.filter(|step| step.generation == generation);
        Ok((topic, step))
    }
}
