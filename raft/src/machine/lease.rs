//! Changing when leases end.

use std::ops::Bound;

use store::planted::{PlantedBug, planted};
use store::tables::TableStore;
use store::tables::journal::Happened;

use super::Machine;
use super::acknowledge::Standing;
use super::cursor::CursorKey;
use crate::command::LeaseRef;
use crate::limits::RENEWAL_MS_MAX;
use crate::outcome::Outcome;
use crate::request::Rejection;

impl<T: TableStore> Machine<T> {
    /// Ends a lease `invisible_ms` from now. The revision before the valid one is taken for a
    /// repetition, and answered alike without a change.
    pub(super) fn change_lease(&mut self, lease: &LeaseRef, invisible_ms: u64) -> Outcome {
        let stamp_ms = self.progress.stamp_ms();
        let key = lease.cursor();
        let invalid = Outcome::Rejected(Rejection::InvalidReceipt);
        let Some(cursor) = self.cursors.get_mut(&key) else { return invalid };
        if cursor.standing(lease, stamp_ms) != Standing::Held {
            let slot = cursor.unsettled.get(&lease.offset.0);
            let repeated = slot.filter(|slot| {
                slot.is_leased()
                    && slot.lease == lease.lease
                    && lease.revision.checked_add(1) == Some(slot.revision)
            });
            return repeated.map_or(invalid, |slot| Outcome::Changed { revision: slot.revision });
        }
        let revision = lease.revision + 1;
        cursor.change(lease.offset.0, |slot| {
            slot.revision = revision;
            slot.until_ms = stamp_ms.saturating_add(invisible_ms);
            // Its end is the client's business from now on.
            slot.renew_until_ms = 0;
        });
        let slot = cursor.unsettled[&lease.offset.0];
        let about = (slot.attempt, slot.client, invisible_ms);
        self.journal.note(Happened::Changed, key, lease.offset.0, about);
        self.touched.insert(key);
        self.free(key.consumer);
        self.wake(key.queue);
        Outcome::Changed { revision }
    }

    /// Ends the leases of a client now.
    pub(super) fn release_client(&mut self, client: u64) -> Outcome {
        let stamp_ms = self.progress.stamp_ms();
        let mut released = Vec::new();
        for key in self.busy_keys() {
            let cursor = self.cursors.get_mut(&key).expect("a busy cursor is there");
            let held = cursor.deadlines.range((Bound::Excluded((stamp_ms, u64::MAX)), Bound::Unbounded));
            let offsets = held.map(|(_, offset)| *offset).filter(|at| cursor.unsettled[at].client == client);
            for offset in offsets.collect::<Vec<_>>() {
                let attempt = cursor.unsettled[&offset].attempt;
                self.journal.note(Happened::Released, key, offset, (attempt, client, 0));
                cursor.change(offset, |slot| slot.until_ms = stamp_ms);
                released.push(key);
            }
        }
        self.note(released);
        Outcome::Done
    }

    /// Moves the end of the renewed leases of `clients` that would end by `ending_by_ms`.
    pub(super) fn renew_leases(&mut self, clients: Vec<u64>, ending_by_ms: u64, extend_ms: u64) -> Outcome {
        let stamp_ms = self.progress.stamp_ms();
        let mut clients = clients;
        clients.sort_unstable();
        for key in self.busy_keys() {
            let cursor = self.cursors.get_mut(&key).expect("a busy cursor is there");
            if cursor.renewed == 0 || ending_by_ms <= stamp_ms {
                continue;
            }
            let ending = cursor.deadlines.range((stamp_ms + 1, 0)..=(ending_by_ms, u64::MAX));
            let offsets = ending.map(|(_, offset)| *offset).filter(|at| {
                let slot = &cursor.unsettled[at];
                slot.renew_until_ms > slot.until_ms && clients.binary_search(&slot.client).is_ok()
            });
            for offset in offsets.collect::<Vec<_>>() {
                cursor.change(offset, |slot| {
                    let extended = stamp_ms.saturating_add(extend_ms).min(slot.renew_until_ms);
                    slot.until_ms = slot.until_ms.max(extended);
                });
                self.touched.insert(key);
            }
        }
        Outcome::Done
    }

    /// Ends renewed leases that were given at `given_from_ms` or later: a node died on whose way to
    /// the client their messages may have been. Renewed while the client is online, they would be
    /// held for hours, and their message groups with them.
    pub(super) fn doubt_leases(&mut self, given_from_ms: u64, end_within_ms: u64) -> Outcome {
        let stamp_ms = self.progress.stamp_ms();
        let end_ms = stamp_ms.saturating_add(end_within_ms);
        if planted(PlantedBug::FifoLockLostOnFailover) {
            self.end_fifo_leases(stamp_ms);
        }
        let mut doubted = Vec::new();
        for key in self.busy_keys() {
            let cursor = self.cursors.get_mut(&key).expect("a busy cursor is there");
            if cursor.renewed == 0 {
                continue;
            }
            let held = cursor.deadlines.range((Bound::Excluded((stamp_ms, u64::MAX)), Bound::Unbounded));
            let offsets = held.map(|(_, offset)| *offset).filter(|at| {
                let renew_until_ms = cursor.unsettled[at].renew_until_ms;
                renew_until_ms >= given_from_ms.saturating_add(RENEWAL_MS_MAX)
            });
            for offset in offsets.collect::<Vec<_>>() {
                cursor.change(offset, |slot| {
                    slot.until_ms = slot.until_ms.min(end_ms);
                    slot.renew_until_ms = 0;
                });
                doubted.push(key);
            }
        }
        self.note(doubted);
        Outcome::Done
    }

    /// A planted bug: an election ends all leases of message groups.
    fn end_fifo_leases(&mut self, stamp_ms: u64) {
        let keys: Vec<CursorKey> = self.busy_keys().into_iter().collect();
        for key in &keys {
            let cursor = self.cursors.get_mut(key).expect("a busy cursor is there");
            let held = cursor.unsettled.iter().filter(|(_, slot)| slot.order_hash != 0 && slot.is_leased());
            for offset in held.map(|(offset, _)| *offset).collect::<Vec<_>>() {
                cursor.change(offset, |slot| slot.until_ms = stamp_ms);
            }
        }
        self.note(keys);
    }

    fn note(&mut self, changed: Vec<CursorKey>) {
        for key in changed {
            self.touched.insert(key);
            self.free(key.consumer);
            self.wake(key.queue);
        }
    }
}
