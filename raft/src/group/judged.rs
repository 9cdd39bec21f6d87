//! What the leader of a group has judged by SQL filters and not yet written to the log.
//!
//! The state machine must not read the log (rule R4), so the leader reads the fresh messages of a
//! queue, judges them, and proposes the receive together with its verdicts. What a filter says of a
//! message never changes, so a verdict holds whatever happened between judging and applying, and
//! may be used by every poll of the consumer group that has the same filter.
//!
//! Soft state of one node. Without it a message is judged again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use store::commit_log::{CommitLog, ReadError};

use crate::command::Verdict;
use crate::filter::SqlFilter;
use crate::group::Group;
use crate::hash::hash128;
use crate::limits::{
    RECEIVE_MESSAGES_MAX, SQL_LOOK_BYTES_MAX, SQL_LOOK_RECORDS_MAX, SQL_LOOK_SHARE_MIN, SQL_PASSED_OVER_MAX,
    SQL_STRETCHES_MAX,
};
use crate::machine::{Fresh, MachineFailure};
use crate::names::{ConsumerId, QueueKey};
use crate::request::Receive;

/// A stretch of a queue that was judged for a consumer group.
type Name = (ConsumerId, QueueKey, u128);

/// The stretches of a group.
#[derive(Default)]
pub(crate) struct JudgedStretches {
    // A mutex for the map, held for the look-up; one for each stretch, held while it grows, so that
    // of many polls that wake together one judges and the others find the verdicts.
    stretches: Mutex<HashMap<Name, Arc<Mutex<Stretch>>>>,
}

/// What lies between `from` and `to` is judged.
#[derive(Debug, Default)]
struct Stretch {
    from: u64,
    to: u64,
    /// The wanted ones, ascending, with their order hashes.
    matches: VecDeque<(u64, u64)>,
}

/// What a look at the queues of a receive found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Whether proposing the receive would lease something, or is due because so much was passed over.
    pub due: bool,
    /// Whether something is left to judge.
    pub more: bool,
    /// What to propose.
    pub verdicts: Vec<Verdict>,
}

/// Why messages cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeError {
    /// The tables.
    #[error(transparent)]
    Tables(#[from] MachineFailure),
    /// The log.
    #[error(transparent)]
    Log(#[from] ReadError),
}

impl JudgedStretches {
    fn of(&self, name: Name) -> Arc<Mutex<Stretch>> {
        let mut stretches = self.stretches.lock().unwrap_or_else(PoisonError::into_inner);
        if stretches.len() >= SQL_STRETCHES_MAX && !stretches.contains_key(&name) {
            // Those in use stay; the others are judged again when somebody asks.
            stretches.retain(|_, stretch| Arc::strong_count(stretch) > 1);
        }
        stretches.entry(name).or_default().clone()
    }
}

impl Stretch {
    /// Drops what lies below the first fresh message. One that does not reach there, because the
    /// consumer group was moved or another node led, begins anew.
    fn align(&mut self, next: u64) {
        if !(self.from..=self.to).contains(&next) {
            *self = Stretch { from: next, to: next, matches: VecDeque::new() };
        }
        self.from = next;
        while self.matches.front().is_some_and(|(offset, _)| *offset < next) {
            self.matches.pop_front();
        }
    }

    /// How many are passed over before the first wanted one.
    fn passed_over(&self) -> u64 {
        self.matches.front().map_or(self.to, |(offset, _)| *offset) - self.from
    }

    fn verdict(&self, queue: u32) -> Verdict {
        let matches = self.matches.iter().map(|(offset, _)| *offset).collect();
        Verdict { queue, from: self.from, to: self.to, matches }
    }
}

/// What a look may still read.
struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// Judges fresh messages of the receive's queues, as many as one look may. Blocks on the disk.
pub(crate) fn look(
    group: &Group,
    receive: &Receive,
    filter: &SqlFilter,
    text: &str,
) -> Result<Look, JudgeError> {
    let max = usize::from(receive.max).clamp(1, RECEIVE_MESSAGES_MAX);
    let share = (SQL_LOOK_RECORDS_MAX / receive.queues.len().max(1)).max(SQL_LOOK_SHARE_MIN);
    let mut budget = Budget { records: SQL_LOOK_RECORDS_MAX, bytes: SQL_LOOK_BYTES_MAX };
    let hash = hash128(text.as_bytes());
    let mut look = Look::default();
    let mut matched = 0;
    for number in &receive.queues {
        let queue = QueueKey { topic: receive.topic, number: *number };
        let Some(fresh) = group.replica().broker().fresh(receive, queue) else { continue };
        if fresh.next >= fresh.end {
            continue;
        }
        let stretch = group.judged.of((receive.consumer, queue, hash));
        let mut stretch = stretch.lock().unwrap_or_else(PoisonError::into_inner);
        stretch.align(fresh.next);
        let share = share.min(budget.records);
        budget.records -= share;
        let mut own = Budget { records: share, bytes: budget.bytes };
        grow(group, queue, fresh, filter, max, (&mut stretch, &mut own))?;
        budget.records += own.records;
        budget.bytes = own.bytes;
        look.more |= stretch.to < fresh.end && stretch.matches.len() < max;
        let taken = stretch.matches.front().is_some_and(|(offset, order_hash)| {
            group.replica().broker().would_take(receive, queue, *offset, *order_hash)
        });
        look.due |= taken || stretch.passed_over() >= SQL_PASSED_OVER_MAX;
        // A command holds what a receive can use, not all that is known. By priority it can be any
        // queue's turn.
        if stretch.to > stretch.from && (matched < max || receive.rules.by_priority) {
            matched += stretch.matches.len();
            look.verdicts.push(stretch.verdict(*number));
        }
    }
    Ok(look)
}

/// Judges on behind the stretch's end, until enough matches, the queue ends, or the budget does.
fn grow(
    group: &Group,
    queue: QueueKey,
    fresh: Fresh,
    filter: &SqlFilter,
    max: usize,
    (stretch, budget): (&mut Stretch, &mut Budget),
) -> Result<(), JudgeError> {
    while stretch.to < fresh.end && stretch.matches.len() < max && !budget.is_spent() {
        let entries = group.replica().broker().entries(queue, stretch.to, budget.records)?;
        if entries.is_empty() {
            // The queue has gone meanwhile, or its beginning has.
            break;
        }
        for entry in entries {
            if stretch.matches.len() >= max || budget.is_spent() {
                break;
            }
            if is_wanted(group.store.log(), &entry, filter)? {
                stretch.matches.push_back((stretch.to, entry.order_hash));
            }
            stretch.to += 1;
            budget.records -= 1;
            budget.bytes = budget.bytes.saturating_sub(entry.length as usize);
        }
    }
    Ok(())
}

fn is_wanted(
    log: &CommitLog,
    entry: &store::tables::consume_queue::Entry,
    filter: &SqlFilter,
) -> Result<bool, ReadError> {
    match log.read_record(entry.position, entry.length) {
        Ok(record) => Ok(filter.wants(&record)),
        // Given up between the look at the tables and here: the state machine will skip it.
        Err(ReadError::NotHeld { .. } | ReadError::Purged { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::Stretch;

    #[test]
    fn a_stretch_follows_the_consumer_group() {
        let mut stretch = Stretch { from: 10, to: 20, matches: [(12, 0), (15, 7), (19, 0)].into() };
        stretch.align(13);
        let verdict = stretch.verdict(4);
        assert_eq!((verdict.queue, verdict.from, verdict.to, verdict.matches), (4, 13, 20, vec![15, 19]));
        assert_eq!(stretch.passed_over(), 2);
        stretch.align(20);
        assert_eq!((stretch.from, stretch.to, stretch.matches.len()), (20, 20, 0));
        for moved in [21, 3] {
            let mut stretch = Stretch { from: 10, to: 20, matches: [(12, 0)].into() };
            stretch.align(moved);
            assert_eq!((stretch.from, stretch.to, stretch.matches.len()), (moved, moved, 0));
        }
    }
}
