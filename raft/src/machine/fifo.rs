//! Order within a message group: a message is delivered only together with, or after, all earlier
//! unsettled ones of its group.

use super::cursor::Cursor;

impl Cursor {
    /// Whether an earlier message of the same group stands in the way of `offset`. Those that the
    /// receive in hand has leased itself (from `first_lease` on) do not: they go along, in order.
    pub(super) fn is_blocked(&self, offset: u64, order_hash: u64, first_lease: u64) -> bool {
        let before = self.before_in_order(offset, order_hash);
        before.is_some_and(|before| self.unsettled[&before].lease < first_lease)
    }

    /// The last unsettled message of the same group before `offset`.
    pub(super) fn before_in_order(&self, offset: u64, order_hash: u64) -> Option<u64> {
        if order_hash == 0 {
            return None;
        }
        self.orders.get(&order_hash)?.range(..offset).next_back().copied()
    }

    /// A message left its group: the one behind it is first now, and ready if it waits for nothing else.
    pub(super) fn leave_order(&mut self, offset: u64, order_hash: u64) {
        let Some(group) = self.orders.get_mut(&order_hash) else { return };
        group.remove(&offset);
        let Some(first) = group.first().copied() else {
            self.orders.remove(&order_hash);
            return;
        };
        let slot = self.unsettled[&first];
        if !slot.is_leased() || slot.until_ms <= self.drained_to_ms {
            self.make_ready_if_first(first, &slot);
        }
    }
}
