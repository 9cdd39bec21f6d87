//! Settling leases.

use store::planted::{PlantedBug, planted};
use store::tables::TableStore;
use store::tables::journal::Happened;

use super::Machine;
use super::cursor::{Cursor, CursorKey};
use crate::command::LeaseRef;
use crate::outcome::Outcome;
use crate::request::Rejection;

/// How a lease that a client names stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is held.
    Held,
    /// It was settled a short while ago: this is a repetition.
    Settled,
    /// It is over, or never was.
    Over,
}

impl LeaseRef {
    pub(super) fn cursor(&self) -> CursorKey {
        CursorKey { consumer: self.consumer, queue: self.queue }
    }
}

impl Cursor {
    pub(super) fn standing(&self, lease: &LeaseRef, stamp_ms: u64) -> Standing {
        let held = self.unsettled.get(&lease.offset.0).is_some_and(|slot| {
            slot.is_leased()
                && slot.lease == lease.lease
                && slot.revision == lease.revision
                && (stamp_ms < slot.until_ms || planted(PlantedBug::ReceiptValidAfterExpiry))
        });
        match held {
            true => Standing::Held,
            false if self.was_settled(lease.lease, lease.offset.0) => Standing::Settled,
            false => Standing::Over,
        }
    }
}

impl<T: TableStore> Machine<T> {
    pub(super) fn acknowledge(&mut self, leases: &[LeaseRef]) -> Outcome {
        Outcome::Acknowledged(leases.iter().map(|lease| self.acknowledge_one(lease)).collect())
    }

    fn acknowledge_one(&mut self, lease: &LeaseRef) -> Result<(), Rejection> {
        let stamp_ms = self.progress.stamp_ms();
        let key = lease.cursor();
        let cursor = self.cursors.get_mut(&key).ok_or(Rejection::InvalidReceipt)?;
        match cursor.standing(lease, stamp_ms) {
            Standing::Held => {}
            Standing::Settled => return Ok(()),
            Standing::Over => return Err(Rejection::InvalidReceipt),
        }
        let slot = cursor.remove(lease.offset.0).expect("a held lease is unsettled");
        self.settled.put(key, cursor, lease.lease, lease.offset.0);
        self.journal.note(Happened::Settled, key, lease.offset.0, (0, 0, 0));
        self.touched.insert(key);
        self.free(key.consumer);
        if slot.order_hash != 0 {
            // The next of its message group may be waiting.
            self.wake(key.queue);
        }
        Ok(())
    }
}
