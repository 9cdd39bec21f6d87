//! Message groups that are spread over more queues of their topic, without losing their order.
//!
//! Each such step has a number, the *generation*. In every broker group that holds queues of the topic it begins with a
//! seal: the machine notes where each queue ends, and from then on takes messages with a message group only if they were
//! sent under that generation. `meta` changes the mapping when all have sealed. So below the seals there is nothing but
//! what was sent under the old mapping, and all of it.
//!
//! A FIFO consumer group gets nothing from behind a seal before it has settled what lies below the seals in all queues
//! of the old mapping. They may lie in other broker groups, so the leader asks those (`node/clearing.rs`), and then has it
//! written into the log here that the consumer group is *cleared*. Settled stays settled, but for a consumer group that is
//! moved: it is cleared anew then, and no answer from before counts.

use std::collections::BTreeMap;

use store::tables::spread::{ClearedRow, SpreadRow};
use store::tables::{Batch, RowKind, TableStore};

use super::broker::each_row;
use super::cursor::CursorKey;
use super::{Machine, MachineFailure};
use crate::command::PublishCommand;
use crate::limits::{LITE_QUEUES_FROM, SPREAD_MOVED_MS};
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::outcome::Outcome;
use crate::question::Unsettled;
use crate::request::{Place, Published, Rejection};

/// The steps of all topics, and who is cleared of which.
#[derive(Default)]
pub(super) struct Spreads {
    steps: BTreeMap<TopicId, BTreeMap<u32, SpreadRow>>,
    cleared: BTreeMap<(TopicId, ConsumerId), ClearedRow>,
}

impl Spreads {
    pub(super) fn open(tables: &impl TableStore) -> Result<Spreads, MachineFailure> {
        let mut spreads = Spreads::default();
        each_row(tables, RowKind::Spread, |key, value| {
            let row = SpreadRow::read(key, value)?;
            spreads.steps.entry(TopicId(row.topic)).or_default().insert(row.generation, row);
            Some(())
        })?;
        each_row(tables, RowKind::Cleared, |key, value| {
            let row = ClearedRow::read(key, value)?;
            spreads.cleared.insert((TopicId(row.topic), ConsumerId(row.consumer)), row);
            Some(())
        })?;
        Ok(spreads)
    }

    /// The newest step of a topic that was sealed here; 0 if none was.
    fn generation(&self, topic: TopicId) -> u32 {
        self.steps.get(&topic).and_then(|steps| steps.last_key_value()).map_or(0, |(newest, _)| *newest)
    }

    fn cleared(&self, topic: TopicId, consumer: ConsumerId) -> ClearedRow {
        let none = ClearedRow { topic: topic.0, consumer: consumer.0, ..ClearedRow::default() };
        self.cleared.get(&(topic, consumer)).copied().unwrap_or(none)
    }

    /// The first step behind which a consumer group may get nothing of a queue, for it is not cleared of it. A queue that
    /// came with a later step has nothing from before that one.
    fn gate(&self, key: CursorKey) -> Option<&SpreadRow> {
        let steps = self.steps.get(&key.queue.topic)?;
        let cleared = self.cleared(key.queue.topic, key.consumer).generation;
        steps.range(cleared + 1..).map(|(_, row)| row).find(|row| key.queue.number < row.to)
    }

    /// A FIFO consumer group gets nothing of a queue from this offset on before it is cleared.
    pub(super) fn limit(&self, key: CursorKey) -> u64 {
        // Most topics have no steps.
        if self.steps.is_empty() {
            return u64::MAX;
        }
        self.gate(key).map_or(u64::MAX, |row| row.end_of(key.queue.number))
    }

    /// Whether a message was sent under the mapping that holds here.
    pub(super) fn takes(&self, message: &PublishCommand) -> bool {
        let is_ordered = message.order_hash != 0 && message.extras.lite_hash.is_none();
        !is_ordered || message.extras.generation == self.generation(message.queue.topic)
    }

    /// Forgets what a deleted consumer group or topic has left.
    pub(super) fn forget_consumer(&mut self, gone: ConsumerId, batch: &mut Batch) {
        self.cleared.retain(|(topic, consumer), _| {
            if *consumer == gone {
                ClearedRow::delete(topic.0, consumer.0, batch);
            }
            *consumer != gone
        });
    }

    pub(super) fn forget_topic(&mut self, gone: TopicId, batch: &mut Batch) {
        for generation in self.steps.remove(&gone).unwrap_or_default().keys() {
            SpreadRow::delete(gone.0, *generation, batch);
        }
        self.cleared.retain(|(topic, consumer), _| {
            if *topic == gone {
                ClearedRow::delete(topic.0, consumer.0, batch);
            }
            *topic != gone
        });
    }
}

impl<T: TableStore> Machine<T> {
    /// Begins a step: see the module's page. Once for each generation; one behind a newer one has no effect.
    pub(super) fn seal_spread(&mut self, topic: TopicId, generation: u32, from: u32, to: u32) -> Outcome {
        if let Some(rejected) = self.topic_is_gone(topic) {
            return rejected;
        }
        if generation <= self.spreads.generation(topic) {
            return Outcome::Done;
        }
        // One that is committed later comes into the queue that it was meant for. A step that changes nothing, for it was
        // given up, has the same queues, and must not be held up: what comes under its generation is refused till then.
        let open = self.half_messages().filter(|row| TopicId(row.message.queue.0) == topic);
        let open = open.filter(|row| row.message.entry.order_hash != 0).count();
        if open > 0 && from != to {
            let why = format!("{open} transactions of messages with a message group are open");
            return Outcome::Rejected(Rejection::Full(why));
        }
        let row = SpreadRow { topic: topic.0, generation, from, to, ends: self.queues.ends(topic, to) };
        row.put(self.progress.batch());
        self.spreads.steps.entry(topic).or_default().insert(generation, row);
        Outcome::Done
    }

    /// Notes that a consumer group has settled everything that came before a step, in all broker groups, as they said
    /// when it was `asked_ms` here. Generation 0: it is moved, and nothing is known any more.
    pub(super) fn clear_spread(
        &mut self,
        topic: TopicId,
        consumer: ConsumerId,
        generation: u32,
        asked_ms: u64,
    ) -> Outcome {
        let gone = self.consumer_is_gone(consumer).or_else(|| self.topic_is_gone(topic));
        if let Some(rejected) = gone {
            return rejected;
        }
        if generation == 0 {
            self.forget_cleared(topic, consumer);
            return Outcome::Done;
        }
        let before = self.spreads.cleared(topic, consumer);
        if generation <= before.generation {
            return Outcome::Done;
        }
        let refused = |why: String| Outcome::Rejected(Rejection::Invalid(why));
        if generation > self.spreads.generation(topic) {
            return refused(format!("step {generation} was not sealed here"));
        }
        if before.moved_ms != 0 && asked_ms < before.moved_ms.saturating_add(SPREAD_MOVED_MS) {
            return refused("the consumer group was moved a moment ago".into());
        }
        let row = ClearedRow { generation, ..before };
        row.put(self.progress.batch());
        self.spreads.cleared.insert((topic, consumer), row);
        self.wake(QueueKey { topic, number: 0 });
        Outcome::Done
    }

    /// A consumer group is moved: what it had settled need not be settled any more.
    pub(super) fn forget_cleared(&mut self, topic: TopicId, consumer: ConsumerId) {
        if self.spreads.generation(topic) == 0 {
            return;
        }
        let moved_ms = self.progress.stamp_ms();
        let row = ClearedRow { topic: topic.0, consumer: consumer.0, generation: 0, moved_ms };
        row.put(self.progress.batch());
        self.spreads.cleared.insert((topic, consumer), row);
    }

    /// The newest step of a topic that was sealed here; 0 if none was.
    pub fn spread_generation(&self, topic: TopicId) -> u32 {
        self.spreads.generation(topic)
    }

    /// The first step that a consumer group waits to be cleared of: it stands before messages of a queue that it may not
    /// have yet.
    pub fn waits_for_clearance(
        &self,
        topic: TopicId,
        consumer: ConsumerId,
        queues: impl Iterator<Item = QueueKey>,
    ) -> Option<u32> {
        let stands_at = |queue: QueueKey| {
            let key = CursorKey { consumer, queue };
            let gate = self.spreads.gate(key)?;
            let limit = gate.end_of(queue.number);
            let (first, end) = self.queues.bounds(queue);
            let stands = self.cursors.get(&key)?.next.max(first) >= limit && end > limit;
            stands.then_some(gate.generation)
        };
        queues.filter(|queue| queue.topic == topic).filter_map(stands_at).min()
    }

    /// What a consumer group has to settle here of what came before a step; `None` if the step was not sealed here.
    pub fn unsettled_before(
        &self,
        topic: TopicId,
        generation: u32,
        consumer: ConsumerId,
    ) -> Option<Unsettled> {
        // One that was sealed later covers more.
        let (_, step) = self.spreads.steps.get(&topic)?.range(generation..).next()?;
        let mut found = Unsettled::default();
        for (number, end) in step.ends.iter().filter(|(number, _)| *number < step.from) {
            let queue = QueueKey { topic, number: *number };
            let (first, _) = self.queues.bounds(queue);
            let cursor = self.cursors.get(&CursorKey { consumer, queue });
            found.begun |= cursor.is_some();
            let settled = cursor.map_or(first, |cursor| match cursor.unsettled.is_empty() {
                true => cursor.next.max(first),
                false => cursor.settled(),
            });
            found.messages += end.saturating_sub(settled);
        }
        Some(found)
    }

    /// Where the message with this id is, if it came within the window: see [`crate::request::Extras`].
    pub fn known(&self, topic: TopicId, id: u128, window_ms: Option<u64>, now_ms: u64) -> Option<Published> {
        let now_ms = now_ms.max(self.progress.stamp_ms());
        let window = super::window::Window { now_ms, length_ms: window_ms };
        let (queue, place): (QueueKey, Place) = self.dedup.get(topic, id, window)?;
        Some(Published { queue, place, duplicate: true })
    }
}

impl super::queues::Queues {
    /// The queues of a topic that have or had messages, below the number `to`: each with the offset behind its last one.
    fn ends(&self, topic: TopicId, to: u32) -> Vec<(u32, u64)> {
        let at = |number| QueueKey { topic, number };
        let queues = self.range(at(0)..at(to.min(LITE_QUEUES_FROM)));
        queues.map(|(key, queue)| (key.number, queue.end)).filter(|(_, end)| *end > 0).collect()
    }
}
