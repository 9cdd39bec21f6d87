//! What holds for a broker group's machine whatever it is told: properties over random commands.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use raft::machine::{AppliedFrame, CursorLag, Machine, StateMachine};
use raft::names::TopicId;
use raft::outcome::Outcome;
use raft::question::MessagePlace;
use store::tables::consume_queue::Entry;
use store::tables::{MemoryTables, RocksTables, TableOptions, TableStore};

use crate::rig::Rig;
use crate::steps::{Author, Frames, Step, frames, rare_step, receive, step};
use crate::witness::Witness;

/// What is told for the metrics is what questions answer, however many cursors are looked at together.
fn what_is_told_is_true<T: TableStore>(machine: &Machine<T>, together: usize) {
    let mut told = Vec::new();
    loop {
        let after = told.last().map(|lag: &CursorLag| (lag.consumer, lag.queue));
        let more = machine.lags(after, together);
        let is_all = more.len() < together;
        told.extend(more);
        if is_all {
            break;
        }
    }
    assert_eq!(told.len() as u64, machine.sizes().cursors);
    assert!(told.is_sorted_by_key(|lag| (lag.consumer, lag.queue)));
    for lag in told {
        let state = machine.queue_state(lag.queue, Some(lag.consumer));
        let committed = state.settled.max(state.first);
        assert_eq!((lag.lag, lag.in_flight), (state.end - committed, state.in_flight), "{lag:?} {state:?}");
        assert_eq!(lag.ready, state.end - state.next.max(state.first) + state.unsettled - state.in_flight);
        assert_eq!(lag.oldest, (committed < state.end).then_some(committed), "{lag:?} {state:?}");
        if let (Some(offset), Some(oldest_ms)) = (lag.oldest, lag.oldest_ms) {
            let view = machine.view(lag.queue, offset);
            let mut stored_ms = None;
            let visit = |place: MessagePlace, _: &Entry| {
                stored_ms = Some(place.stored_ms);
                ControlFlow::Break(())
            };
            view.walk(offset, visit).unwrap().unwrap();
            assert_eq!(stored_ms, Some(oldest_ms), "{lag:?}");
        }
    }
    let mut halves = BTreeMap::new();
    for half in machine.half_messages() {
        *halves.entry(TopicId(half.message.queue.0)).or_default() += 1;
    }
    assert_eq!(machine.half_counts(), &halves);
}

/// Runs the frames; `between` is called after each with the rig and the frame's number.
fn run<T: TableStore>(
    rig: &mut Rig<T>,
    frames: &Frames,
    mut between: impl FnMut(&mut Rig<T>, usize),
) -> Vec<AppliedFrame> {
    let mut author = Author::default();
    let mut answers = Vec::new();
    for (number, (pause_ms, steps)) in frames.iter().enumerate() {
        rig.now_ms += pause_ms;
        let commands = steps.iter().map(|step| author.command(step, rig.now_ms)).collect::<Vec<_>>();
        let applied = rig.apply(&commands).unwrap();
        author.note(steps, &applied, rig.now_ms);
        answers.push(applied);
        between(rig, number);
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// R4: the same log gives the same answers and the same digest, whether the machine runs on, is
    /// opened again after every few frames, or loses what was not flushed and applies it again.
    #[test]
    fn r4_answers_and_digest_depend_on_the_log_alone(frames in frames(rare_step()), every in 1usize..6) {
        let mut steady = Rig::open(MemoryTables::new());
        let expected = run(&mut steady, &frames, |_, _| {});
        let tables = MemoryTables::new();
        let mut reopened = Rig::open(tables.clone());
        let answers = run(&mut reopened, &frames, |rig, number| {
            if number % every == 0 {
                rig.reopen(tables.clone());
            }
        });
        prop_assert_eq!(&answers, &expected);
        let mut tables = MemoryTables::new();
        let mut crashing = Rig::open(tables.clone());
        let answers = run(&mut crashing, &frames, |rig, number| {
            if number % (every + 3) == 0 {
                rig.machine.durability().flush().unwrap();
            }
            if number % every == 0 {
                tables = tables.crashed();
                rig.reopen(tables.clone());
            }
        });
        prop_assert_eq!(&answers, &expected);
        let digest = steady.machine.digest().unwrap();
        prop_assert_eq!(reopened.machine.digest().unwrap(), digest);
        prop_assert_eq!(crashing.machine.digest().unwrap(), digest);
    }

    /// What clients are promised: no message twice inside a lease, none after it was settled, order
    /// within a message group, attempts that count, ids that are stored once, no gaps.
    #[test]
    fn no_answer_breaks_a_promise(frames in frames(step())) {
        let mut rig = Rig::open(MemoryTables::new());
        let mut author = Author::default();
        let mut witness = Witness::default();
        for (pause_ms, steps) in &frames {
            rig.now_ms += pause_ms;
            for step in steps {
                let idle = matches!(step, Step::Receive { .. })
                    && !rig.machine.would_deliver(&receive(step), rig.now_ms);
                let applied = rig.apply(&[author.command(step, rig.now_ms)]).unwrap();
                let outcome = &applied.outcomes[0];
                if let (true, Outcome::Received { messages, .. }) = (idle, outcome) {
                    prop_assert!(messages.is_empty(), "a waiting receive would have been left asleep");
                }
                witness.follow(&author, step, outcome, rig.now_ms);
                let waiting = (rig.machine.timer_count(), rig.machine.half_messages().count());
                prop_assert_eq!(waiting, witness.waiting.counts());
                what_is_told_is_true(&rig.machine, 1 + steps.len() % 3);
                author.note(std::slice::from_ref(step), &applied, rig.now_ms);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// R4: RocksDB and memory hold the same rows, flushed or not.
    #[test]
    fn r4_the_digest_does_not_depend_on_the_kind_of_tables(frames in frames(rare_step()), every in 1usize..9) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tables");
        let mut memory = Rig::open(MemoryTables::new());
        let expected = run(&mut memory, &frames, |_, _| {});
        let mut rocks = Rig::open(RocksTables::open(&path, TableOptions::default()).unwrap());
        let answers = run(&mut rocks, &frames, |rig, number| {
            if number % every == 0 {
                rig.machine.durability().flush().unwrap();
            }
        });
        prop_assert_eq!(answers, expected);
        prop_assert_eq!(rocks.machine.digest().unwrap(), memory.machine.digest().unwrap());
        let copy = directory.path().join("copy");
        rocks.machine.checkpoint(&copy).unwrap();
        let copied = Rig::open(RocksTables::open(&copy, TableOptions::default()).unwrap());
        prop_assert_eq!(copied.machine.digest().unwrap(), memory.machine.digest().unwrap());
        prop_assert_eq!(copied.machine.applied(), memory.machine.applied());
    }
}
