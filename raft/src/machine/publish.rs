//! Taking messages: into their queue at once, or kept until they may be there.

use store::planted::{PlantedBug, planted};
use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::consume_queue::Entry;
use store::tables::pending::Pending;
use store::tables::timer::TimerKey;

use super::Machine;
use super::window::Window;
use crate::command::PublishCommand;
use crate::names::QueueOffset;
use crate::outcome::Outcome;
use crate::request::{Place, Published, Rejection};

impl<T: TableStore> Machine<T> {
    /// Takes a message whose record stands at `position`.
    pub(super) fn publish(&mut self, message: &PublishCommand, position: LogPosition) -> Outcome {
        let mut queue = message.queue;
        if let Some(rejected) = self.topic_is_gone(queue.topic) {
            return rejected;
        }
        let window = Window { now_ms: self.progress.stamp_ms(), length_ms: message.extras.dedup_window_ms };
        if let Some((queue, place)) = self.dedup.get(queue.topic, message.dedup, window) {
            return Outcome::Published(Published { queue, place, duplicate: true });
        }
        if !self.spreads.takes(message) {
            return Outcome::Rejected(Rejection::Respread);
        }
        if let Some(name_hash) = message.extras.lite_hash {
            // It would have to be remembered while it waits; edges take none.
            if message.extras.due_ms.is_some() || message.extras.check_after_ms.is_some() {
                let why = "messages of lite topics do not wait".to_string();
                return Outcome::Rejected(Rejection::Invalid(why));
            }
            match self.lite.queue_of(queue.topic, name_hash, self.progress.batch()) {
                Ok(of_lite_topic) => queue = of_lite_topic,
                Err(rejection) => return Outcome::Rejected(rejection),
            }
        }
        let entry = Entry {
            position,
            length: message.record.len() as u32,
            tag_hash: message.tag_hash,
            order_hash: message.order_hash,
            held: false,
        };
        let stamp_ms = self.progress.stamp_ms();
        let pending = || Pending { queue: queue.numbers(), entry, id: message.dedup };
        let number = position.0;
        let place = match (message.extras.check_after_ms, message.extras.due_ms) {
            (Some(check_after_ms), _) => {
                if let Err(rejection) = self.begin_transaction(number, pending(), check_after_ms) {
                    return Outcome::Rejected(rejection);
                }
                if planted(PlantedBug::HalfMessageIndexed) {
                    self.queues.append(queue, entry, stamp_ms);
                    self.wake(queue);
                }
                Place::Waiting(number)
            }
            (None, Some(due_ms)) if due_ms > stamp_ms => {
                self.wait_until(TimerKey { due_ms, number }, pending());
                Place::Waiting(number)
            }
            (None, _) => {
                let offset = self.queues.append(queue, entry, stamp_ms);
                self.wake(queue);
                Place::Queued(QueueOffset(offset))
            }
        };
        self.dedup.put(queue, place, message.dedup, window);
        if !message.extras.key_hashes.is_empty() {
            self.index_keys(&message.extras.key_hashes, queue, place, message.extras.due_ms);
        }
        Outcome::Published(Published { queue, place, duplicate: false })
    }
}
