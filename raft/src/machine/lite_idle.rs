//! Lite topics that nobody uses go, with their queues and all that consumer groups know of them.
//!
//! A lite topic that holds no message any more is idle. One that holds some is idle if its topic says
//! after how long, nothing was published to it for so long, and no consumer group has one of its
//! messages leased (or resting before it is delivered again). Nobody needs to have read them.

use store::tables::TableStore;
use store::tables::cursor::CursorRow;
use store::tables::held::Holder;
use store::tables::kept::KeptRow;
use store::tables::lease::{OFFSETS_PER_ROW, delete_row};

use super::cursor::Cursor;
use super::{Machine, MachineFailure};
use crate::limits::{LITE_GONE_AT_ONCE, LITE_QUEUES_FROM};
use crate::names::{QueueKey, TopicId};
use crate::outcome::Outcome;

/// What a look for idle lite topics found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleLook {
    /// Idle ones: topics, and hashes of the names.
    pub idle: Vec<(TopicId, u64)>,
    /// Where the next look goes on; `None` if it begins anew.
    pub looked_to: Option<(TopicId, u64)>,
}

impl<T: TableStore> Machine<T> {
    /// Lets go of those that are idle at the log's time.
    pub(super) fn expire_lite(
        &mut self,
        topic: TopicId,
        idle_ms: u64,
        name_hashes: &[u64],
    ) -> Result<Outcome, MachineFailure> {
        if let Some(rejected) = self.topic_is_gone(topic) {
            return Ok(rejected);
        }
        let (mut lite_topics, mut unread) = (0, 0);
        for hash in name_hashes.iter().take(LITE_GONE_AT_ONCE) {
            let Some(queue) = self.lite.get(topic, *hash) else { continue };
            if !self.is_idle(queue, idle_ms, self.progress.stamp_ms()) {
                continue;
            }
            unread += self.unread(queue);
            self.remove_lite(queue, *hash)?;
            lite_topics += 1;
        }
        Ok(Outcome::LiteGone { lite_topics, unread })
    }

    /// Looks at so many lite topics behind `after`, for a leader: which of them are idle, as `idle_ms` says of
    /// their topics (0 if a topic says nothing; `None` if it is not to be looked at), at `now_ms`.
    pub fn idle_lite_topics(
        &self,
        after: Option<(TopicId, u64)>,
        looks: usize,
        idle_ms: impl Fn(TopicId) -> Option<u64>,
        now_ms: u64,
    ) -> IdleLook {
        let mut look = IdleLook::default();
        for (looked, (topic, hash, queue)) in self.lite.behind(after).enumerate() {
            if looked >= looks || look.idle.len() >= LITE_GONE_AT_ONCE {
                return look;
            }
            look.looked_to = Some((topic, hash));
            if idle_ms(topic).is_some_and(|idle_ms| self.is_idle(queue, idle_ms, now_ms)) {
                look.idle.push((topic, hash));
            }
        }
        look.looked_to = None;
        look
    }

    /// Whether a queue is one of a lite topic that has gone.
    pub(super) fn lite_is_gone(&self, queue: QueueKey) -> bool {
        queue.number >= LITE_QUEUES_FROM && self.queues.get(queue).is_none()
    }

    fn is_idle(&self, queue: QueueKey, idle_ms: u64, now_ms: u64) -> bool {
        // Who got a message in the frame in hand is in use, even if the same frame trimmed it.
        if self.queues.is_open(queue) {
            return false;
        }
        let Some(newest_ms) = self.queues.newest_ms(queue) else { return true };
        let is_leased = |cursor: &Cursor| cursor.deadlines.last().is_some_and(|(end_ms, _)| *end_ms > now_ms);
        idle_ms > 0
            && newest_ms.saturating_add(idle_ms) <= now_ms
            && !self.cursors_in(queue).iter().any(|key| is_leased(&self.cursors[key]))
    }

    /// Messages that consumer groups have not settled.
    fn unread(&self, queue: QueueKey) -> u64 {
        let (first, end) = self.queues.bounds(queue);
        let keys = self.cursors_in(queue);
        if keys.is_empty() {
            return end - first;
        }
        let of = |cursor: &Cursor| cursor.unsettled.len() as u64 + (end - cursor.next.clamp(first, end));
        keys.iter().map(|key| of(&self.cursors[key])).sum()
    }

    fn remove_lite(&mut self, queue: QueueKey, name_hash: u64) -> Result<(), MachineFailure> {
        for key in self.cursors_in(queue) {
            let cursor = self.cursors.remove(&key).expect("it was found");
            self.busy.remove(&key);
            self.touched.remove(&key);
            let batch = self.progress.batch();
            let mut rows = cursor.unsettled.keys().map(|offset| offset / OFFSETS_PER_ROW).collect::<Vec<_>>();
            rows.extend(cursor.dirty_rows());
            rows.dedup();
            rows.into_iter().for_each(|row| delete_row(key.numbers(), row, batch));
            CursorRow::delete(key.numbers(), batch);
        }
        for (offset, (entry, _)) in self.queues.kept.remove(&queue).unwrap_or_default() {
            let (numbers, batch) = (queue.numbers(), self.progress.batch());
            KeptRow::delete(numbers, offset, batch);
            self.held.remove(entry.position, Holder::Kept { queue: numbers, offset });
        }
        // What of it is still held by position is let go of when the log would carry it.
        self.queues.remove(self.progress.durability.tables(), queue, &mut self.progress.batch)?;
        self.lite.remove(queue.topic, name_hash, &mut self.progress.batch);
        self.expire_keys(queue.topic)
    }
}
