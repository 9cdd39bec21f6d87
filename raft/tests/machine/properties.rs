//! What holds for a broker group's machine whatever it is told: properties over random commands.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::rig::{EPOCH_MS, Rig};
use crate::waiting::{WaitAuthor, WaitModel, WaitStep, wait_step};
use bytes::Bytes;
use proptest::prelude::*;
use raft::catalog::StartFrom;
use raft::command::{
    OffsetTarget, Verdict, encode_acknowledge, encode_change_lease, encode_dead_letter,
    encode_delete_consumer, encode_delete_subscription, encode_delete_topic, encode_doubt_leases,
    encode_judged_receive, encode_publish, encode_receive, encode_release_client, encode_renew_leases,
    encode_resend, encode_set_offset,
};
use raft::machine::{AppliedFrame, StateMachine};
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use raft::outcome::{LeasedMessage, Outcome};
use raft::request::{Extras, Filter, Place, Publish, Receipt, Receive, ResendResult, TopicRules};
use store::tables::{MemoryTables, RocksTables, TableOptions, TableStore};

const DEAD_LETTERS: QueueKey = QueueKey { topic: TopicId(9), number: 0 };
const MAX_ATTEMPTS: u16 = 4;

/// A command before it is known which receipts there are.
#[derive(Clone, Debug)]
enum Step {
    Publish {
        queue: u32,
        id: u128,
        tag: u64,
        order: u64,
    },
    Receive {
        consumer: u32,
        max: u16,
        invisible_ms: u64,
        renew: bool,
        client: u64,
        attempt: u64,
        tag: u64,
        rules: TopicRules,
    },
    /// The leader has judged some of both queues: from there on so many, and every so-manieth is wanted.
    Judged {
        consumer: u32,
        max: u16,
        attempt: u64,
        from: u64,
        length: u64,
        every: u64,
    },
    Acknowledge(Vec<usize>),
    Change(usize, u64),
    Bury(usize),
    Release(u64),
    Renew(u64, u64),
    Doubt(u64, u64),
    Move(u32, u32, OffsetTarget),
    Wait(WaitStep),
    Resend(Vec<u64>),
    DeleteTopic(u32),
    DeleteConsumer(u32),
    Leave(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let target = prop_oneof![
        Just(OffsetTarget::Start(StartFrom::First)),
        Just(OffsetTarget::Start(StartFrom::Last)),
        (0u64..200_000).prop_map(|ms| OffsetTarget::Start(StartFrom::Time(EPOCH_MS + ms))),
        (0u64..30).prop_map(OffsetTarget::Offset),
    ];
    let rules = (any::<bool>(), prop_oneof![2 => Just(0), 1 => 10_000u64..100_000]);
    let receive = (1u32..3, 1u16..6, 0u64..40, any::<bool>(), 1u64..3, 0u64..4, 0u64..3, rules);
    prop_oneof![
        10 => (0u32..2, 0u128..20, 0u64..3, 0u64..3)
            .prop_map(|(queue, id, tag, order)| Step::Publish { queue, id, tag, order }),
        8 => receive.prop_map(|(consumer, max, invisible, renew, client, attempt, tag, rules)| Step::Receive {
            consumer, max, invisible_ms: invisible * 1000, renew, client, attempt, tag,
            // The witness does not know which messages of a message group have expired.
            rules: TopicRules { by_priority: rules.0, ttl_ms: if consumer == 1 { 0 } else { rules.1 } },
        }),
        4 => (1u32..3, 1u16..6, 0u64..4, 0u64..20, 0u64..20, 1u64..4).prop_map(
            |(consumer, max, attempt, from, length, every)| Step::Judged {
                consumer, max, attempt, from, length, every
            }
        ),
        6 => proptest::collection::vec(0usize..8, 1..4).prop_map(Step::Acknowledge),
        2 => (0usize..8, 0u64..40).prop_map(|(receipt, seconds)| Step::Change(receipt, seconds * 1000)),
        1 => (0usize..8).prop_map(Step::Bury),
        1 => proptest::collection::vec(0u64..12, 1..4).prop_map(Step::Resend),
        1 => (1u64..3).prop_map(Step::Release),
        1 => (1u64..3, 0u64..60).prop_map(|(client, seconds)| Step::Renew(client, seconds * 1000)),
        1 => (0u64..20, 0u64..30).prop_map(|(back, within)| Step::Doubt(back * 1000, within * 1000)),
        6 => wait_step().prop_map(Step::Wait),
        1 => (1u32..3).prop_map(Step::Leave),
        1 => (1u32..3, 0u32..2, target).prop_map(|(consumer, queue, to)| Step::Move(consumer, queue, to)),
    ]
}

fn rare_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => step(),
        1 => (1u32..3).prop_map(Step::DeleteTopic),
        1 => (2u32..3).prop_map(Step::DeleteConsumer),
    ]
}

type Frames = Vec<(u64, Vec<Step>)>;

fn frames(step: impl Strategy<Value = Step>) -> impl Strategy<Value = Frames> {
    let pause_ms =
        prop_oneof![12 => 0u64..15_000, 3 => 15_000u64..90_000, 3 => Just(601_000), 1 => Just(90_000_000)];
    proptest::collection::vec((pause_ms, proptest::collection::vec(step, 1..4)), 1..60)
}

/// Turns steps into commands with the receipts that were handed out last.
#[derive(Default)]
struct Author {
    receipts: Vec<Receipt>,
    waiting: WaitAuthor,
}

impl Author {
    fn receipt(&self, back: usize) -> Receipt {
        let nothing = Receipt {
            consumer: ConsumerId(1),
            queue: queue(0),
            group: GroupId(1),
            offset: QueueOffset(0),
            lease: 77,
            revision: 0,
        };
        self.receipts.iter().rev().nth(back).copied().unwrap_or(nothing)
    }

    fn command(&self, step: &Step, now_ms: u64) -> Bytes {
        match step {
            Step::Publish { queue: number, id, tag, order } => encode_publish(&Publish {
                queue: queue(*number),
                group: GroupId(1),
                dedup: *id,
                tag_hash: *tag,
                order_hash: *order,
                extras: Extras { key_hashes: vec![*id as u64; usize::from(*tag == 1)], ..Extras::default() },
                record: Bytes::from_static(b"record"),
            }),
            Step::Receive { .. } => encode_receive(&receive(step)),
            Step::Judged { .. } => encode_judged_receive(&receive(step), &verdicts(step)),
            Step::Acknowledge(backs) => {
                encode_acknowledge(&backs.iter().map(|back| self.receipt(*back)).collect::<Vec<_>>())
            }
            Step::Change(back, invisible_ms) => encode_change_lease(&self.receipt(*back), *invisible_ms),
            Step::Bury(back) => encode_dead_letter(&self.receipt(*back), DEAD_LETTERS),
            Step::Wait(step) => self.waiting.command(step, now_ms),
            Step::Resend(offsets) => encode_resend(DEAD_LETTERS, offsets),
            Step::Release(client) => encode_release_client(*client),
            Step::Doubt(back_ms, within_ms) => {
                encode_doubt_leases(now_ms.saturating_sub(*back_ms), *within_ms)
            }
            Step::Renew(client, within_ms) => encode_renew_leases(&[*client], now_ms + within_ms, 60_000),
            Step::Move(consumer, number, to) => encode_set_offset(ConsumerId(*consumer), queue(*number), *to),
            Step::DeleteTopic(topic) => encode_delete_topic(TopicId(*topic)),
            Step::Leave(consumer) => encode_delete_subscription(ConsumerId(*consumer), TopicId(1)),
            Step::DeleteConsumer(consumer) => encode_delete_consumer(ConsumerId(*consumer)),
        }
    }

    /// Notes the receipts of the answers.
    fn note(&mut self, steps: &[Step], applied: &AppliedFrame, now_ms: u64) {
        for (step, outcome) in steps.iter().zip(&applied.outcomes) {
            match (step, outcome) {
                (
                    Step::Receive { consumer, .. } | Step::Judged { consumer, .. },
                    Outcome::Received { messages, .. },
                ) => {
                    let receipts = messages.iter().map(|it| it.receipt(ConsumerId(*consumer), GroupId(1)));
                    self.receipts.extend(receipts);
                }
                (Step::Change(back, _), Outcome::Changed { revision }) => {
                    let changed = Receipt { revision: *revision, ..self.receipt(*back) };
                    self.receipts.push(changed);
                }
                (Step::Wait(step), outcome) => self.waiting.note(step, outcome, now_ms),
                _ => {}
            }
        }
    }
}

fn queue(number: u32) -> QueueKey {
    QueueKey { topic: TopicId(1), number }
}

fn verdicts(step: &Step) -> Vec<Verdict> {
    let Step::Judged { from, length, every, .. } = step else { panic!("nothing is judged: {step:?}") };
    let to = from + length;
    let matches: Vec<_> = (*from..to).filter(|offset| offset % every == 0).collect();
    [0, 1].map(|queue| Verdict { queue, from: *from, to, matches: matches.clone() }).into()
}

/// Consumer group 1 reads in order, 2 does not.
fn receive(step: &Step) -> Receive {
    if let Step::Judged { consumer, max, attempt, .. } = step {
        let like = Step::Receive {
            consumer: *consumer,
            max: *max,
            invisible_ms: 20_000,
            renew: false,
            client: 1,
            attempt: *attempt,
            tag: 0,
            rules: TopicRules::default(),
        };
        return Receive { filter: Filter::Sql("TRUE".into()), ..receive(&like) };
    }
    let Step::Receive { consumer, max, invisible_ms, renew, client, attempt, tag, rules } = step else {
        panic!("not a receive: {step:?}");
    };
    Receive {
        consumer: ConsumerId(*consumer),
        topic: TopicId(1),
        group: GroupId(1),
        queues: vec![0, 1],
        max: *max,
        invisible_ms: *invisible_ms,
        fifo: *consumer == 1,
        auto_renew: *renew,
        client: *client,
        attempt: *attempt,
        filter: if *tag == 0 { Filter::All } else { Filter::AnyOf(vec![*tag]) },
        max_attempts: MAX_ATTEMPTS,
        start: StartFrom::First,
        dead_letters: DEAD_LETTERS,
        in_flight_max: None,
        rules: *rules,
        lite: None,
    }
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

/// What a client may believe about one message, for one consumer group.
#[derive(Clone, Debug, Default)]
struct Belief {
    lease: u64,
    revision: u32,
    attempt: u16,
    until_ms: u64,
    client: u64,
    renew_until_ms: u64,
    settled: bool,
}

/// Follows the answers, and fails when one breaks a promise.
#[derive(Default)]
struct Witness {
    beliefs: BTreeMap<(u32, u32, u64), Belief>,
    orders: BTreeMap<(u32, u64), u64>,
    ends: BTreeMap<u32, u64>,
    ids: BTreeMap<u128, (u32, u64, u64)>,
    waiting: WaitModel,
    /// Leases that were settled: their receipts are answered alike, whatever happened since.
    settled_leases: BTreeSet<((u32, u32, u64), u64)>,
    /// Receipts of before their consumer group left: no lease of afterwards has one of them.
    left: HashSet<Receipt>,
    /// Where dead letters were put when they were sent again.
    resent: BTreeMap<u64, (QueueKey, u64)>,
}

impl Witness {
    fn follow(&mut self, author: &Author, step: &Step, outcome: &Outcome, now_ms: u64) {
        match (step, outcome) {
            (Step::Publish { queue, id, order, .. }, Outcome::Published(published)) => {
                let Place::Queued(QueueOffset(offset)) = published.place else {
                    panic!("a message that asked for nothing waits: {published:?}");
                };
                if published.duplicate {
                    let (first_queue, first_offset, at_ms) = self.ids[id];
                    assert_eq!((published.queue.number, offset), (first_queue, first_offset), "id {id}");
                    assert!(now_ms <= at_ms + 600_000, "id {id} was remembered for too long");
                    return;
                }
                if let Some((.., at_ms)) = self.ids.get(id) {
                    assert!(*id == 0 || now_ms > at_ms + 600_000, "id {id} is stored twice");
                }
                self.ids.insert(*id, (*queue, offset, now_ms));
                let end = self.ends.entry(*queue).or_default();
                assert_eq!(offset, *end, "a gap in queue {queue}");
                *end += 1;
                self.orders.insert((*queue, offset), *order);
            }
            (Step::Wait(step), outcome) => {
                for queue in self.waiting.follow(&author.waiting, step, outcome, now_ms) {
                    let end = self.ends.entry(queue).or_default();
                    self.orders.insert((queue, *end), 0);
                    *end += 1;
                }
            }
            (Step::Receive { .. }, Outcome::Received { messages, .. }) => {
                self.delivered(&receive(step), messages, now_ms);
            }
            (Step::Judged { from, length, every, .. }, Outcome::Received { messages, .. }) => {
                for message in messages.iter().filter(|message| message.attempt == 1) {
                    let key = (receive(step).consumer.0, message.queue.number, message.offset.0);
                    let judged =
                        (*from..from + length).contains(&message.offset.0) && message.offset.0 % every == 0;
                    // What waited for its message group was judged when it began to wait.
                    let waited = receive(step).fifo || self.beliefs.contains_key(&key);
                    assert!(judged || waited, "delivered, but not wanted: {message:?}");
                }
                self.delivered(&receive(step), messages, now_ms);
            }
            (Step::Acknowledge(backs), Outcome::Acknowledged(entries)) => {
                for (back, entry) in backs.iter().zip(entries) {
                    self.settled(&author.receipt(*back), entry.is_ok(), now_ms);
                }
            }
            (Step::Bury(back), outcome) => {
                self.settled(&author.receipt(*back), *outcome == Outcome::Done, now_ms);
            }
            (Step::Change(back, invisible_ms), Outcome::Changed { revision }) => {
                let receipt = author.receipt(*back);
                let belief = self.beliefs.get_mut(&key_of(&receipt)).unwrap();
                assert_eq!(belief.lease, receipt.lease);
                if belief.revision == receipt.revision {
                    assert!(now_ms < belief.until_ms, "a lease was changed after its end: {receipt:?}");
                    belief.until_ms = now_ms + invisible_ms;
                    belief.renew_until_ms = 0;
                    belief.revision += 1;
                }
                assert_eq!(belief.revision, *revision);
            }
            (Step::Resend(offsets), Outcome::Resent(results)) => {
                offsets.iter().zip(results).for_each(|(offset, result)| self.resent(*offset, *result));
            }
            (Step::Release(client), _) => {
                let held =
                    self.beliefs.values_mut().filter(|it| it.client == *client && now_ms < it.until_ms);
                held.for_each(|belief| belief.until_ms = now_ms);
            }
            (Step::Doubt(back_ms, within_ms), _) => {
                let given_from_ms = now_ms.saturating_sub(*back_ms);
                for belief in self.beliefs.values_mut().filter(|it| now_ms < it.until_ms && !it.settled) {
                    if belief.renew_until_ms >= given_from_ms + 3 * 3_600_000 {
                        belief.until_ms = belief.until_ms.min(now_ms + within_ms);
                        belief.renew_until_ms = 0;
                    }
                }
            }
            (Step::Renew(client, within_ms), _) => {
                for belief in self.beliefs.values_mut().filter(|it| it.client == *client && !it.settled) {
                    let ends_soon = belief.until_ms > now_ms && belief.until_ms <= now_ms + within_ms;
                    if ends_soon && belief.renew_until_ms > belief.until_ms {
                        belief.until_ms = belief.until_ms.max(belief.renew_until_ms.min(now_ms + 60_000));
                    }
                }
            }
            (Step::Move(consumer, queue, _), Outcome::Done) => {
                self.beliefs.retain(|(c, q, _), _| (c, q) != (consumer, queue));
            }
            (Step::Leave(consumer), Outcome::Done) => {
                self.beliefs.retain(|(c, ..), _| c != consumer);
                self.left.extend(author.receipts.iter().filter(|it| it.consumer.0 == *consumer));
            }
            _ => {}
        }
    }

    /// A dead letter goes back once, to the end of its queue, and stays where it was put then.
    fn resent(&mut self, offset: u64, result: ResendResult) {
        match result {
            ResendResult::Resent { queue, offset: to } => {
                let end = self.ends.entry(queue.number).or_default();
                assert_eq!(to.0, *end, "a gap in queue {}", queue.number);
                self.orders.insert((queue.number, *end), 0);
                *end += 1;
                let before = self.resent.insert(offset, (queue, to.0));
                assert_eq!(before, None, "dead letter {offset} went twice");
            }
            ResendResult::Already { queue, offset: to } => {
                assert_eq!(self.resent.get(&offset), Some(&(queue, to.0)), "dead letter {offset}");
            }
            ResendResult::Unknown | ResendResult::TopicGone => {
                assert_eq!(self.resent.get(&offset), None, "dead letter {offset} is forgotten");
            }
        }
    }

    fn delivered(&mut self, receive: &Receive, messages: &[LeasedMessage], now_ms: u64) {
        let consumer = receive.consumer.0;
        let places = messages.iter().map(|it| (it.queue.number, it.offset.0)).collect::<BTreeSet<_>>();
        assert_eq!(places.len(), messages.len(), "a message twice in one batch");
        if receive.rules.by_priority {
            // One of four leases goes to what has waited; behind those the higher queue comes first.
            let old = usize::from(receive.max.div_ceil(4));
            let numbers = messages.iter().skip(old).map(|it| it.queue.number).collect::<Vec<_>>();
            let again = messages.iter().all(|it| {
                let belief = self.beliefs.get(&(consumer, it.queue.number, it.offset.0));
                belief.is_some_and(|belief| belief.lease == it.lease)
            });
            assert!(again || numbers.is_sorted_by(|a, b| a >= b), "not by priority: {numbers:?}");
        }
        for message in messages {
            let (number, offset) = (message.queue.number, message.offset.0);
            if receive.fifo {
                self.in_order(consumer, number, offset, &places);
            }
            let belief = self.beliefs.entry((consumer, number, offset)).or_default();
            assert!(!belief.settled, "settled, and delivered again: {message:?}");
            if belief.lease == message.lease {
                let same = (message.revision, message.attempt, message.until_ms);
                assert_eq!((0, belief.attempt, belief.until_ms), same, "not the same batch again");
                continue;
            }
            let rules = receive.rules;
            assert!(rules.ttl_ms == 0 || now_ms < message.stored_ms + rules.ttl_ms, "expired: {message:?}");
            assert!(belief.until_ms <= now_ms, "delivered inside the lease {belief:?}: {message:?}");
            assert!(message.lease > belief.lease);
            assert_eq!(message.attempt, belief.attempt + 1);
            assert!(message.attempt <= MAX_ATTEMPTS);
            *belief = Belief {
                lease: message.lease,
                revision: 0,
                attempt: message.attempt,
                until_ms: message.until_ms,
                client: receive.client,
                renew_until_ms: if receive.auto_renew { now_ms + 3 * 3_600_000 } else { 0 },
                settled: false,
            };
        }
    }

    /// Every earlier message of the group that this consumer group has seen is settled or goes along.
    fn in_order(&self, consumer: u32, number: u32, offset: u64, batch: &BTreeSet<(u32, u64)>) {
        let order = self.orders[&(number, offset)];
        for earlier in (0..offset).filter(|_| order != 0) {
            let belief = self.beliefs.get(&(consumer, number, earlier));
            if self.orders[&(number, earlier)] == order && belief.is_some_and(|it| !it.settled) {
                let dead = belief.is_some_and(|it| it.attempt >= MAX_ATTEMPTS);
                assert!(dead || batch.contains(&(number, earlier)), "{offset} came before {earlier}");
            }
        }
    }

    fn settled(&mut self, receipt: &Receipt, accepted: bool, now_ms: u64) {
        assert!(!(accepted && self.left.contains(receipt)), "of before the group left: {receipt:?}");
        let Some(belief) = self.beliefs.get_mut(&key_of(receipt)) else {
            // Moved away: only the memory of an earlier acknowledgement may answer yes.
            return;
        };
        let held = belief.lease == receipt.lease
            && belief.revision == receipt.revision
            && now_ms < belief.until_ms
            && !belief.settled;
        if held {
            assert!(accepted, "a held lease was refused: {receipt:?}");
            belief.settled = true;
            self.settled_leases.insert((key_of(receipt), receipt.lease));
        } else if accepted && !belief.settled {
            if self.settled_leases.contains(&(key_of(receipt), receipt.lease)) {
                return;
            }
            panic!("a stale receipt was accepted: {receipt:?}, {belief:?} at {now_ms}");
        }
    }
}

fn key_of(receipt: &Receipt) -> (u32, u32, u64) {
    (receipt.consumer.0, receipt.queue.number, receipt.offset.0)
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
