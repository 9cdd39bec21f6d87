//! Long polls that wait for messages of a topic, and who wakes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::names::{ConsumerId, TopicId};

/// The waiting polls of a group, by topic. Soft state of one node.
#[derive(Default)]
pub(crate) struct Wakers {
    // A mutex, because apply and the polls run on different tasks; it is never held over an await.
    topics: Mutex<HashMap<TopicId, Arc<Notify>>>,
    /// Polls of consumer groups that have as many messages in flight as they may.
    consumers: Mutex<HashMap<ConsumerId, Arc<Notify>>>,
    waiting: Notify,
}

impl Wakers {
    /// What a poll of this topic waits on. Ask for `notified()` before looking at the queues.
    pub(crate) fn of(&self, topic: TopicId) -> Arc<Notify> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic).or_default().clone()
    }

    /// Fires when a message came that waits for its time or for its transaction, and when leadership changed.
    pub(crate) fn waiting(&self) -> &Notify {
        &self.waiting
    }

    /// Something became visible in a topic.
    pub(crate) fn wake(&self, topic: TopicId) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = topics.get(&topic) {
            notify.notify_waiters();
            // Nobody else holds it: nobody waits.
            if Arc::strong_count(notify) == 1 {
                topics.remove(&topic);
            }
        }
    }

    /// What a poll of a consumer group waits on that has a bound of messages in flight.
    pub(crate) fn of_consumer(&self, consumer: ConsumerId) -> Arc<Notify> {
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        consumers.entry(consumer).or_default().clone()
    }

    /// A consumer group has fewer messages in flight.
    pub(crate) fn free(&self, consumer: ConsumerId) {
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = consumers.get(&consumer) {
            notify.notify_waiters();
            if Arc::strong_count(notify) == 1 {
                consumers.remove(&consumer);
            }
        }
    }

    /// Leadership changed: every poll looks again.
    pub(crate) fn wake_all(&self) {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in topics.values() {
            notify.notify_waiters();
        }
        self.waiting.notify_waiters();
    }
}
