//! Message groups that are spread over more queues: seals, gates and clearances in one broker group.

use bytes::Bytes;
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

pub const TOPIC: TopicId = TopicId(1);
pub const FIFO: ConsumerId = ConsumerId(3);

pub fn queue(number: u32) -> QueueKey {
    QueueKey { topic: TOPIC, number }
}

pub fn publish(number: u32, id: u128, order: u64, generation: u32) -> Publish {
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

pub fn receive(consumer: ConsumerId, fifo: bool, queues: &[u32], max: u16) -> Receive {
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

pub fn settle(consumer: ConsumerId, message: &LeasedMessage) -> Bytes {
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
pub struct Broker(pub Rig<MemoryTables>, MemoryTables);

impl Broker {
    pub fn new() -> Broker {
        let tables = MemoryTables::new();
        Broker(Rig::open(tables.clone()), tables)
    }

    pub fn one(&mut self, command: Bytes) -> Outcome {
        self.0.apply(&[command]).unwrap().outcomes.remove(0)
    }

    pub fn take(&mut self, receive: &Receive) -> Vec<LeasedMessage> {
        let would = self.0.machine.would_deliver(receive, self.0.now_ms);
        let outcome = self.one(encode_receive(receive));
        let Outcome::Received { messages, .. } = outcome else { panic!("{outcome:?}") };
        assert!(would || messages.is_empty(), "a poll would have slept through {messages:?}");
        messages
    }

    fn offsets(&mut self, receive: &Receive) -> Vec<(u32, u64)> {
        self.take(receive).iter().map(|message| (message.queue.number, message.offset.0)).collect()
    }

    pub fn send(&mut self, message: &Publish) -> Result<bool, Rejection> {
        match self.one(encode_publish(message)) {
            Outcome::Published(published) => Ok(published.duplicate),
            Outcome::Rejected(rejection) => Err(rejection),
            other => panic!("{other:?}"),
        }
    }

    /// Opened again it is the same.
    pub fn reopen(&mut self) {
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
    // It was given up: the mapping is the old one, under its generation.
    assert_eq!(broker.one(encode_seal_spread(TOPIC, 1, 1, 1)), Outcome::Done);
    assert_eq!(broker.send(&publish(0, 3, 5, 1)), Ok(false));
    let seal = encode_seal_spread(TOPIC, 2, 1, 4);
    assert!(matches!(broker.one(seal.clone()), Outcome::Rejected(Rejection::Full(_))));
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
