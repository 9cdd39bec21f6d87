//! Lite topics: each is a queue of its topic, made by its first message.

use std::collections::BTreeMap;

use store::tables::lite::LiteRow;
use store::tables::{Batch, RowKind, TableStore};

use super::broker::each_row;
use super::{Machine, MachineFailure};
use crate::limits::{LITE_QUEUES_FROM, LITE_QUEUES_POLLED_MAX, LITE_TOPICS_MAX};
use crate::names::{QueueKey, TopicId};
use crate::request::{Receive, Rejection};

/// The queues of lite topics.
#[derive(Default)]
pub(super) struct LiteTopics {
    queues: BTreeMap<(TopicId, u64), u32>,
    /// The number that the topic's next lite topic gets.
    next: BTreeMap<TopicId, u32>,
}

impl LiteTopics {
    pub(super) fn open(tables: &impl TableStore) -> Result<LiteTopics, MachineFailure> {
        let mut lite = LiteTopics::default();
        each_row(tables, RowKind::Lite, |key, value| {
            let row = LiteRow::read(key, value)?;
            lite.insert(TopicId(row.topic), row.name_hash, row.queue);
            Some(())
        })?;
        Ok(lite)
    }

    fn insert(&mut self, topic: TopicId, name_hash: u64, queue: u32) {
        self.queues.insert((topic, name_hash), queue);
        let next = self.next.entry(topic).or_insert(LITE_QUEUES_FROM);
        *next = (*next).max(queue + 1);
    }

    /// The queue of a lite topic, made if it is not there.
    pub(super) fn queue_of(
        &mut self,
        topic: TopicId,
        name_hash: u64,
        batch: &mut Batch,
    ) -> Result<QueueKey, Rejection> {
        if let Some(number) = self.queues.get(&(topic, name_hash)) {
            return Ok(QueueKey { topic, number: *number });
        }
        if self.queues.len() >= LITE_TOPICS_MAX {
            let why = format!("this broker group holds {LITE_TOPICS_MAX} lite topics; it takes no more");
            return Err(Rejection::LiteTopicQuota(why));
        }
        let number = self.next.get(&topic).copied().unwrap_or(LITE_QUEUES_FROM);
        LiteRow { topic: topic.0, name_hash, queue: number }.put(batch);
        self.insert(topic, name_hash, number);
        Ok(QueueKey { topic, number })
    }

    /// Forgets those of a topic.
    pub(super) fn delete_topic(&mut self, topic: TopicId, batch: &mut Batch) {
        self.queues.retain(|(of, _), _| *of != topic);
        self.next.remove(&topic);
        LiteRow::delete_topic(topic.0, batch);
    }
}

impl<T: TableStore> Machine<T> {
    /// The queues of a receive from lite topics: those in which it would find something at `now_ms`,
    /// or, if there are none, all that there are.
    pub fn lite_queues(&self, receive: &Receive, now_ms: u64) -> Vec<u32> {
        let queue = |hash: &u64| self.lite.queues.get(&(receive.topic, *hash)).copied();
        let all: Vec<u32> = receive.lite.iter().flatten().filter_map(queue).collect();
        let mut one = Receive { queues: vec![0], lite: None, ..receive.clone() };
        let mut is_ready = |number: &&u32| {
            one.queues[0] = **number;
            self.would_deliver(&one, now_ms)
        };
        let ready: Vec<u32> =
            all.iter().filter(&mut is_ready).take(LITE_QUEUES_POLLED_MAX).copied().collect();
        if ready.is_empty() { all } else { ready }
    }

    /// How many lite topics there are.
    pub fn lite_topic_count(&self) -> usize {
        self.lite.queues.len()
    }
}
