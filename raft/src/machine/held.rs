//! Which records are referred to out of the order of a queue: see [`store::tables::held`].
//!
//! Whoever begins to refer to a record that lies elsewhere than in the frame which put it into a
//! queue calls [`Held::put`], and [`Held::remove`] when it does so no more. What is put here is
//! carried forward before its part of the log goes; what is not, is lost then.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use store::position::LogPosition;
use store::tables::consume_queue::Entry;
use store::tables::held::{HeldKey, Holder};
use store::tables::{Batch, TableStore};

use super::{Machine, MachineFailure};
use crate::names::QueueKey;

/// The held records. Their rows are in the tables; what the frame in hand changes is here as well.
#[derive(Default)]
pub(super) struct Held {
    /// The length of what is held since the frame in hand, `None` for what is held no more.
    changed: BTreeMap<HeldKey, Option<u32>>,
}

impl Held {
    /// Notes that `holder` refers to the record of `length` bytes at `position`.
    pub(super) fn put(&mut self, position: LogPosition, length: u32, holder: Holder) {
        self.changed.insert(HeldKey { position, holder }, Some(length));
    }

    /// Notes that `holder` does not refer to the record at `position` any more.
    pub(super) fn remove(&mut self, position: LogPosition, holder: Holder) {
        self.changed.insert(HeldKey { position, holder }, None);
    }

    /// Who refers to the record at `position`, with its length; the frame in hand included.
    pub(super) fn at(
        &self,
        tables: &impl TableStore,
        position: LogPosition,
    ) -> Result<Vec<(HeldKey, u32)>, MachineFailure> {
        // Nothing lies at the end of all positions.
        let Some(next) = position.0.checked_add(1) else { return Ok(Vec::new()) };
        self.between(tables, position, LogPosition(next), usize::MAX)
    }

    /// The first so many held records with `from <= position < to`, ascending, each with its length;
    /// the frame in hand included.
    pub(super) fn between(
        &self,
        tables: &impl TableStore,
        from: LogPosition,
        to: LogPosition,
        max: usize,
    ) -> Result<Vec<(HeldKey, u32)>, MachineFailure> {
        let mut found = BTreeMap::new();
        HeldKey::scan(tables, from, to, |held, length| {
            if !self.changed.contains_key(&held) {
                found.insert(held, length);
            }
            if found.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        // The least of its position.
        let least = HeldKey { position: from, holder: Holder::Timer { due_ms: 0, number: 0 } };
        let changed = self.changed.range(least..).take_while(|(held, _)| held.position < to);
        found.extend(changed.filter_map(|(held, length)| Some((*held, (*length)?))));
        Ok(found.into_iter().take(max).collect())
    }

    /// Ends the frame in hand: what it changed becomes rows.
    pub(super) fn end_frame(&mut self, batch: &mut Batch) {
        for (held, length) in std::mem::take(&mut self.changed) {
            match length {
                Some(length) => held.put(length, batch),
                None => held.delete(batch),
            }
        }
    }
}

impl<T: TableStore> Machine<T> {
    /// Puts a record that was stored by an earlier frame at the end of a queue, and holds it.
    pub(super) fn append_held(&mut self, queue: QueueKey, entry: Entry) -> u64 {
        let entry = Entry { held: true, ..entry };
        let offset = self.queues.append(queue, entry, self.progress.stamp_ms());
        let holder = Holder::Entry { queue: queue.numbers(), offset };
        self.held.put(entry.position, entry.length, holder);
        self.wake(queue);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::tables::MemoryTables;

    #[test]
    fn what_the_frame_in_hand_changes_counts_at_once() {
        let tables = MemoryTables::new();
        let (mut held, mut batch) = (Held::default(), Batch::default());
        let at = |position| HeldKey { position: LogPosition(position), holder: Holder::Half { number: 0 } };
        let timer = Holder::Timer { due_ms: 0, number: 0 };
        for position in [5, 6, 7] {
            held.put(LogPosition(position), 10, Holder::Half { number: 0 });
        }
        held.put(LogPosition(5), 10, timer);
        held.end_frame(&mut batch);
        tables.write(&batch).unwrap();
        held.remove(LogPosition(6), Holder::Half { number: 0 });
        held.put(LogPosition(4), 11, Holder::Half { number: 0 });
        held.put(LogPosition(8), 11, Holder::Half { number: 0 });
        let between = |from, to, max| {
            let found = held.between(&tables, LogPosition(from), LogPosition(to), max).unwrap();
            found.into_iter().map(|(held, _)| held).collect::<Vec<_>>()
        };
        let first_timer = HeldKey { position: LogPosition(5), holder: timer };
        assert_eq!(between(0, 9, 9), [at(4), first_timer, at(5), at(7), at(8)]);
        assert_eq!(between(0, 9, 2), [at(4), first_timer]);
        assert_eq!(between(6, 8, 9), [at(7)]);
        assert_eq!(held.at(&tables, LogPosition(5)).unwrap(), [(first_timer, 10), (at(5), 10)]);
        assert_eq!(held.at(&tables, LogPosition(6)).unwrap(), []);
        assert_eq!(held.at(&tables, LogPosition(u64::MAX)).unwrap(), []);
    }
}
