//! Moving messages to the dead letters: another entry over the same bytes.

use store::tables::TableStore;
use store::tables::consume_queue::Entry;

use super::acknowledge::Standing;
use super::cursor::CursorKey;
use super::{DeadLettered, Machine, MachineFailure};
use crate::command::LeaseRef;
use crate::names::QueueKey;
use crate::outcome::Outcome;
use crate::request::Rejection;

impl<T: TableStore> Machine<T> {
    /// Moves a leased message, as its client asks.
    pub(super) fn dead_letter(
        &mut self,
        lease: &LeaseRef,
        dead_letters: QueueKey,
    ) -> Result<Outcome, MachineFailure> {
        let invalid = Ok(Outcome::Rejected(Rejection::InvalidReceipt));
        if let Some(rejected) = self.topic_is_gone(dead_letters.topic) {
            return Ok(rejected);
        }
        let (key, offset) = (lease.cursor(), lease.offset.0);
        let Some(cursor) = self.cursors.get_mut(&key) else { return invalid };
        match cursor.standing(lease, self.progress.stamp_ms()) {
            Standing::Held => {}
            Standing::Settled => return Ok(Outcome::Done),
            Standing::Over => return invalid,
        }
        let entry = self.queues.entry(self.progress.tables(), key.queue, offset)?;
        cursor.remove(offset);
        self.settled.put(key, cursor, lease.lease, offset);
        self.touched.insert(key);
        self.wake(key.queue);
        if let Some((entry, _)) = entry {
            self.bury(key, offset, entry, dead_letters);
        }
        Ok(Outcome::Done)
    }

    /// Puts the entry into the queue of dead letters. The caller has settled it.
    pub(super) fn bury(&mut self, key: CursorKey, offset: u64, entry: Entry, dead_letters: QueueKey) {
        let at = self.append_held(dead_letters, entry);
        let (from, to) = ((key.queue, offset), (dead_letters, at));
        self.effects.dead_lettered.push(DeadLettered { consumer: key.consumer, from, to });
    }
}
