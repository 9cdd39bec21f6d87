//! The model of messages that wait: what a release, a recall and the end of a transaction must do.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use raft::command::{
    encode_end_transaction, encode_note_checks, encode_publish, encode_recall, encode_release_due,
};
use raft::limits::ENDED_WINDOW_MS;
use raft::names::{GroupId, QueueKey, TopicId};
use raft::outcome::Outcome;
use raft::request::{Extras, Place, Publish, Published, Rejection, Resolution, Timer, Transaction};

/// A command about messages that wait; receipts of such messages are counted back from the newest.
#[derive(Clone, Debug)]
pub enum WaitStep {
    Delayed { queue: u32, id: u128, due_after_ms: u64 },
    Half { queue: u32, id: u128, check_after_ms: u64 },
    Release { max: u32 },
    Recall { back: usize, id: u128 },
    End { back: usize, id: u128, resolution: Resolution },
    Checked { back: usize, again_after_ms: u64 },
}

pub fn wait_step() -> impl Strategy<Value = WaitStep> {
    let resolution = prop_oneof![3 => Just(Resolution::Commit), 1 => Just(Resolution::Rollback), 1 => Just(Resolution::GiveUp)];
    // Ids apart from those of messages that are visible at once.
    let id = || 1000u128..1012;
    prop_oneof![
        4 => (0u32..2, id(), 0u64..60).prop_map(|(queue, id, seconds)| WaitStep::Delayed {
            queue, id, due_after_ms: seconds * 1000
        }),
        3 => (0u32..2, id(), 0u64..60).prop_map(|(queue, id, seconds)| WaitStep::Half {
            queue, id, check_after_ms: seconds * 1000
        }),
        4 => (1u32..4).prop_map(|max| WaitStep::Release { max }),
        2 => (0usize..6, id()).prop_map(|(back, id)| WaitStep::Recall { back, id }),
        3 => (0usize..6, id(), resolution)
            .prop_map(|(back, id, resolution)| WaitStep::End { back, id, resolution }),
        1 => (0usize..6, 0u64..60).prop_map(|(back, seconds)| WaitStep::Checked {
            back, again_after_ms: seconds * 1000
        }),
    ]
}

/// A message that was told to wait.
#[derive(Clone, Copy, Debug)]
struct Told {
    number: u64,
    due_ms: u64,
    id: u128,
}

/// Turns steps into commands with the numbers that were handed out last.
#[derive(Default)]
pub struct WaitAuthor {
    told: Vec<Told>,
}

impl WaitAuthor {
    fn told(&self, back: usize) -> Told {
        let nothing = Told { number: 5, due_ms: u64::MAX, id: 1000 };
        self.told.iter().rev().nth(back).copied().unwrap_or(nothing)
    }

    fn timer(&self, back: usize, id: u128) -> Timer {
        let told = self.told(back);
        // Mostly the right id, at times another one.
        let id = if id == 1011 { id } else { told.id };
        Timer { group: GroupId(1), topic: TopicId(1), due_ms: told.due_ms, number: told.number, id }
    }

    fn transaction(&self, back: usize, id: u128) -> Transaction {
        let Timer { group, topic, number, id, .. } = self.timer(back, id);
        Transaction { group, topic, number, id }
    }

    pub fn command(&self, step: &WaitStep, now_ms: u64) -> Bytes {
        match step {
            WaitStep::Delayed { queue, id, due_after_ms } => {
                let due_ms = Some(now_ms + due_after_ms);
                publish(*queue, *id, Extras { due_ms, ..Extras::default() })
            }
            WaitStep::Half { queue, id, check_after_ms } => {
                let check_after_ms = Some(*check_after_ms);
                publish(*queue, *id, Extras { check_after_ms, ..Extras::default() })
            }
            WaitStep::Release { max } => encode_release_due(now_ms, *max),
            WaitStep::Recall { back, id } => encode_recall(&self.timer(*back, *id)),
            WaitStep::End { back, id, resolution } => {
                encode_end_transaction(&self.transaction(*back, *id), *resolution)
            }
            WaitStep::Checked { back, again_after_ms } => {
                encode_note_checks(&[self.told(*back).number], *again_after_ms, true)
            }
        }
    }

    pub fn note(&mut self, step: &WaitStep, outcome: &Outcome, now_ms: u64) {
        let Outcome::Published(Published { place: Place::Waiting(number), duplicate: false, .. }) = outcome
        else {
            return;
        };
        let (id, due_ms) = match step {
            WaitStep::Delayed { id, due_after_ms, .. } => (*id, now_ms + due_after_ms),
            WaitStep::Half { id, .. } => (*id, u64::MAX),
            _ => return,
        };
        self.told.push(Told { number: *number, due_ms, id });
    }
}

fn publish(queue: u32, id: u128, extras: Extras) -> Bytes {
    encode_publish(&Publish {
        queue: QueueKey { topic: TopicId(1), number: queue },
        group: GroupId(1),
        dedup: id,
        tag_hash: 0,
        order_hash: 0,
        extras,
        record: Bytes::from_static(b"waits"),
    })
}

/// What must be so: by (due, number) what waits for its time, by number what waits for its transaction, and what ended.
#[derive(Default)]
pub struct WaitModel {
    timers: BTreeMap<(u64, u64), (u32, u128)>,
    halves: BTreeMap<u64, (u32, u128)>,
    ended: BTreeMap<u64, (u64, u128, Resolution)>,
    recalled: BTreeMap<u64, (u64, u128)>,
}

impl WaitModel {
    /// Follows one command. Answers with the queues that got a message, in order.
    pub fn follow(
        &mut self,
        author: &WaitAuthor,
        step: &WaitStep,
        outcome: &Outcome,
        now_ms: u64,
    ) -> Vec<u32> {
        match step {
            WaitStep::Delayed { queue, id, due_after_ms } => match placed(outcome) {
                Some(Place::Waiting(number)) => {
                    assert!(*due_after_ms > 0, "a message that is due was told to wait");
                    self.timers.insert((now_ms + due_after_ms, number), (*queue, *id));
                    vec![]
                }
                Some(Place::Queued(_)) => {
                    assert_eq!(*due_after_ms, 0, "a message was visible before its time");
                    vec![*queue]
                }
                None => vec![],
            },
            WaitStep::Half { queue, id, .. } => {
                if let Some(place) = placed(outcome) {
                    let Place::Waiting(number) = place else {
                        panic!("a half message was visible: {outcome:?}")
                    };
                    self.halves.insert(number, (*queue, *id));
                }
                vec![]
            }
            WaitStep::Release { max } => self.release(*max as usize, outcome, now_ms),
            WaitStep::Recall { back, id } => {
                self.recall(author.timer(*back, *id), outcome, now_ms);
                vec![]
            }
            WaitStep::End { back, id, resolution } => {
                self.end(author.transaction(*back, *id), *resolution, outcome, now_ms)
            }
            WaitStep::Checked { .. } => vec![],
        }
    }

    fn release(&mut self, max: usize, outcome: &Outcome, now_ms: u64) -> Vec<u32> {
        let due = self.timers.range(..=(now_ms, u64::MAX)).map(|(key, _)| *key).collect::<Vec<_>>();
        let expected = Outcome::Released { released: due.len().min(max) as u32, more: due.len() > max };
        assert_eq!(*outcome, expected, "of {} that are due, at most {max}", due.len());
        due.into_iter().take(max).map(|key| self.timers.remove(&key).unwrap().0).collect()
    }

    fn recall(&mut self, timer: Timer, outcome: &Outcome, now_ms: u64) {
        let key = (timer.due_ms, timer.number);
        let waits = self.timers.get(&key).is_some_and(|(_, id)| *id == timer.id) && timer.due_ms > now_ms;
        let again = self
            .recalled
            .get(&timer.number)
            .is_some_and(|(at_ms, id)| *id == timer.id && now_ms <= at_ms + ENDED_WINDOW_MS);
        if waits {
            assert_eq!(*outcome, Outcome::Done, "{timer:?} waits");
            self.timers.remove(&key);
            self.recalled.insert(timer.number, (now_ms, timer.id));
        } else if again {
            assert_eq!(*outcome, Outcome::Done, "{timer:?} was recalled a moment ago");
        } else {
            assert_eq!(*outcome, Outcome::Rejected(Rejection::NotWaiting), "{timer:?}");
        }
    }

    fn end(
        &mut self,
        transaction: Transaction,
        resolution: Resolution,
        outcome: &Outcome,
        now_ms: u64,
    ) -> Vec<u32> {
        let Transaction { number, id, .. } = transaction;
        let window_ms = |ended: Resolution| match ended {
            Resolution::GiveUp => raft::limits::GIVEN_UP_WINDOW_MS,
            _ => ENDED_WINDOW_MS,
        };
        if self.halves.get(&number).is_some_and(|(_, known)| *known == id) {
            let (queue, _) = self.halves.remove(&number).unwrap();
            self.ended.insert(number, (now_ms, id, resolution));
            return match (resolution, outcome) {
                (Resolution::Commit, Outcome::Published(it)) if !it.duplicate => vec![queue],
                (Resolution::Rollback | Resolution::GiveUp, Outcome::Done) => vec![],
                _ => panic!("{resolution:?} of {transaction:?} was answered with {outcome:?}"),
            };
        }
        let before = self
            .ended
            .get(&number)
            .filter(|(at_ms, known, ended)| *known == id && now_ms <= at_ms + window_ms(*ended));
        match (before, outcome) {
            (Some((.., Resolution::Commit)), Outcome::Published(it)) if it.duplicate => {
                assert_eq!(resolution, Resolution::Commit);
            }
            (Some((.., ended)), Outcome::Done) => assert_eq!(*ended, resolution),
            (before, Outcome::Rejected(Rejection::TransactionOver(_))) => {
                assert!(
                    before.is_none_or(|(.., ended)| *ended != resolution),
                    "not answered like the first time"
                );
            }
            _ => panic!("{resolution:?} of {transaction:?}, ended {before:?}, was answered with {outcome:?}"),
        }
        vec![]
    }

    /// What the machine must say of itself.
    pub fn counts(&self) -> (u64, usize) {
        (self.timers.len() as u64, self.halves.len())
    }
}

/// Where a message was put; `None` if it was there already.
fn placed(outcome: &Outcome) -> Option<Place> {
    match outcome {
        Outcome::Published(published) if !published.duplicate => Some(published.place),
        _ => None,
    }
}
