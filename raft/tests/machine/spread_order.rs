//! The order of message groups that are spread over more queues again and again, in two broker groups together.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use raft::command::{encode_clear_spread, encode_seal_spread};
use raft::names::ConsumerId;
use raft::outcome::{LeasedMessage, Outcome};

use crate::spread::{Broker, FIFO, TOPIC, publish, queue, receive, settle};

/// Over so many queues message groups are spread, one step after the other. The queues lie in turn in two broker groups.
const WIDTHS: [u64; 3] = [2, 5, 8];
const CONSUMERS: [ConsumerId; 2] = [FIFO, ConsumerId(5)];

#[derive(Clone, Debug)]
enum Step {
    /// The next message of a message group, or the last one again if its answer was lost.
    Send(u64, bool),
    /// A consumer group, at a broker group, at most so many.
    Receive(usize, usize, u16),
    Settle(usize),
    Seal(usize),
    Finish,
    /// A consumer group, at a broker group.
    Clear(usize, usize),
    Reopen(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (consumer, broker) = (0usize..2, 0usize..2);
    prop_oneof![
        10 => (1u64..9, prop::bool::weighted(0.2)).prop_map(|(order, lost)| Step::Send(order, lost)),
        8 => (consumer.clone(), broker.clone(), 1u16..4).prop_map(|(who, at, max)| Step::Receive(who, at, max)),
        8 => (0usize..64).prop_map(Step::Settle),
        2 => broker.clone().prop_map(Step::Seal),
        2 => Just(Step::Finish),
        4 => (consumer, broker.clone()).prop_map(|(who, at)| Step::Clear(who, at)),
        1 => broker.prop_map(Step::Reopen),
        1 => (0u64..8_000).prop_map(Step::Pass),
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
    /// How many steps were finished.
    generation: u32,
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
            generation: 0,
            sent: BTreeMap::new(),
            held: Vec::new(),
            settled: BTreeMap::new(),
        }
    }

    fn send(&mut self, order: u64, lost: bool) {
        let (sent, again) = self.sent.get(&order).copied().unwrap_or_default();
        let number = if again { sent - 1 } else { sent };
        let id = u128::from(order) << 64 | u128::from(number + 1);
        let generation = self.generation;
        let place = order % WIDTHS[generation as usize];
        let asks = self.left_out != LeftOut::Window;
        let knows = |width: &u64| {
            let earlier = &self.brokers[(order % width % 2) as usize].0.machine;
            earlier.known(TOPIC, id, None, 0).is_some()
        };
        let known = asks && WIDTHS[..generation as usize].iter().any(knows);
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
        let queues = queues_of(at);
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
        let who = CONSUMERS[consumer];
        let queues = queues_of(at).into_iter().map(queue);
        let waits = self.brokers[at].0.machine.waits_for_clearance(TOPIC, who, queues);
        let Some(generation) = waits.filter(|generation| *generation <= self.generation) else { return };
        let has_settled = |broker: &Broker| {
            let unsettled = broker.0.machine.unsettled_before(TOPIC, generation, who);
            unsettled.is_some_and(|it| it.messages == 0)
        };
        if self.left_out == LeftOut::Draining || self.brokers.iter().all(has_settled) {
            let asked_ms = self.brokers[at].0.now_ms;
            self.brokers[at].one(encode_clear_spread(TOPIC, who, generation, asked_ms));
        }
    }

    /// The next step, if there is one more.
    fn seal(&mut self, at: usize) {
        if let Some([from, to]) = WIDTHS.get(self.generation as usize..self.generation as usize + 2) {
            let seal = encode_seal_spread(TOPIC, self.generation + 1, *from as u32, *to as u32);
            self.brokers[at].one(seal);
        }
    }

    fn finish(&mut self) {
        let next = self.generation + 1;
        let is_sealed = |broker: &Broker| broker.0.machine.spread_generation(TOPIC) == next;
        self.generation += u32::from(self.brokers.iter().all(is_sealed));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send(order, lost) => self.send(order, lost),
            Step::Receive(consumer, broker, max) => self.receive(consumer, broker, max),
            Step::Settle(at) => self.settle(at),
            Step::Seal(broker) => self.seal(broker),
            Step::Finish => self.finish(),
            Step::Clear(consumer, broker) => self.clear(consumer, broker),
            Step::Reopen(broker) => self.brokers[broker].reopen(),
            Step::Pass(ms) => self.brokers.iter_mut().for_each(|broker| broker.0.now_ms += ms),
        }
    }

    /// Everything is sent, read and settled: each message once.
    fn end(mut self) {
        for _ in &WIDTHS {
            spread(&mut self);
            for order in 1..9 {
                self.send(order, false);
                self.send(order, false);
            }
        }
        for _ in 0..400 {
            let settled = self.settled.values().map(BTreeSet::len).sum::<usize>() as u64;
            if settled == 2 * self.sent.values().map(|(sent, _)| sent).sum::<u64>() {
                break;
            }
            self.step(&Step::Pass(4_000));
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
    (0..2).for_each(|broker| world.seal(broker));
    world.finish();
}

fn queues_of(at: usize) -> Vec<u32> {
    (0..WIDTHS[2] as u32).filter(|number| *number as usize % 2 == at).collect()
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

#[test]
fn who_comes_late_goes_through_all_steps_in_their_order() {
    let mut world = World::new(LeftOut::Nothing);
    for _ in &WIDTHS {
        (1..9).for_each(|order| world.send(order, false));
        spread(&mut world);
    }
    // From the newest queues nothing comes before the older ones are settled.
    world.receive(0, 1, 32);
    world.receive(0, 0, 32);
    world.end();
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
