//! How many messages a consumer group has in flight here, over all queues of this broker group.
//!
//! In flight is what is leased and not settled: also what rests before it is delivered again.

use store::tables::TableStore;

use super::Machine;
use super::cursor::Cursor;
use crate::names::ConsumerId;
use crate::request::Receive;

impl<T: TableStore> Machine<T> {
    /// How many more messages a consumer group may have in flight at the log's time.
    pub(super) fn room_in_flight(&self, consumer: ConsumerId, max: Option<u64>) -> usize {
        let Some(max) = max else { return usize::MAX };
        let in_flight = self.in_flight(consumer, self.progress.stamp_ms());
        usize::try_from(max.saturating_sub(in_flight)).unwrap_or(usize::MAX)
    }

    /// Whether a receive may lease anything at `now_ms` beside what it holds already.
    pub fn has_room(&self, receive: &Receive, now_ms: u64) -> bool {
        receive.in_flight_max.is_none_or(|max| self.in_flight(receive.consumer, now_ms) < max)
    }

    /// How many messages a consumer group has in flight at `now_ms`.
    pub fn in_flight(&self, consumer: ConsumerId, now_ms: u64) -> u64 {
        self.busy_cursors_of(consumer).map(|cursor| cursor.in_flight(now_ms)).sum()
    }

    /// When the next lease of a consumer group ends, by the log's clock.
    pub fn next_end_ms(&self, consumer: ConsumerId) -> Option<u64> {
        self.busy_cursors_of(consumer)
            .filter_map(|cursor| cursor.deadlines.first())
            .map(|(end_ms, _)| *end_ms)
            .min()
    }
}

impl Cursor {
    /// Leases that end after `now_ms`.
    pub(super) fn in_flight(&self, now_ms: u64) -> u64 {
        let ended = self.deadlines.range(..=(now_ms, u64::MAX)).count();
        (self.deadlines.len() - ended) as u64
    }
}
