//! Putting messages into queues.

use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::consume_queue::Entry;

use super::Machine;
use crate::command::{COMMAND_HEADER_BYTES, PUBLISH_HEADER_BYTES};
use crate::names::{QueueKey, QueueOffset};
use crate::outcome::Outcome;
use crate::request::Published;

/// Where the record of the publish command that begins at `command_at` begins in the frame's body.
pub(super) fn record_at(command_at: usize) -> u64 {
    (command_at + COMMAND_HEADER_BYTES + PUBLISH_HEADER_BYTES) as u64
}

impl<T: TableStore> Machine<T> {
    pub(super) fn publish(
        &mut self,
        queue: QueueKey,
        id: u128,
        (tag_hash, order_hash): (u64, u64),
        position: LogPosition,
        length: usize,
    ) -> Outcome {
        if let Some(rejected) = self.topic_is_gone(queue.topic) {
            return rejected;
        }
        if let Some((queue, offset)) = self.dedup.get(queue.topic, id) {
            return Outcome::Published(Published { queue, offset: QueueOffset(offset), duplicate: true });
        }
        let entry = Entry { position, length: length as u32, tag_hash, order_hash, held: false };
        let offset = self.queues.append(queue, entry, self.progress.stamp_ms());
        self.dedup.put(queue, offset, id);
        self.wake(queue);
        Outcome::Published(Published { queue, offset: QueueOffset(offset), duplicate: false })
    }
}
