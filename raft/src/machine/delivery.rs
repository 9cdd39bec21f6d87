//! How a message stands for a consumer group: why it is delivered, or is not.

use store::tables::TableStore;

use super::cursor::{Cursor, CursorKey};
use super::{Machine, receive};
use crate::limits::{PARKED_MAX, UNSETTLED_MAX};
use crate::names::{ConsumerId, QueueKey};
use crate::question::{Delivery, DeliveryState};

impl<T: TableStore> Machine<T> {
    /// How the message at `offset`, of the message group `order_hash` (0 for none), stands at `now_ms`, by
    /// the log's clock.
    pub fn delivery(
        &self,
        consumer: ConsumerId,
        queue: QueueKey,
        offset: u64,
        order_hash: u64,
        now_ms: u64,
    ) -> DeliveryState {
        let now_ms = now_ms.max(self.progress.stamp_ms());
        let place = self.queue_place(queue, Some(consumer));
        let cursor = self.cursors.get(&CursorKey { consumer, queue });
        let delivery = match cursor {
            _ if offset >= place.state.end => Delivery::NotThere,
            None if offset < place.state.first => Delivery::Gone,
            None => Delivery::NotReadYet,
            Some(cursor) => match cursor.delivery(offset, order_hash, now_ms) {
                Delivery::Settled if offset < place.state.first => Delivery::Gone,
                delivery => delivery,
            },
        };
        let is_fresh = matches!(delivery, Delivery::Ahead { .. } | Delivery::NotReadYet);
        let limit = self.spreads.limit(CursorKey { consumer, queue });
        let unsettled = cursor.map_or(0, |cursor| cursor.unsettled.len());
        let parked = cursor.map_or(0, |cursor| cursor.parked);
        DeliveryState {
            place,
            now_ms,
            unsettled: unsettled as u64,
            in_flight: self.in_flight(consumer, now_ms),
            is_full: unsettled >= UNSETTLED_MAX || parked >= PARKED_MAX,
            delivery,
            behind_spread: is_fresh && order_hash != 0 && offset >= limit,
        }
    }
}

impl Cursor {
    fn delivery(&self, offset: u64, order_hash: u64, now_ms: u64) -> Delivery {
        // In a group without order nothing has a message group here, so nothing stands before it.
        let behind = self.before_in_order(offset, order_hash);
        match self.unsettled.get(&offset) {
            None if offset < self.next => Delivery::Settled,
            None => Delivery::Ahead { behind },
            Some(slot) if !slot.is_leased() => Delivery::Parked { behind },
            Some(slot) if slot.until_ms > now_ms => Delivery::Leased {
                client: slot.client,
                attempt: slot.attempt,
                until_ms: slot.until_ms,
                changed: slot.revision > 0,
                renewed: slot.renew_until_ms > 0,
                repeatable: receive::is_repeatable(slot, now_ms),
            },
            Some(slot) => Delivery::Returned { attempt: slot.attempt, since_ms: slot.until_ms, behind },
        }
    }
}
