//! Nothing pending is ever lost by retention: random commands, trims, carries and floors, and a model
//! that knows who still has to get what.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use raft::catalog::StartFrom;
use raft::command::{
    encode_acknowledge, encode_dead_letter, encode_publish, encode_raise_floor, encode_receive, encode_trim,
};
use raft::machine::{AppliedFrame, StateMachine};
use raft::names::{ConsumerId, GroupId, QueueKey, TopicId};
use raft::outcome::{LeasedMessage, Outcome};
use raft::request::{Extras, Filter, Publish, Receipt, Receive, TopicRules};
use store::tables::{MemoryTables, TableStore};

use crate::rig::Rig;

const QUEUE: QueueKey = QueueKey { topic: TopicId(1), number: 0 };
const DEAD_LETTERS: QueueKey = QueueKey { topic: TopicId(9), number: 0 };
/// Reads the dead letters.
const UNDERTAKER: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Publish {
        order: u64,
    },
    Receive {
        consumer: u32,
        max: u16,
        invisible_ms: u64,
        max_attempts: u16,
    },
    Acknowledge(usize),
    Bury(usize),
    /// Lets go of so many messages.
    Trim {
        dead_letters: bool,
        messages: u64,
    },
    Carry {
        max: usize,
    },
    /// Up to so many frames before the end.
    Floor {
        back: usize,
    },
    Pause(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..3).prop_map(|order| Step::Publish { order }),
        6 => (1u32..4, 1u16..5, 0u64..30, 1u16..4).prop_map(|(consumer, max, invisible, max_attempts)| {
            Step::Receive { consumer, max, invisible_ms: invisible * 1000, max_attempts }
        }),
        3 => (0usize..8).prop_map(Step::Acknowledge),
        2 => (0usize..8).prop_map(Step::Bury),
        3 => (any::<bool>(), 0u64..6).prop_map(|(dead_letters, messages)| Step::Trim { dead_letters, messages }),
        2 => (1usize..6).prop_map(|max| Step::Carry { max }),
        3 => (0usize..6).prop_map(|back| Step::Floor { back }),
        2 => (0u64..20_000).prop_map(Step::Pause),
    ]
}

fn queue_of(consumer: u32) -> QueueKey {
    if consumer == UNDERTAKER { DEAD_LETTERS } else { QUEUE }
}

fn receive(consumer: u32, max: u16, invisible_ms: u64, max_attempts: u16) -> Receive {
    Receive {
        consumer: ConsumerId(consumer),
        topic: queue_of(consumer).topic,
        group: GroupId(1),
        queues: vec![0],
        max,
        invisible_ms,
        fifo: consumer == 1,
        auto_renew: false,
        client: 1,
        attempt: 0,
        filter: Filter::All,
        max_attempts,
        start: StartFrom::First,
        // Dead letters of dead letters go round.
        dead_letters: DEAD_LETTERS,
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

/// What there is, and who has to get it.
#[derive(Default)]
struct Model {
    /// The bodies of a queue's messages, by offset.
    bodies: BTreeMap<(QueueKey, u64), Bytes>,
    firsts: BTreeMap<QueueKey, u64>,
    ends: BTreeMap<QueueKey, u64>,
    /// What a consumer group has got, by queue and offset, and whether it has settled it.
    got: BTreeMap<(u32, QueueKey, u64), bool>,
    /// What it was said to miss, or was gone before it began.
    missed: BTreeMap<u32, BTreeSet<u64>>,
    receipts: Vec<Receipt>,
}

impl Model {
    fn receipt(&self, back: usize) -> Option<Receipt> {
        self.receipts.iter().rev().nth(back).copied()
    }

    /// The frame of a step; none if it makes no sense now.
    fn commands<T: TableStore>(&self, step: &Step, rig: &mut Rig<T>) -> Vec<Bytes> {
        let one = |command| vec![command];
        match step {
            Step::Publish { order } => one(encode_publish(&Publish {
                queue: QUEUE,
                group: GroupId(1),
                dedup: 0,
                tag_hash: 0,
                order_hash: *order,
                extras: Extras { key_hashes: vec![*order], ..Extras::default() },
                record: Bytes::from(format!("message {}", rig.frames.len())),
            })),
            Step::Receive { consumer, max, invisible_ms, max_attempts } => {
                one(encode_receive(&receive(*consumer, *max, *invisible_ms, *max_attempts)))
            }
            Step::Acknowledge(back) => {
                self.receipt(*back).map(|it| encode_acknowledge(&[it])).into_iter().collect()
            }
            Step::Bury(back) => {
                self.receipt(*back).map(|it| encode_dead_letter(&it, DEAD_LETTERS)).into_iter().collect()
            }
            Step::Trim { dead_letters, messages } => {
                let queue = if *dead_letters { DEAD_LETTERS } else { QUEUE };
                one(encode_trim(queue, self.firsts.get(&queue).unwrap_or(&0) + messages))
            }
            Step::Carry { max } => rig.carries(rig.end(), *max),
            Step::Floor { back } => {
                let frame = rig.frames.iter().rev().nth(*back);
                frame.map(|(frame, _)| encode_raise_floor(frame.position)).into_iter().collect()
            }
            Step::Pause(ms) => {
                rig.now_ms += ms;
                vec![]
            }
        }
    }

    fn append(&mut self, queue: QueueKey, offset: u64, body: Bytes) {
        assert_eq!(offset, *self.ends.entry(queue).or_default(), "a gap in {queue:?}");
        self.ends.insert(queue, offset + 1);
        self.bodies.insert((queue, offset), body);
    }

    fn follow<T: TableStore>(&mut self, step: &Step, applied: &AppliedFrame, rig: &Rig<T>) {
        for dead in &applied.effects.dead_lettered {
            let before = self.got.insert((dead.consumer.0, dead.from.0, dead.from.1), true);
            assert_eq!(before, Some(false), "{dead:?}");
            let body = self.bodies[&dead.from].clone();
            self.append(dead.to.0, dead.to.1, body);
        }
        for outcome in &applied.outcomes {
            match (step, outcome) {
                (Step::Publish { .. }, Outcome::Published(published)) => {
                    let body = Bytes::from(format!("message {}", rig.frames.len() - 1));
                    self.append(QUEUE, published.offset().expect("it is in a queue").0, body);
                }
                (Step::Receive { consumer, .. }, Outcome::Received { messages, .. }) => {
                    let queue = queue_of(*consumer);
                    let first = self.firsts.get(&queue).copied().unwrap_or(0);
                    self.missed.entry(*consumer).or_insert_with(|| (0..first).collect());
                    messages.iter().for_each(|message| self.delivered(*consumer, message, rig));
                }
                (Step::Acknowledge(back), Outcome::Acknowledged(entries)) if entries[0].is_ok() => {
                    let receipt = self.receipt(*back).unwrap();
                    self.got.insert((receipt.consumer.0, receipt.queue, receipt.offset.0), true);
                }
                (Step::Trim { dead_letters, .. }, Outcome::Trimmed { first, skipped }) => {
                    let queue = if *dead_letters { DEAD_LETTERS } else { QUEUE };
                    self.firsts.insert(queue, *first);
                    for (consumer, messages) in skipped {
                        let missed = self.missed.get_mut(&consumer.0).expect("it has begun");
                        missed.extend(first - messages..*first);
                    }
                }
                _ => {}
            }
        }
    }

    fn delivered<T: TableStore>(&mut self, consumer: u32, message: &LeasedMessage, rig: &Rig<T>) {
        let place = (message.queue, message.offset.0);
        assert_eq!(rig.record(message), self.bodies[&place], "another body at {place:?}");
        let settled = self.got.insert((consumer, place.0, place.1), false);
        assert_ne!(settled, Some(true), "settled, and delivered again: {message:?}");
        self.receipts.push(message.receipt(ConsumerId(consumer), GroupId(1)));
    }

    /// Everybody reads to the end: what was pending comes, and what was never delivered.
    fn read_to_the_end<T: TableStore>(&mut self, rig: &mut Rig<T>) {
        for consumer in 1..=UNDERTAKER {
            let queue = queue_of(consumer);
            let first = self.firsts.get(&queue).copied().unwrap_or(0);
            let missed = self.missed.entry(consumer).or_insert_with(|| (0..first).collect());
            let all = 0..self.ends.get(&queue).copied().unwrap_or(0);
            let settled = |offset: &u64| self.got.get(&(consumer, queue, *offset)) == Some(&true);
            let due = all.filter(|offset| !missed.contains(offset) && !settled(offset));
            let due = due.collect::<BTreeSet<_>>();
            let mut came = BTreeSet::new();
            for _ in 0..200 {
                rig.now_ms += 60_000;
                let applied = rig.apply(&[encode_receive(&receive(consumer, 16, 30_000, u16::MAX))]).unwrap();
                let Outcome::Received { messages, .. } = &applied.outcomes[0] else { panic!("{applied:?}") };
                if messages.is_empty() {
                    break;
                }
                let receipts = messages.iter().map(|message| {
                    assert_eq!(rig.record(message), self.bodies[&(queue, message.offset.0)]);
                    came.insert(message.offset.0);
                    message.receipt(ConsumerId(consumer), GroupId(1))
                });
                let settled = encode_acknowledge(&receipts.collect::<Vec<_>>());
                rig.apply(&[settled]).unwrap();
            }
            assert_eq!(came, due, "what consumer group {consumer} got, and what it had to get");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nothing_pending_is_ever_lost(steps in proptest::collection::vec(step(), 1..120), every in 1usize..9) {
        let tables = MemoryTables::new();
        let (mut steady, mut reopened) = (Rig::open(MemoryTables::new()), Rig::open(tables.clone()));
        let mut model = Model::default();
        for (number, step) in steps.iter().enumerate() {
            let commands = model.commands(step, &mut steady);
            prop_assert_eq!(&model.commands(step, &mut reopened), &commands);
            if commands.is_empty() {
                continue;
            }
            let applied = steady.apply(&commands).unwrap();
            // R4: a machine that was opened again answers alike, and holds the same rows.
            prop_assert_eq!(&reopened.apply(&commands).unwrap(), &applied);
            if number % every == 0 {
                reopened.reopen(tables.clone());
                prop_assert_eq!(reopened.machine.digest().unwrap(), steady.machine.digest().unwrap());
            }
            model.follow(step, &applied, &steady);
        }
        model.read_to_the_end(&mut steady);
        // All is settled: once the queues let go of it, nothing holds the log any more.
        for queue in [QUEUE, DEAD_LETTERS] {
            steady.apply(&[encode_trim(queue, u64::MAX)]).unwrap();
        }
        for command in steady.carries(steady.end(), usize::MAX) {
            let applied = steady.apply(&[command]).unwrap();
            prop_assert_eq!(&applied.outcomes[0], &Outcome::Carried { holders: 0 });
        }
        let end = steady.end();
        let applied = steady.apply(&[encode_raise_floor(end)]).unwrap();
        prop_assert_eq!(&applied.outcomes[0], &Outcome::Floor(end));
    }
}
