//! Deleting topics and consumer groups. Their numbers never come back.

use store::tables::TableStore;
use store::tables::cursor::CursorRow;
use store::tables::dead_letter::DeadLetterRow;
use store::tables::deleted::Deleted;
use store::tables::lease::delete_rows;

use super::Machine;
use super::cursor::CursorKey;
use crate::limits::DELETED_MAX;
use crate::names::{ConsumerId, TopicId};
use crate::outcome::Outcome;

impl<T: TableStore> Machine<T> {
    pub(super) fn delete_topic(&mut self, topic: TopicId) -> Outcome {
        self.lite.delete_topic(topic, self.progress.batch());
        self.halves.delete_topic(topic, &mut self.held, self.progress.batch());
        self.delete_cursors(|key| key.queue.topic == topic);
        // What of it is still held by position is let go of when the log would carry it.
        self.queues.delete_topic(topic, self.progress.batch());
        self.dead_letters.retain(|(queue, _), _| queue.topic != topic);
        DeadLetterRow::delete_topic(topic.0, self.progress.batch());
        self.delete_keys(topic);
        self.left.forget(|_, of| of == topic, self.progress.batch());
        self.spreads.forget_topic(topic, self.progress.batch());
        self.remember_deleted(Deleted::Topic(topic.0));
        self.effects.ready.retain(|queue| queue.topic != topic);
        Outcome::Done
    }

    pub(super) fn delete_consumer(&mut self, consumer: ConsumerId) -> Outcome {
        self.delete_cursors(|key| key.consumer == consumer);
        self.left.forget(|of, _| of == consumer, self.progress.batch());
        self.spreads.forget_consumer(consumer, self.progress.batch());
        self.remember_deleted(Deleted::Consumer(consumer.0));
        Outcome::Done
    }

    /// The cursors that were there.
    pub(super) fn delete_cursors(&mut self, of_it: impl Fn(&CursorKey) -> bool) -> Vec<CursorKey> {
        let keys = self.cursors.keys().copied().filter(|key| of_it(key)).collect::<Vec<_>>();
        for key in &keys {
            self.cursors.remove(key);
            self.busy.remove(key);
            self.touched.remove(key);
            CursorRow::delete(key.numbers(), self.progress.batch());
            delete_rows(key.numbers(), self.progress.batch());
            self.release_kept(key.queue, ..);
        }
        keys
    }

    fn remember_deleted(&mut self, gone: Deleted) {
        if self.deleted.insert(gone) {
            gone.put(self.progress.batch());
        }
        while self.deleted.len() > DELETED_MAX {
            let oldest = self.deleted.pop_first().expect("there is one");
            oldest.delete(self.progress.batch());
        }
    }
}
