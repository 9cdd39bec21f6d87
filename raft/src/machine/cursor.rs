//! A consumer group in a queue: what it has not settled, and the indexes that find it quickly.
//!
//! `next` is the first offset that was never looked at. Below it, an offset is settled unless it is
//! in `unsettled`. Everything else here is derived from those two and from the log's time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use store::tables::Batch;
use store::tables::cursor::{CursorNumbers, CursorRow};
use store::tables::lease::{OFFSETS_PER_ROW, Unsettled, delete_rows, put_row};

use crate::names::{ConsumerId, QueueKey, TopicId};

/// Which consumer group in which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CursorKey {
    pub consumer: ConsumerId,
    pub queue: QueueKey,
}

impl CursorKey {
    pub(super) fn of(numbers: CursorNumbers) -> CursorKey {
        let (consumer, topic, number) = numbers;
        CursorKey { consumer: ConsumerId(consumer), queue: QueueKey { topic: TopicId(topic), number } }
    }

    pub(super) fn numbers(self) -> CursorNumbers {
        (self.consumer.0, self.queue.topic.0, self.queue.number)
    }
}

/// A consumer group's place in a queue.
#[derive(Default)]
pub(super) struct Cursor {
    /// The first offset that was never delivered, parked or passed over.
    pub next: u64,
    /// The newest lease.
    pub last_lease: u64,
    /// Whether `next` or `last_lease` changed in the frame in hand.
    pub moved: bool,
    /// Nothing for most of a million lite topics: then it takes no room.
    open: Option<Box<Open>>,
}

/// What is open between a consumer group and a queue: unsettled messages, and what was settled a moment
/// ago. A [`Cursor`] is read as one; it makes one when it is written to, and [`Cursor::fold`] lets go of it.
pub(super) struct Open {
    pub unsettled: BTreeMap<u64, Unsettled>,
    /// (end, offset) of the leases that end after `drained_to_ms`.
    pub deadlines: BTreeSet<(u64, u64)>,
    /// What may be delivered again now; an entry that is blocked by its message group may be among
    /// it, one that is not blocked is never missing once the deadlines are drained.
    pub ready: BTreeSet<u64>,
    /// Leases that ended by this time have been moved from `deadlines` to `ready`.
    pub drained_to_ms: u64,
    /// How many wait for their message group.
    pub parked: usize,
    /// How many leases the leader renews.
    pub renewed: usize,
    /// Offsets by the receive that leased them.
    pub grants: BTreeMap<u64, BTreeSet<u64>>,
    /// Unsettled offsets by message group.
    pub orders: BTreeMap<u64, BTreeSet<u64>>,
    /// Leases settled in the last minute: first lease of a run → (first offset, count).
    pub settled_runs: BTreeMap<u64, (u64, u64)>,
    dirty_rows: BTreeSet<u64>,
}

impl Open {
    const NOTHING: Open = Open {
        unsettled: BTreeMap::new(),
        deadlines: BTreeSet::new(),
        ready: BTreeSet::new(),
        drained_to_ms: 0,
        parked: 0,
        renewed: 0,
        grants: BTreeMap::new(),
        orders: BTreeMap::new(),
        settled_runs: BTreeMap::new(),
        dirty_rows: BTreeSet::new(),
    };
}

impl Deref for Cursor {
    type Target = Open;

    fn deref(&self) -> &Open {
        static NOTHING: Open = Open::NOTHING;
        self.open.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Cursor {
    fn deref_mut(&mut self) -> &mut Open {
        self.open.get_or_insert_with(|| Box::new(Open::NOTHING))
    }
}

impl Cursor {
    pub(super) fn at(next: u64, last_lease: u64) -> Cursor {
        Cursor { next, last_lease, moved: true, ..Cursor::default() }
    }

    /// Everything below is settled.
    pub(super) fn settled(&self) -> u64 {
        self.unsettled.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }

    /// The next lease's number.
    pub(super) fn new_lease(&mut self) -> u64 {
        self.last_lease += 1;
        self.moved = true;
        self.last_lease
    }

    /// Puts a message among the unsettled ones.
    ///
    /// # Panics
    /// If it is there already.
    pub(super) fn insert(&mut self, offset: u64, slot: Unsettled) {
        self.dirty_rows.insert(offset / OFFSETS_PER_ROW);
        if slot.order_hash != 0 {
            self.orders.entry(slot.order_hash).or_default().insert(offset);
        }
        let before = self.unsettled.insert(offset, slot);
        assert!(before.is_none(), "offset {offset} is unsettled twice: {before:?} and {slot:?}");
        if !slot.is_leased() {
            self.parked += 1;
            self.make_ready_if_first(offset, &slot);
            return;
        }
        self.renewed += usize::from(slot.renew_until_ms != 0);
        if slot.request != 0 {
            self.grants.entry(slot.request).or_default().insert(offset);
        }
        self.await_end(offset, &slot);
    }

    /// Takes a message from the unsettled ones; the next of its message group may be delivered now.
    pub(super) fn remove(&mut self, offset: u64) -> Option<Unsettled> {
        let slot = self.unsettled.remove(&offset)?;
        self.dirty_rows.insert(offset / OFFSETS_PER_ROW);
        self.ready.remove(&offset);
        if slot.is_leased() {
            self.deadlines.remove(&(slot.until_ms, offset));
            self.renewed -= usize::from(slot.renew_until_ms != 0);
            self.leave_grant(offset, slot.request);
        } else {
            self.parked -= 1;
        }
        self.leave_order(offset, slot.order_hash);
        Some(slot)
    }

    /// Changes a lease in place.
    pub(super) fn change(&mut self, offset: u64, change: impl FnOnce(&mut Unsettled)) {
        let slot = self.unsettled.get_mut(&offset).expect("only a lease that is there is changed");
        let before = *slot;
        change(slot);
        let after = *slot;
        self.dirty_rows.insert(offset / OFFSETS_PER_ROW);
        self.renewed -= usize::from(before.renew_until_ms != 0);
        self.renewed += usize::from(after.renew_until_ms != 0);
        if before.until_ms != after.until_ms {
            self.deadlines.remove(&(before.until_ms, offset));
            self.ready.remove(&offset);
            self.await_end(offset, &after);
        }
    }

    /// Lets go of the memory of what is no longer open.
    pub(super) fn fold(&mut self) {
        let Some(open) = self.open.as_deref_mut() else { return };
        if !open.unsettled.is_empty() || !open.dirty_rows.is_empty() {
            return;
        }
        // Maps that got empty keep a node. What remains is derived from what is unsettled.
        let settled_runs = std::mem::take(&mut open.settled_runs);
        match settled_runs.is_empty() {
            true => self.open = None,
            false => *open = Open { settled_runs, ..Open::NOTHING },
        }
    }

    /// Moves the leases that ended by `now_ms` to those that are ready.
    pub(super) fn drain(&mut self, now_ms: u64) {
        if self.unsettled.is_empty() {
            return;
        }
        self.drained_to_ms = self.drained_to_ms.max(now_ms);
        while let Some((until_ms, offset)) = self.deadlines.first().copied() {
            if until_ms > now_ms {
                break;
            }
            self.deadlines.pop_first();
            let slot = self.unsettled[&offset];
            self.make_ready_if_first(offset, &slot);
        }
    }

    /// Gives every message back, and forgets where it was: the rows too.
    pub(super) fn reset(&mut self, key: CursorKey, next: u64, batch: &mut Batch) {
        let settled_runs = self.open.take().map(|open| open.settled_runs);
        let open = settled_runs.map(|settled_runs| Box::new(Open { settled_runs, ..Open::NOTHING }));
        *self = Cursor { open, ..Cursor::at(next, self.last_lease) };
        delete_rows(key.numbers(), batch);
    }

    /// Writes what changed since the last call.
    pub(super) fn put_rows(&mut self, key: CursorKey, batch: &mut Batch) {
        if std::mem::take(&mut self.moved) {
            CursorRow { cursor: key.numbers(), next: self.next, last_lease: self.last_lease }.put(batch);
        }
        for row in self.take_dirty_rows() {
            let first = row * OFFSETS_PER_ROW;
            let slots = self.unsettled.range(first..=first + (OFFSETS_PER_ROW - 1));
            put_row(key.numbers(), row, slots.map(|(offset, slot)| (*offset, slot)), batch);
        }
    }

    /// The rows that changed in the frame in hand.
    pub(super) fn dirty_rows(&self) -> impl Iterator<Item = u64> {
        self.dirty_rows.iter().copied()
    }

    pub(super) fn take_dirty_rows(&mut self) -> BTreeSet<u64> {
        self.open.as_mut().map_or(BTreeSet::new(), |open| std::mem::take(&mut open.dirty_rows))
    }

    /// Notes when the lease ends; one that has ended already is ready.
    fn await_end(&mut self, offset: u64, slot: &Unsettled) {
        if slot.until_ms > self.drained_to_ms {
            self.deadlines.insert((slot.until_ms, offset));
        } else {
            self.make_ready_if_first(offset, slot);
        }
    }

    /// One behind another of its message group is not ready: it gets its turn when that one leaves.
    pub(super) fn make_ready_if_first(&mut self, offset: u64, slot: &Unsettled) {
        let first = match slot.order_hash {
            0 => true,
            order => self.orders[&order].first() == Some(&offset),
        };
        if first {
            self.ready.insert(offset);
        }
    }

    fn leave_grant(&mut self, offset: u64, request: u64) {
        if let Some(grant) = self.grants.get_mut(&request) {
            grant.remove(&offset);
            if grant.is_empty() {
                self.grants.remove(&request);
            }
        }
    }
}
