//! Lite topics: each is a queue of its topic, made by its first message.

use std::collections::BTreeMap;
use std::ops::Bound;

use store::tables::lite::{LiteNumberRow, LiteRow};
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
    /// The hashes of their names.
    names: BTreeMap<QueueKey, u64>,
    /// The number that the topic's next lite topic gets: one that no earlier one had.
    next: BTreeMap<TopicId, u64>,
}

impl LiteTopics {
    pub(super) fn open(tables: &impl TableStore) -> Result<LiteTopics, MachineFailure> {
        let mut lite = LiteTopics::default();
        each_row(tables, RowKind::Lite, |key, value| {
            let row = LiteRow::read(key, value)?;
            lite.insert(TopicId(row.topic), row.name_hash, row.queue);
            Some(())
        })?;
        each_row(tables, RowKind::LiteNumber, |key, value| {
            let row = LiteNumberRow::read(key, value)?;
            let next = lite.next.entry(TopicId(row.topic)).or_default();
            *next = (*next).max(row.next);
            Some(())
        })?;
        Ok(lite)
    }

    fn insert(&mut self, topic: TopicId, name_hash: u64, queue: u32) {
        self.queues.insert((topic, name_hash), queue);
        self.names.insert(QueueKey { topic, number: queue }, name_hash);
        let next = self.next.entry(topic).or_default();
        *next = (*next).max(u64::from(queue) + 1);
    }

    /// The queue of a lite topic, if it is there.
    pub(super) fn get(&self, topic: TopicId, name_hash: u64) -> Option<QueueKey> {
        self.queues.get(&(topic, name_hash)).map(|number| QueueKey { topic, number: *number })
    }

    /// The queue of a lite topic, made if it is not there.
    pub(super) fn queue_of(
        &mut self,
        topic: TopicId,
        name_hash: u64,
        batch: &mut Batch,
    ) -> Result<QueueKey, Rejection> {
        if let Some(queue) = self.get(topic, name_hash) {
            return Ok(queue);
        }
        if self.queues.len() >= LITE_TOPICS_MAX {
            let why = format!("this broker group holds {LITE_TOPICS_MAX} lite topics; it takes no more");
            return Err(Rejection::LiteTopicQuota(why));
        }
        let next = self.next.get(&topic).copied().unwrap_or_default().max(u64::from(LITE_QUEUES_FROM));
        let Ok(number) = u32::try_from(next) else {
            let why = "the topic has used up the numbers of its lite topics: make another topic".to_string();
            return Err(Rejection::LiteTopicQuota(why));
        };
        LiteRow { topic: topic.0, name_hash, queue: number }.put(batch);
        self.insert(topic, name_hash, number);
        Ok(QueueKey { topic, number })
    }

    /// Forgets one of a topic; the number of its queue is not used again.
    pub(super) fn remove(&mut self, topic: TopicId, name_hash: u64, batch: &mut Batch) {
        let Some(queue) = self.queues.remove(&(topic, name_hash)) else { return };
        self.names.remove(&QueueKey { topic, number: queue });
        LiteRow { topic: topic.0, name_hash, queue }.delete(batch);
        LiteNumberRow { topic: topic.0, next: self.next[&topic] }.put(batch);
    }

    /// Forgets those of a topic.
    pub(super) fn delete_topic(&mut self, topic: TopicId, batch: &mut Batch) {
        self.queues.retain(|(of, _), _| *of != topic);
        self.names.retain(|queue, _| queue.topic != topic);
        self.next.remove(&topic);
        LiteRow::delete_topic(topic.0, batch);
        LiteNumberRow::delete(topic.0, batch);
    }

    /// Those behind one of them, ascending.
    pub(super) fn behind(
        &self,
        after: Option<(TopicId, u64)>,
    ) -> impl Iterator<Item = (TopicId, u64, QueueKey)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.queues.range((from, Bound::Unbounded));
        some.map(|((topic, hash), number)| (*topic, *hash, QueueKey { topic: *topic, number: *number }))
    }
}

impl<T: TableStore> Machine<T> {
    /// The queues of a receive from lite topics: those in which it would find something at `now_ms`,
    /// or, if there are none, all that there are.
    pub fn lite_queues(&self, receive: &Receive, now_ms: u64) -> Vec<u32> {
        let queue = |hash: &u64| self.lite.queues.get(&(receive.topic, *hash)).copied();
        let all: Vec<u32> = receive.lite.iter().flatten().filter_map(queue).collect();
        if !self.has_room(receive, now_ms) {
            return all;
        }
        let mut one = Receive { queues: vec![0], lite: None, in_flight_max: None, ..receive.clone() };
        let mut is_ready = |number: &&u32| {
            one.queues[0] = **number;
            self.would_deliver(&one, now_ms)
        };
        let ready: Vec<u32> =
            all.iter().filter(&mut is_ready).take(LITE_QUEUES_POLLED_MAX).copied().collect();
        if ready.is_empty() { all } else { ready }
    }

    /// Looks at so many lite topics of a topic, from the hash `from` on: the queues that got something at
    /// `since_ms` or later, and from which hash on to look next.
    pub fn lite_queues_since(
        &self,
        topic: TopicId,
        from: u64,
        looks: usize,
        since_ms: u64,
    ) -> (Vec<QueueKey>, Option<u64>) {
        let mut some = self.lite.queues.range((topic, from)..=(topic, u64::MAX));
        let queue = |number: &u32| QueueKey { topic, number: *number };
        let looked_at = some.by_ref().take(looks).map(|(_, number)| queue(number));
        let found = looked_at.filter(|queue| self.queues.newest_ms(*queue) >= Some(since_ms)).collect();
        (found, some.next().map(|((_, hash), _)| *hash))
    }

    /// The hash of the name of the lite topic that has this queue.
    pub fn lite_name(&self, queue: QueueKey) -> Option<u64> {
        self.lite.names.get(&queue).copied()
    }

    /// How many lite topics there are.
    pub fn lite_topic_count(&self) -> usize {
        self.lite.queues.len()
    }
}
