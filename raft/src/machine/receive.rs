//! Leasing messages: first what was leased to the same request, then what came back, then fresh ones.

use std::collections::BTreeSet;

use store::tables::TableStore;
use store::tables::consume_queue::{Block, Entry};
use store::tables::journal::Happened;
use store::tables::lease::Unsettled;

use super::cursor::{Cursor, CursorKey};
use super::{Machine, MachineFailure};
use crate::command::{ReceiveCommand, Verdict, Wanted};
use crate::limits::{
    PARKED_MAX, QUEUES_MAX, RECEIVE_MESSAGES_MAX, RECEIVE_SCAN_MAX, RENEWAL_MS_MAX, UNSETTLED_MAX,
};
use crate::names::{QueueKey, QueueOffset};
use crate::outcome::{LeasedMessage, Outcome};

/// What a receive has got so far, and how much more it may do.
pub(super) struct Batch<'a> {
    command: &'a ReceiveCommand,
    pub(super) stamp_ms: u64,
    pub(super) max: usize,
    /// Fresh and expired entries that it may still look at.
    scan: usize,
    /// So many of them were expired.
    expired: u64,
    messages: Vec<LeasedMessage>,
    /// So many more messages may be in flight for the consumer group.
    room: usize,
}

/// Which fresh messages of one queue a receive leases.
enum Choice<'a> {
    All,
    AnyOf(&'a [u64]),
    Judged(Option<&'a Verdict>),
}

impl Wanted {
    fn of(&self, queue: u32) -> Choice<'_> {
        match self {
            Wanted::All => Choice::All,
            Wanted::AnyOf(hashes) => Choice::AnyOf(hashes),
            Wanted::Judged(verdicts) => {
                Choice::Judged(verdicts.iter().find(|verdict| verdict.queue == queue))
            }
        }
    }
}

impl Choice<'_> {
    /// Whether the message is wanted; `None` if it was not judged: then it stays fresh.
    fn wants(&self, offset: u64, tag_hash: u64) -> Option<bool> {
        match self {
            Choice::All => Some(true),
            Choice::AnyOf(hashes) => Some(hashes.contains(&tag_hash)),
            Choice::Judged(verdict) => {
                let verdict = verdict.filter(|verdict| (verdict.from..verdict.to).contains(&offset))?;
                Some(verdict.matches.binary_search(&offset).is_ok())
            }
        }
    }
}

impl<T: TableStore> Machine<T> {
    pub(super) fn receive(&mut self, command: &ReceiveCommand) -> Result<Outcome, MachineFailure> {
        let gone = self.consumer_is_gone(command.consumer).or_else(|| self.topic_is_gone(command.topic));
        if let Some(rejected) = gone {
            return Ok(rejected);
        }
        let mut batch = Batch {
            command,
            stamp_ms: self.progress.stamp_ms(),
            max: usize::from(command.max).min(RECEIVE_MESSAGES_MAX),
            scan: RECEIVE_SCAN_MAX,
            expired: 0,
            messages: Vec::new(),
            room: usize::MAX,
        };
        let mut keys = command.cursors().take(QUEUES_MAX as usize).collect::<Vec<_>>();
        let mut seen = BTreeSet::new();
        keys.retain(|key| seen.insert(*key) && !self.lite_is_gone(key.queue));
        for key in &keys {
            self.begin_reading(*key, command.start)?;
            self.lease_again(*key, &mut batch)?;
        }
        if batch.messages.is_empty() {
            batch.room = self.room_in_flight(command.consumer, command.in_flight_max);
            // Where the next lease of each queue begins: what this receive leases blocks nothing in it.
            let first_lease = |key: &CursorKey| (*key, self.cursors[key].last_lease + 1);
            let turns = keys.iter().map(first_lease).collect::<Vec<_>>();
            if command.rules.by_priority {
                self.lease_by_priority(turns, &mut batch)?;
            } else {
                for (key, first_lease) in &turns {
                    self.lease_returned(*key, *first_lease, &mut batch)?;
                }
                for (key, first_lease) in &turns {
                    self.lease_fresh(*key, *first_lease, &mut batch)?;
                }
            }
            self.note_leases(&batch);
        }
        self.effects.expired += batch.expired;
        Ok(Outcome::Received { stamp_ms: batch.stamp_ms, messages: batch.messages })
    }

    fn note_leases(&mut self, batch: &Batch<'_>) {
        let Batch { command, messages, .. } = batch;
        for message in messages {
            let key = CursorKey { consumer: command.consumer, queue: message.queue };
            let about = (message.attempt, command.client, command.invisible_ms);
            self.journal.note(Happened::Leased, key, message.offset.0, about);
        }
    }

    /// The same request while its leases live: its answer got lost, so it gets the same batch.
    fn lease_again(&mut self, key: CursorKey, batch: &mut Batch<'_>) -> Result<(), MachineFailure> {
        let cursor = &self.cursors[&key];
        let Some(grant) = cursor.grants.get(&batch.command.attempt) else { return Ok(()) };
        let mut given = BTreeSet::new();
        for offset in grant {
            let slot = &cursor.unsettled[offset];
            // Nor one whose predecessor was given back meanwhile: it would overtake it.
            let overtakes = cursor
                .before_in_order(*offset, slot.order_hash)
                .is_some_and(|before| !given.contains(&before));
            if !is_repeatable(slot, batch.stamp_ms) || overtakes {
                continue;
            }
            given.insert(*offset);
            if let Some((entry, stored_ms)) = self.queues.entry(self.progress.tables(), key.queue, *offset)? {
                batch.messages.push(leased(key.queue, *offset, slot, &entry, stored_ms));
            }
        }
        Ok(())
    }

    /// Messages whose lease is over, and those whose message group has got free.
    pub(super) fn lease_returned(
        &mut self,
        key: CursorKey,
        first_lease: u64,
        batch: &mut Batch<'_>,
    ) -> Result<(), MachineFailure> {
        let dead_letters = batch.command.dead_letters;
        let may_bury = self.topic_is_gone(dead_letters.topic).is_none();
        let cursor = self.cursors.get_mut(&key).expect("reading has begun");
        cursor.drain(batch.stamp_ms);
        let mut buried = Vec::new();
        let mut at = 0;
        while batch.messages.len() < batch.max && batch.room > 0 && batch.scan > 0 {
            let Some(offset) = cursor.ready.range(at..).next().copied() else { break };
            at = offset + 1;
            let slot = cursor.unsettled[&offset];
            if slot.lease >= first_lease {
                // Leased by this receive, for no time.
                continue;
            }
            if cursor.is_blocked(offset, slot.order_hash, first_lease) {
                // It comes back when the one before it leaves.
                cursor.ready.remove(&offset);
                continue;
            }
            self.touched.insert(key);
            let entry = self.queues.entry(self.progress.tables(), key.queue, offset)?;
            cursor.remove(offset);
            // No entry: the queue was deleted and made again, so it is settled.
            let Some((entry, stored_ms)) = entry else { continue };
            if batch.is_expired(stored_ms) {
                batch.scan -= 1;
                batch.expired += 1;
                continue;
            }
            if slot.is_leased() && slot.attempt >= batch.command.max_attempts.max(1) && may_bury {
                buried.push((offset, (entry, slot.attempt)));
                continue;
            }
            let slot = batch.lease(cursor, slot.order_hash, slot.attempt.saturating_add(1));
            cursor.insert(offset, slot);
            batch.messages.push(leased(key.queue, offset, &slot, &entry, stored_ms));
        }
        for (offset, buried) in buried {
            self.bury(key, offset, buried, dead_letters);
        }
        Ok(())
    }

    /// Messages that were never looked at.
    pub(super) fn lease_fresh(
        &mut self,
        key: CursorKey,
        first_lease: u64,
        batch: &mut Batch<'_>,
    ) -> Result<(), MachineFailure> {
        let (first, _) = self.queues.bounds(key.queue);
        let limit = if batch.command.fifo { self.spreads.limit(key) } else { u64::MAX };
        let cursor = self.cursors.get_mut(&key).expect("reading has begun");
        let begun_at = cursor.next;
        cursor.next = cursor.next.max(first);
        while !batch.is_full(cursor) && cursor.next < limit {
            let Some(block) = self.queues.block(self.progress.tables(), key.queue, cursor.next)? else {
                break;
            };
            if !batch.take_fresh(key.queue, &block, (first_lease, limit), cursor) {
                break;
            }
        }
        if cursor.next != begun_at {
            cursor.moved = true;
            self.touched.insert(key);
        }
        Ok(())
    }
}

impl Batch<'_> {
    fn is_full(&self, cursor: &Cursor) -> bool {
        self.room == 0
            || self.messages.len() >= self.max
            || self.scan == 0
            || cursor.unsettled.len() >= UNSETTLED_MAX
    }

    /// Whether the time to live of a message is over.
    fn is_expired(&self, stored_ms: u64) -> bool {
        let ttl_ms = self.command.rules.ttl_ms;
        ttl_ms != 0 && stored_ms.saturating_add(ttl_ms) <= self.stamp_ms
    }

    /// Leases what is wanted of a block, from the cursor's next offset on, below `limit`. Answers whether to go on.
    fn take_fresh(
        &mut self,
        queue: QueueKey,
        block: &Block,
        (first_lease, limit): (u64, u64),
        cursor: &mut Cursor,
    ) -> bool {
        let choice = self.command.wanted.of(queue.number);
        let expired = self.is_expired(block.stored_ms);
        while let Some(entry) = block.entry(cursor.next) {
            if self.is_full(cursor) || cursor.next >= limit {
                return false;
            }
            if expired {
                self.scan -= 1;
                self.expired += 1;
                cursor.next += 1;
                continue;
            }
            let offset = cursor.next;
            let order_hash = if self.command.fifo { entry.order_hash } else { 0 };
            let Some(wanted) = choice.wants(offset, entry.tag_hash) else { return false };
            let blocked = wanted && cursor.is_blocked(offset, order_hash, first_lease);
            if blocked && cursor.parked >= PARKED_MAX {
                return false;
            }
            self.scan -= 1;
            cursor.next += 1;
            if blocked {
                cursor.insert(offset, Unsettled { order_hash, ..Unsettled::default() });
            } else if wanted {
                let slot = self.lease(cursor, order_hash, 1);
                cursor.insert(offset, slot);
                self.messages.push(leased(queue, offset, &slot, entry, block.stored_ms));
            }
        }
        true
    }

    fn lease(&mut self, cursor: &mut Cursor, order_hash: u64, attempt: u16) -> Unsettled {
        self.room -= 1;
        let renew_until_ms = self.stamp_ms.saturating_add(RENEWAL_MS_MAX);
        Unsettled {
            order_hash,
            lease: cursor.new_lease(),
            revision: 0,
            attempt,
            until_ms: self.stamp_ms.saturating_add(self.command.invisible_ms),
            renew_until_ms: if self.command.auto_renew { renew_until_ms } else { 0 },
            client: self.command.client,
            request: self.command.attempt,
        }
    }
}

impl ReceiveCommand {
    /// The consumer group in each of the queues, in their order.
    pub(super) fn cursors(&self) -> impl Iterator<Item = CursorKey> + '_ {
        self.queues.iter().map(|number| CursorKey {
            consumer: self.consumer,
            queue: QueueKey { topic: self.topic, number: *number },
        })
    }
}

/// Whether a lease is one that a repeated receive gets again.
pub(super) fn is_repeatable(slot: &Unsettled, now_ms: u64) -> bool {
    slot.revision == 0 && now_ms < slot.until_ms
}

fn leased(queue: QueueKey, offset: u64, slot: &Unsettled, entry: &Entry, stored_ms: u64) -> LeasedMessage {
    LeasedMessage {
        queue,
        offset: QueueOffset(offset),
        lease: slot.lease,
        revision: slot.revision,
        attempt: slot.attempt,
        until_ms: slot.until_ms,
        stored_ms,
        position: entry.position,
        length: entry.length,
    }
}
