//! Queues as levels of priority: the highest number first, and a share for what has waited too long.

use std::cmp::Reverse;

use store::tables::TableStore;

use super::cursor::CursorKey;
use super::receive::Batch;
use super::{Machine, MachineFailure};
use crate::limits::{PRIORITY_TURN, PRIORITY_WAIT_MS_MAX};

impl<T: TableStore> Machine<T> {
    /// Leases from the highest queue down, from each what came back before what is fresh. Before
    /// that, one of [`PRIORITY_TURN`] leases goes to what has waited for longer than
    /// [`PRIORITY_WAIT_MS_MAX`], the oldest first: a stream of higher priority slows the lower ones
    /// down, but starves none, and a long backlog of lower ones does not hold up the higher.
    ///
    /// `turns`: each queue with the first lease that this receive may give in it.
    pub(super) fn lease_by_priority(
        &mut self,
        mut turns: Vec<(CursorKey, u64)>,
        batch: &mut Batch<'_>,
    ) -> Result<(), MachineFailure> {
        turns.sort_by_key(|(key, _)| Reverse(key.queue.number));
        let max = batch.max;
        let given = turns.iter().map(|(_, first_lease)| first_lease - 1).sum::<u64>();
        let old = self.waited_too_long(&turns, batch.stamp_ms)?;
        batch.max = old_share(given, max);
        for (key, first_lease) in old {
            self.lease_returned(key, first_lease, batch)?;
            self.lease_fresh(key, first_lease, batch)?;
        }
        batch.max = max;
        for (key, first_lease) in turns {
            self.lease_returned(key, first_lease, batch)?;
            self.lease_fresh(key, first_lease, batch)?;
        }
        Ok(())
    }

    /// The queues whose first visible message has waited for too long, the longest first.
    fn waited_too_long(
        &mut self,
        turns: &[(CursorKey, u64)],
        stamp_ms: u64,
    ) -> Result<Vec<(CursorKey, u64)>, MachineFailure> {
        let mut old = Vec::new();
        for turn in turns {
            let since_ms = self.visible_since_ms(turn.0, stamp_ms)?;
            if let Some(since_ms) = since_ms.filter(|since_ms| since_ms + PRIORITY_WAIT_MS_MAX < stamp_ms) {
                old.push((since_ms, *turn));
            }
        }
        // Stable: of equally old ones the higher goes first.
        old.sort_by_key(|(since_ms, _)| *since_ms);
        Ok(old.into_iter().map(|(_, turn)| turn).collect())
    }

    /// Since when the first message that came back, or the first fresh one, can be delivered.
    fn visible_since_ms(&mut self, key: CursorKey, stamp_ms: u64) -> Result<Option<u64>, MachineFailure> {
        let (first, _) = self.queues.bounds(key.queue);
        let cursor = self.cursors.get_mut(&key).expect("reading has begun");
        cursor.drain(stamp_ms);
        let mut returned_ms = None;
        // A blocked one may be among the ready ones, or not: the answer must not depend on that (R4).
        while let Some(offset) = cursor.ready.first().copied() {
            let slot = cursor.unsettled[&offset];
            if !cursor.is_blocked(offset, slot.order_hash, u64::MAX) {
                returned_ms = Some(slot.until_ms);
                break;
            }
            // It comes back when the one before it leaves.
            cursor.ready.remove(&offset);
        }
        let next = cursor.next.max(first);
        let block = self.queues.block(self.progress.tables(), key.queue, next)?;
        let fresh_ms = block.map(|block| block.stored_ms);
        Ok(returned_ms.into_iter().chain(fresh_ms).min())
    }
}

/// How many of the next `max` leases go to what has waited for too long, after `given` ones: the
/// first of each turn.
fn old_share(given: u64, max: usize) -> usize {
    let turns_before = |leases: u64| leases.div_ceil(PRIORITY_TURN);
    (turns_before(given + max as u64) - turns_before(given)) as usize
}

#[cfg(test)]
mod tests {
    use super::old_share;

    #[test]
    fn one_of_four_leases_goes_to_the_old_ones_however_large_the_batches_are() {
        for max in [1, 2, 3, 4, 7, 32] {
            let shares = (0..100).map(|turn| old_share(turn * max, max as usize)).sum::<usize>();
            assert_eq!(shares as u64, (100 * max).div_ceil(4), "batches of {max}");
        }
        assert_eq!((old_share(0, 1), old_share(1, 1), old_share(4, 1)), (1, 0, 1));
    }
}
