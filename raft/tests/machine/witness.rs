//! Follows the answers of a machine as its clients see them, and fails when one breaks a promise.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use raft::names::{QueueKey, QueueOffset};
use raft::outcome::{LeasedMessage, Outcome};
use raft::request::{Place, Receipt, Receive, ResendResult};

use crate::steps::{Author, MAX_ATTEMPTS, Step, receive};
use crate::waiting::WaitModel;

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
pub struct Witness {
    beliefs: BTreeMap<(u32, u32, u64), Belief>,
    orders: BTreeMap<(u32, u64), u64>,
    ends: BTreeMap<u32, u64>,
    ids: BTreeMap<u128, (u32, u64, u64)>,
    pub waiting: WaitModel,
    /// Leases that were settled: their receipts are answered alike, whatever happened since.
    settled_leases: BTreeSet<((u32, u32, u64), u64)>,
    /// Receipts of before their consumer group left: no lease of afterwards has one of them.
    left: HashSet<Receipt>,
    /// Where dead letters were put when they were sent again.
    resent: BTreeMap<u64, (QueueKey, u64)>,
}

impl Witness {
    pub fn follow(&mut self, author: &Author, step: &Step, outcome: &Outcome, now_ms: u64) {
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
