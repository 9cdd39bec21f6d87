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
    /// Polls of lite topics, by topic and hash of the name: a message wakes those who read its lite topic, not all
    /// the thousands that wait on the topic.
    lite: Mutex<HashMap<LiteKey, Vec<Arc<Notify>>>>,
    /// Polls of consumer groups that have as many messages in flight as they may.
    consumers: Mutex<HashMap<ConsumerId, Arc<Notify>>>,
    waiting: Notify,
}

type LiteKey = (TopicId, u64);

/// A poll that waits for messages of lite topics; until it is dropped.
pub(crate) struct LiteWait<'a> {
    wakers: &'a Wakers,
    keys: Vec<LiteKey>,
    /// What it waits on.
    pub notify: Arc<Notify>,
}

impl Drop for LiteWait<'_> {
    fn drop(&mut self) {
        let mut lite = self.wakers.lite.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            let Some(waiting) = lite.get_mut(key) else { continue };
            waiting.retain(|other| !Arc::ptr_eq(other, &self.notify));
            if waiting.is_empty() {
                lite.remove(key);
            }
        }
    }
}

impl Wakers {
    /// What a poll of these lite topics (hashes of names) waits on. Ask for `notified()` before looking at them.
    pub(crate) fn of_lite(&self, topic: TopicId, name_hashes: &[u64]) -> LiteWait<'_> {
        let notify = Arc::<Notify>::default();
        let keys = name_hashes.iter().map(|hash| (topic, *hash)).collect::<Vec<_>>();
        let mut lite = self.lite.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &keys {
            lite.entry(*key).or_default().push(notify.clone());
        }
        drop(lite);
        LiteWait { wakers: self, keys, notify }
    }

    /// Something became visible in a lite topic.
    pub(crate) fn wake_lite(&self, topic: TopicId, name_hash: u64) {
        let lite = self.lite.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in lite.get(&(topic, name_hash)).into_iter().flatten() {
            notify.notify_waiters();
        }
    }

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
        let lite = self.lite.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in lite.values().flatten() {
            notify.notify_waiters();
        }
        self.waiting.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_message_wakes_those_who_read_its_lite_topic() {
        let wakers = Wakers::default();
        let first = wakers.of_lite(TopicId(1), &[5, 6]);
        let second = wakers.of_lite(TopicId(1), &[6, 7]);
        let other = wakers.of_lite(TopicId(2), &[5, 6]);
        let woken = |by: &dyn Fn()| {
            let mut waits = [&first, &second, &other].map(|wait| Box::pin(wait.notify.notified()));
            waits.iter_mut().for_each(|wait| assert!(!wait.as_mut().enable()));
            by();
            waits.map(|mut wait| wait.as_mut().now_or_never().is_some())
        };
        assert_eq!(woken(&|| wakers.wake_lite(TopicId(1), 5)), [true, false, false]);
        assert_eq!(woken(&|| wakers.wake_lite(TopicId(1), 6)), [true, true, false]);
        assert_eq!(woken(&|| wakers.wake_lite(TopicId(1), 8)), [false; 3]);
        assert_eq!(woken(&|| wakers.wake(TopicId(1))), [false; 3]);
        assert_eq!(woken(&|| wakers.wake_all()), [true; 3]);
        drop((first, second, other));
        assert!(wakers.lite.lock().unwrap().is_empty());
    }
}
