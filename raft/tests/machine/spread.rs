//! Message groups that are spread over more queues: seals, gates, clearances, and the order of two broker groups together.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use raft::catalog::StartFrom;
use raft::command::{
    OffsetTarget, encode_acknowledge, encode_clear_spread, encode_delete_consumer,
    encode_delete_subscription, encode_delete_topic, encode_end_transaction, encode_publish, encode_receive,
    encode_seal_spread, encode_set_offset, encode_trim,
};
use raft::limits::SPREAD_MOVED_MS;
use raft::machine::StateMachine;
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use raft::outcome::{LeasedMessage, Outcome};
use raft::request::{
    Extras, Filter, Place, Publish, Receipt, Receive, Rejection, Resolution, TopicRules, Transaction,
};
use store::tables::MemoryTables;

use crate::rig::Rig;

const TOPIC: TopicId = TopicId(1);
const FIFO: ConsumerId = ConsumerId(3);

fn queue(number: u32) -> QueueKey {
    QueueKey { topic: TOPIC, number }
}

fn publish(number: u32, id: u128, order: u64, generation: u32) -> Publish {
    Publish {
        queue: queue(number),
        group: GroupId(1),
        dedup: id,
        tag_hash: 0,
        order_hash: order,
        extras: Extras { generation, ..Extras::default() },
        record: Bytes::from(id.to_le_bytes().to_vec()),
    }
}

fn receive(consumer: ConsumerId, fifo: bool, queues: &[u32], max: u16) -> Receive {
    Receive {
        consumer,
        topic: TOPIC,
        group: GroupId(1),
        queues: queues.to_vec(),
        max,
        invisible_ms: 3_000,
        fifo,
        auto_renew: false,
        client: 1,
        attempt: 0,
        filter: Filter::All,
        max_attempts: 1_000,
        start: StartFrom::First,
        dead_letters: QueueKey { topic: TopicId(9), number: 0 },
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

fn settle(consumer: ConsumerId, message: &LeasedMessage) -> Bytes {
    encode_acknowledge(&[Receipt {
        consumer,
        queue: message.queue,
        group: GroupId(1),
        offset: message.offset,
        lease: message.lease,
        revision: message.revision,
    }])
}

/// One broker group.
struct Broker(Rig<MemoryTables>, MemoryTables);

impl Broker {
    fn new() -> Broker {
        let tables = MemoryTables::new();
        Broker(Rig::open(tables.clone()), tables)
    }

    fn one(&mut self, command: Bytes) -> Outcome {
        self.0.apply(&[command]).unwrap().outcomes.remove(0)
    }

    fn take(&mut self, receive: &Receive) -> Vec<LeasedMessage> {
        let would = self.0.machine.would_deliver(receive, self.0.now_ms);
        let outcome = self.one(encode_receive(receive));
        let Outcome::Received { messages, .. } = outcome else { panic!("{outcome:?}") };
        assert!(would || messages.is_empty(), "a poll would have slept through {messages:?}");
        messages
    }

    fn offsets(&mut self, receive: &Receive) -> Vec<(u32, u64)> {
        self.take(receive).iter().map(|message| (message.queue.number, message.offset.0)).collect()
    }

    fn send(&mut self, message: &Publish) -> Result<bool, Rejection> {
        match self.one(encode_publish(message)) {
            Outcome::Published(published) => Ok(published.duplicate),
            Outcome::Rejected(rejection) => Err(rejection),
            other => panic!("{other:?}"),
        }
    }

    /// Opened again it is the same.
    fn reopen(&mut self) {
        let digest = self.0.machine.digest().unwrap();
        assert_eq!(self.0.reopen(self.1.clone()), 0);
        assert_eq!(self.0.machine.digest().unwrap(), digest);
    }
}

#[test]
fn from_a_seal_on_only_what_was_sent_under_it_is_taken() {
    let mut broker = Broker::new();
    assert_eq!(broker.send(&publish(0, 1, 5, 0)), Ok(false));
    assert_eq!(broker.send(&publish(0, 2, 5, 1)), Err(Rejection::Respread), "not begun here");
    let seal = encode_seal_spread(TOPIC, 2, 1, 4);
    for _ in 0..2 {
        assert_eq!(broker.one(seal.clone()), Outcome::Done);
        broker.reopen();
    }
    assert_eq!(broker.one(encode_seal_spread(TOPIC, 1, 1, 2)), Outcome::Done, "an older one has no effect");
    assert_eq!(broker.0.machine.spread_generation(TOPIC), 2);
    assert_eq!(broker.send(&publish(0, 1, 5, 0)), Ok(true), "what is there already is answered as such");
    for generation in [0, 1, 3] {
        assert_eq!(broker.send(&publish(0, 2, 5, generation)), Err(Rejection::Respread));
    }
    assert_eq!(broker.send(&publish(3, 2, 5, 2)), Ok(false));
    assert_eq!(broker.send(&publish(3, 3, 0, 0)), Ok(false), "without a message group it goes anywhere");
    let mut lite = publish(0, 4, 5, 0);
    lite.extras.lite_hash = Some(5);
    assert_eq!(broker.send(&lite), Ok(false), "a lite topic has no mapping");
    let known = broker.0.machine.known(TOPIC, 2, None, 0).expect("it came a moment ago");
    assert_eq!((known.queue, known.place), (queue(3), Place::Queued(QueueOffset(0))));
    assert_eq!(broker.0.machine.known(TOPIC, 9, None, 0), None);
}

#[test]
fn open_transactions_with_a_message_group_hold_a_seal_up() {
    let mut broker = Broker::new();
    let mut half = publish(0, 1, 5, 0);
    half.extras.check_after_ms = Some(1000);
    let Outcome::Published(begun) = broker.one(encode_publish(&half)) else { panic!("it is refused") };
    let Place::Waiting(number) = begun.place else { panic!("{begun:?}") };
    let seal = encode_seal_spread(TOPIC, 1, 1, 4);
    assert!(matches!(broker.one(seal.clone()), Outcome::Rejected(Rejection::Full(_))));
    assert_eq!(broker.send(&publish(0, 2, 5, 0)), Ok(false), "nothing has begun");
    let transaction = Transaction { group: GroupId(1), topic: TOPIC, number, id: 1 };
    broker.one(encode_end_transaction(&transaction, Resolution::Commit));
    assert_eq!(broker.one(seal), Outcome::Done);
}

#[test]
fn a_fifo_consumer_group_gets_nothing_from_behind_a_seal_before_it_is_cleared() {
    let mut broker = Broker::new();
    for id in 1..=2 {
        broker.send(&publish(0, id, 5, 0)).unwrap();
    }
    broker.one(encode_seal_spread(TOPIC, 1, 1, 2));
    for (number, id) in [(0, 3), (1, 4)] {
        broker.send(&publish(number, id, 5 + u64::from(number), 1)).unwrap();
    }
    let others = receive(ConsumerId(4), false, &[0, 1], 32);
    assert_eq!(broker.offsets(&others).len(), 4, "without order there is nothing to wait for");
    let all = receive(FIFO, true, &[0, 1], 32);
    let unsettled = |broker: &Broker| broker.0.machine.unsettled_before(TOPIC, 1, FIFO).unwrap();
    let waits =
        |broker: &Broker| broker.0.machine.waits_for_clearance(TOPIC, FIFO, [0, 1].map(queue).into_iter());
    assert_eq!((unsettled(&broker).messages, unsettled(&broker).begun), (2, false));
    for left in [1, 0] {
        let leased = broker.take(&receive(FIFO, true, &[0, 1], 1));
        assert_eq!(
            leased.iter().map(|it| it.queue.number).collect::<Vec<_>>(),
            [0],
            "one at a time of what is old"
        );
        broker.one(settle(FIFO, &leased[0]));
        assert_eq!(unsettled(&broker).messages, left);
    }
    assert!(broker.offsets(&all).is_empty());
    assert!(!broker.0.machine.would_deliver(&all, broker.0.now_ms), "the poll sleeps");
    assert_eq!(waits(&broker), Some(1));
    let now_ms = broker.0.now_ms;
    assert!(matches!(broker.one(encode_clear_spread(TOPIC, FIFO, 2, now_ms)), Outcome::Rejected(_)));
    for _ in 0..2 {
        assert_eq!(broker.one(encode_clear_spread(TOPIC, FIFO, 1, now_ms)), Outcome::Done);
        broker.reopen();
    }
    assert_eq!(waits(&broker), None);
    assert_eq!(broker.offsets(&all), [(0, 2), (1, 0)]);
}

#[test]
fn who_is_moved_is_cleared_anew() {
    let mut broker = Broker::new();
    broker.send(&publish(0, 1, 5, 0)).unwrap();
    broker.one(encode_seal_spread(TOPIC, 1, 1, 2));
    broker.send(&publish(1, 2, 5, 1)).unwrap();
    let all = receive(FIFO, true, &[0, 1], 32);
    let moves = [
        encode_set_offset(FIFO, queue(1), OffsetTarget::Start(StartFrom::First)),
        encode_clear_spread(TOPIC, FIFO, 0, 0),
        encode_delete_subscription(FIFO, TOPIC),
    ];
    broker.one(encode_clear_spread(TOPIC, FIFO, 1, broker.0.now_ms));
    for moved in moves {
        broker.one(moved);
        broker.one(encode_set_offset(FIFO, queue(0), OffsetTarget::Start(StartFrom::First)));
        broker.one(encode_set_offset(FIFO, queue(1), OffsetTarget::Start(StartFrom::First)));
        let leased = broker.take(&all);
        assert_eq!(leased.len(), 1, "what is old goes first: {leased:?}");
        broker.one(settle(FIFO, &leased[0]));
        let asked_ms = broker.0.now_ms;
        broker.0.now_ms += SPREAD_MOVED_MS;
        let early = broker.one(encode_clear_spread(TOPIC, FIFO, 1, asked_ms));
        assert!(matches!(early, Outcome::Rejected(_)), "it may not have been moved everywhere: {early:?}");
        assert!(broker.offsets(&all).is_empty());
        assert_eq!(broker.one(encode_clear_spread(TOPIC, FIFO, 1, broker.0.now_ms)), Outcome::Done);
        assert_eq!(broker.offsets(&all), [(1, 0)]);
        broker.reopen();
    }
}

#[test]
fn what_retention_took_need_not_be_settled_and_what_is_gone_leaves_no_rows() {
    let mut broker = Broker::new();
    for id in 1..=3 {
        broker.send(&publish(0, id, 5, 0)).unwrap();
    }
    broker.one(encode_seal_spread(TOPIC, 1, 1, 2));
    let messages =
        |broker: &Broker, consumer| broker.0.machine.unsettled_before(TOPIC, 1, consumer).unwrap().messages;
    let leased = broker.take(&receive(FIFO, true, &[0], 1));
    broker.one(encode_trim(queue(0), 2));
    assert_eq!(messages(&broker, FIFO), 3, "what it holds it must settle");
    assert_eq!(messages(&broker, ConsumerId(8)), 1, "who never read it has the rest to settle");
    broker.one(settle(FIFO, &leased[0]));
    assert_eq!(messages(&broker, FIFO), 1);
    broker.one(encode_clear_spread(TOPIC, FIFO, 1, broker.0.now_ms));
    broker.one(encode_delete_consumer(FIFO));
    broker.one(encode_delete_topic(TOPIC));
    broker.reopen();
    assert_eq!(broker.0.machine.spread_generation(TOPIC), 0);
    assert!(matches!(broker.one(encode_seal_spread(TOPIC, 2, 1, 2)), Outcome::Rejected(_)));
}

/// The queues of the topic lie in turn in two broker groups.
const FROM: u64 = 2;
const TO: u64 = 5;
const CONSUMERS: [ConsumerId; 2] = [FIFO, ConsumerId(5)];

#[derive(Clone, Debug)]
enum Step {
    /// The next message of a message group, or the last one again if its answer was lost.
    Send {
        order: u64,
        lost: bool,
    },
    Receive {
        consumer: usize,
        broker: usize,
        max: u16,
    },
    Settle {
        at: usize,
    },
    Seal {
        broker: usize,
    },
    Finish,
    Clear {
        consumer: usize,
        broker: usize,
    },
    Reopen {
        broker: usize,
    },
    Pass {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (consumer, broker) = (0usize..2, 0usize..2);
    prop_oneof![
        10 => (1u64..9, prop::bool::weighted(0.2)).prop_map(|(order, lost)| Step::Send { order, lost }),
        8 => (consumer.clone(), broker.clone(), 1u16..4)
            .prop_map(|(consumer, broker, max)| Step::Receive { consumer, broker, max }),
        8 => (0usize..64).prop_map(|at| Step::Settle { at }),
        1 => broker.clone().prop_map(|broker| Step::Seal { broker }),
        1 => Just(Step::Finish),
        4 => (consumer, broker.clone()).prop_map(|(consumer, broker)| Step::Clear { consumer, broker }),
        1 => broker.prop_map(|broker| Step::Reopen { broker }),
        1 => (0u64..8_000).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// What is left out, to see that it is missed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    Nothing,
    /// Whether a consumer group has settled what is old, before it is cleared.
    Draining,
    /// Whether the former broker group knows a message that is sent again.
    Window,
}

/// Two broker groups, the one mapping that `meta` says, a producer for each message group, two FIFO consumer groups.
struct World {
    brokers: [Broker; 2],
    left_out: LeftOut,
    spread: bool,
    /// By message group: how many were sent, and whether the last answer was lost.
    sent: BTreeMap<u64, (u64, bool)>,
    /// What consumer groups hold.
    held: Vec<(usize, usize, LeasedMessage)>,
    /// By consumer group and message group: which are settled.
    settled: BTreeMap<(usize, u64), BTreeSet<u64>>,
}

impl World {
    fn new(left_out: LeftOut) -> World {
        let brokers = [Broker::new(), Broker::new()];
        World {
            brokers,
            left_out,
            spread: false,
            sent: BTreeMap::new(),
            held: Vec::new(),
            settled: BTreeMap::new(),
        }
    }

    fn send(&mut self, order: u64, lost: bool) {
        let (sent, again) = self.sent.get(&order).copied().unwrap_or_default();
        let number = if again { sent - 1 } else { sent };
        let id = u128::from(order) << 64 | u128::from(number + 1);
        let (width, generation) = if self.spread { (TO, 1) } else { (FROM, 0) };
        let place = order % width;
        let earlier = &self.brokers[(order % FROM % 2) as usize];
        let asks = self.spread && self.left_out != LeftOut::Window;
        let known = asks && earlier.0.machine.known(TOPIC, id, None, 0).is_some();
        let broker = &mut self.brokers[(place % 2) as usize];
        let taken = known || broker.send(&publish(place as u32, id, order, generation)).is_ok();
        if taken {
            self.sent.insert(order, (number + 1, lost));
        }
    }

    /// The message group, and which of its messages it is.
    fn message(&self, at: usize, message: &LeasedMessage) -> (u64, u64) {
        let record = self.brokers[at].0.record(message);
        let id = u128::from_le_bytes(record[..].try_into().unwrap());
        ((id >> 64) as u64, id as u64 - 1)
    }

    fn receive(&mut self, consumer: usize, at: usize, max: u16) {
        let queues: Vec<u32> = (0..TO as u32).filter(|number| *number as usize % 2 == at).collect();
        let mut batch = BTreeSet::new();
        for message in self.brokers[at].take(&receive(CONSUMERS[consumer], true, &queues, max)) {
            let (order, number) = self.message(at, &message);
            let settled = self.settled.entry((consumer, order)).or_default();
            assert!(!settled.contains(&number), "{number} of {order} comes twice to {consumer}");
            let overtaken = (0..number).find(|it| !settled.contains(it) && !batch.contains(&(order, *it)));
            assert_eq!(overtaken, None, "{number} of {order} overtakes it for {consumer}");
            batch.insert((order, number));
            self.held.push((consumer, at, message));
        }
    }

    fn settle(&mut self, at: usize) {
        if self.held.is_empty() {
            return;
        }
        let (consumer, from, message) = self.held.remove(at % self.held.len());
        let outcome = self.brokers[from].one(settle(CONSUMERS[consumer], &message));
        if outcome == Outcome::Acknowledged(vec![Ok(())]) {
            let (order, number) = self.message(from, &message);
            self.settled.entry((consumer, order)).or_default().insert(number);
        }
    }

    /// As the leader of a broker group does.
    fn clear(&mut self, consumer: usize, at: usize) {
        let unsettled = |broker: &Broker| {
            broker
                .0
                .machine
                .unsettled_before(TOPIC, 1, CONSUMERS[consumer])
                .is_some_and(|it| it.messages == 0)
        };
        let settled = self.left_out == LeftOut::Draining || self.brokers.iter().all(unsettled);
        if self.spread && settled {
            let asked_ms = self.brokers[at].0.now_ms;
            self.brokers[at].one(encode_clear_spread(TOPIC, CONSUMERS[consumer], 1, asked_ms));
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send { order, lost } => self.send(order, lost),
            Step::Receive { consumer, broker, max } => self.receive(consumer, broker, max),
            Step::Settle { at } => self.settle(at),
            Step::Seal { broker } => {
                self.brokers[broker].one(encode_seal_spread(TOPIC, 1, FROM as u32, TO as u32));
            }
            Step::Finish => {
                self.spread |= self.brokers.iter().all(|it| it.0.machine.spread_generation(TOPIC) == 1);
            }
            Step::Clear { consumer, broker } => self.clear(consumer, broker),
            Step::Reopen { broker } => self.brokers[broker].reopen(),
            Step::Pass { ms } => self.brokers.iter_mut().for_each(|broker| broker.0.now_ms += ms),
        }
    }

    /// Everything is sent, read and settled: each message once.
    fn end(mut self) {
        for broker in 0..2 {
            self.step(&Step::Seal { broker });
        }
        self.step(&Step::Finish);
        for order in 1..9 {
            for _ in 0..2 {
                self.send(order, false);
            }
        }
        for _ in 0..400 {
            let settled = self.settled.values().map(BTreeSet::len).sum::<usize>() as u64;
            if settled == 2 * self.sent.values().map(|(sent, _)| sent).sum::<u64>() {
                break;
            }
            self.step(&Step::Pass { ms: 4_000 });
            for (consumer, broker) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                self.clear(consumer, broker);
                self.receive(consumer, broker, 32);
                while !self.held.is_empty() {
                    self.settle(0);
                }
            }
        }
        for ((consumer, order), settled) in &self.settled {
            assert_eq!(settled.len() as u64, self.sent[order].0, "of {order} for {consumer}");
        }
        assert_eq!(self.settled.len(), 2 * self.sent.len());
    }
}

/// A message group that goes from the first broker group to the second one.
const MOVES: u64 = 6;

fn spread(world: &mut World) {
    [0, 1].into_iter().for_each(|broker| world.step(&Step::Seal { broker }));
    world.step(&Step::Finish);
}

#[test]
#[should_panic(expected = "1 of 6 overtakes it for 0")]
fn a_change_without_draining_is_found() {
    let mut world = World::new(LeftOut::Draining);
    world.send(MOVES, false);
    spread(&mut world);
    world.send(MOVES, false);
    world.receive(0, 1, 1);
    world.clear(0, 1);
    world.receive(0, 1, 1);
}

#[test]
#[should_panic(expected = "0 of 6 comes twice to 0")]
fn a_message_that_is_sent_again_past_the_change_is_found() {
    let mut world = World::new(LeftOut::Window);
    world.send(MOVES, true);
    spread(&mut world);
    world.send(MOVES, false);
    world.receive(0, 0, 1);
    world.settle(0);
    world.receive(0, 1, 1);
    world.clear(0, 1);
    world.receive(0, 1, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_message_overtakes_another_of_its_message_group_and_none_comes_twice(
        steps in proptest::collection::vec(step(), 0..200)
    ) {
        let mut world = World::new(LeftOut::Nothing);
        steps.iter().for_each(|step| world.step(step));
        world.end();
    }
}
