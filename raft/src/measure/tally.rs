//! Counts for each of many names, bounded: a table of atomics that needs no lock.
//!
//! A name is a number ([`key`]): a topic, or a topic and a consumer group. Its slot is found by hashing, within
//! [`PROBES`] places; a name for which there is none left counts as one of the others. So a table never grows, and
//! whoever makes topics by the million finds their messages in one sum.
//!
//! Slots of names that are gone can be freed ([`Tally::forget`]); what they counted goes to the others, so that sums over
//! all stay what they were. A count that comes in the same moment may go to the slot's next name: it is one count, of a
//! topic that was just deleted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::hash::mix;

/// Nobody had the slot yet: a search ends here.
const EMPTY: u64 = 0;
/// Somebody had it.
const FREED: u64 = 1;
/// A name has one of so many slots.
const PROBES: usize = 16;

/// The name of a pair of numbers.
pub fn key(first: u32, second: u32) -> u64 {
    // Above what stands for no name, whatever the numbers.
    ((u64::from(first) + 1) << 32) | u64::from(second)
}

/// The pair that a name stands for.
pub fn pair(key: u64) -> (u32, u32) {
    ((key >> 32) as u32 - 1, key as u32)
}

#[derive(Debug)]
struct Slot<const N: usize> {
    key: AtomicU64,
    counts: [AtomicU64; N],
}

/// `N` counts for each of a bounded number of names.
#[derive(Debug)]
pub struct Tally<const N: usize> {
    slots: Box<[Slot<N>]>,
    others: [AtomicU64; N],
}

/// What a [`Tally`] has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<const N: usize> {
    /// By name. One name may come twice.
    pub names: Vec<(u64, [u64; N])>,
    /// What had no slot.
    pub others: [u64; N],
}

impl<const N: usize> Tally<N> {
    /// Nothing yet, with room for so many names, which is a power of two.
    pub fn new(slots: usize) -> Tally<N> {
        assert!(slots.is_power_of_two() && slots >= PROBES, "{slots} slots");
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        let slots = (0..slots).map(|_| Slot { key: AtomicU64::new(EMPTY), counts: zeros() }).collect();
        Tally { slots, others: zeros() }
    }

    /// Adds to the counts of a name.
    pub fn add(&self, key: u64, amounts: [u64; N]) {
        assert!(key > FREED, "{key} is no name");
        let counts = self.slot_of(key).map_or(&self.others, |slot| &slot.counts);
        add(counts, amounts);
    }

    /// The slot of a name: the one it has, or a free one that becomes its own.
    fn slot_of(&self, key: u64) -> Option<&Slot<N>> {
        let mask = self.slots.len() - 1;
        let from = mix(key) as usize;
        let places = || (0..PROBES).map(|step| &self.slots[(from + step) & mask]);
        for slot in places() {
            match slot.key.load(Ordering::Relaxed) {
                held if held == key => return Some(slot),
                EMPTY => break,
                _ => {}
            }
        }
        places().find(|slot| {
            let held = slot.key.load(Ordering::Relaxed);
            let free = held == EMPTY || held == FREED;
            let take = |held| slot.key.compare_exchange(held, key, Ordering::Relaxed, Ordering::Relaxed);
            // Somebody else may have taken it, perhaps for the same name.
            held == key || free && take(held).map_or_else(|now| now == key, |_| true)
        })
    }

    /// What was counted.
    pub fn read(&self) -> Counted<N> {
        let held = self.slots.iter().filter_map(|slot| {
            let key = slot.key.load(Ordering::Relaxed);
            (key > FREED).then(|| (key, read(&slot.counts)))
        });
        Counted { names: held.collect(), others: read(&self.others) }
    }

    /// Frees the slots of names that are gone, if not many are free; what they counted goes to the others.
    pub fn forget(&self, gone: impl Fn(u64) -> bool) {
        let held = |slot: &&Slot<N>| slot.key.load(Ordering::Relaxed) > FREED;
        if self.slots.iter().filter(held).count() < self.slots.len() / 2 {
            return;
        }
        for slot in self.slots.iter().filter(held).filter(|slot| gone(slot.key.load(Ordering::Relaxed))) {
            add(&self.others, std::array::from_fn(|at| slot.counts[at].swap(0, Ordering::Relaxed)));
            slot.key.store(FREED, Ordering::Relaxed);
        }
    }
}

fn add<const N: usize>(counts: &[AtomicU64; N], amounts: [u64; N]) {
    for (count, amount) in counts.iter().zip(amounts) {
        if amount > 0 {
            count.fetch_add(amount, Ordering::Relaxed);
        }
    }
}

fn read<const N: usize>(counts: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|at| counts[at].load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// By name, and the sum of the first counts over everything.
    fn counted(tally: &Tally<2>) -> (BTreeMap<u64, [u64; 2]>, u64) {
        let Counted { names, others } = tally.read();
        let sum = names.iter().map(|(_, counts)| counts[0]).sum::<u64>() + others[0];
        (names.into_iter().collect(), sum)
    }

    #[test]
    fn every_name_has_its_own_counts() {
        let tally = Tally::<2>::new(64);
        for round in 1..=3 {
            (1..=20).for_each(|id| tally.add(key(id, 7), [1, u64::from(id) * round]));
        }
        let (names, sum) = counted(&tally);
        assert_eq!((names.len(), sum), (20, 60));
        assert_eq!(names[&key(5, 7)], [3, 5 * (1 + 2 + 3)]);
        assert_eq!(pair(key(5, 7)), (5, 7));
    }

    #[test]
    fn what_has_no_slot_counts_with_the_others_and_no_count_is_lost() {
        let tally = Tally::<2>::new(64);
        (1..=10_000).for_each(|id| tally.add(key(id, 0), [1, 0]));
        let (names, sum) = counted(&tally);
        assert!(names.len() <= 64, "{} names", names.len());
        assert_eq!(sum, 10_000);
        assert_eq!(names[&key(1, 0)], [1, 0], "who came first keeps its own");
    }

    #[test]
    fn slots_of_what_is_gone_are_used_again_and_the_sum_stays() {
        let tally = Tally::<2>::new(64);
        (1..=64).for_each(|id| tally.add(key(id, 0), [1, 0]));
        tally.forget(|name| pair(name).0 <= 60);
        assert_eq!(counted(&tally).1, 64);
        tally.add(key(100, 0), [5, 5]);
        let (names, sum) = counted(&tally);
        assert_eq!((names.get(&key(100, 0)), sum), (Some(&[5, 5]), 69));
        assert_eq!(names.get(&key(60, 0)), None);
    }

    #[test]
    fn many_threads_lose_nothing() {
        let tally = Tally::<2>::new(64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..40_000_u32).for_each(|turn| tally.add(key(1 + turn % 30, 1), [1, 2]));
                });
            }
        });
        let Counted { names, others } = tally.read();
        let sums = names.iter().fold(others, |sum, (_, more)| [sum[0] + more[0], sum[1] + more[1]]);
        assert_eq!(sums, [160_000, 320_000]);
    }
}
