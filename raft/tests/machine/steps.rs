//! Random commands for a broker group's machine, and who writes them down.

use bytes::Bytes;
use proptest::prelude::*;
use raft::catalog::StartFrom;
use raft::command::{
    OffsetTarget, Verdict, encode_acknowledge, encode_change_lease, encode_dead_letter,
    encode_delete_consumer, encode_delete_subscription, encode_delete_topic, encode_doubt_leases,
    encode_judged_receive, encode_publish, encode_receive, encode_release_client, encode_renew_leases,
    encode_resend, encode_set_offset,
};
use raft::machine::AppliedFrame;
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use raft::outcome::Outcome;
use raft::request::{Extras, Filter, Publish, Receipt, Receive, TopicRules};

use crate::rig::EPOCH_MS;
use crate::waiting::{WaitAuthor, WaitStep, wait_step};

const DEAD_LETTERS: QueueKey = QueueKey { topic: TopicId(9), number: 0 };
pub const MAX_ATTEMPTS: u16 = 4;

/// A command before it is known which receipts there are.
#[derive(Clone, Debug)]
pub enum Step {
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

pub fn step() -> impl Strategy<Value = Step> {
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

pub fn rare_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => step(),
        1 => (1u32..3).prop_map(Step::DeleteTopic),
        1 => (2u32..3).prop_map(Step::DeleteConsumer),
    ]
}

pub type Frames = Vec<(u64, Vec<Step>)>;

pub fn frames(step: impl Strategy<Value = Step>) -> impl Strategy<Value = Frames> {
    let pause_ms =
        prop_oneof![12 => 0u64..15_000, 3 => 15_000u64..90_000, 3 => Just(601_000), 1 => Just(90_000_000)];
    proptest::collection::vec((pause_ms, proptest::collection::vec(step, 1..4)), 1..60)
}

/// Turns steps into commands with the receipts that were handed out last.
#[derive(Default)]
pub struct Author {
    pub receipts: Vec<Receipt>,
    pub waiting: WaitAuthor,
}

impl Author {
    pub fn receipt(&self, back: usize) -> Receipt {
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

    pub fn command(&self, step: &Step, now_ms: u64) -> Bytes {
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
    pub fn note(&mut self, steps: &[Step], applied: &AppliedFrame, now_ms: u64) {
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

pub fn queue(number: u32) -> QueueKey {
    QueueKey { topic: TopicId(1), number }
}

pub fn verdicts(step: &Step) -> Vec<Verdict> {
    let Step::Judged { from, length, every, .. } = step else { panic!("nothing is judged: {step:?}") };
    let to = from + length;
    let matches: Vec<_> = (*from..to).filter(|offset| offset % every == 0).collect();
    [0, 1].map(|queue| Verdict { queue, from: *from, to, matches: matches.clone() }).into()
}

/// Consumer group 1 reads in order, 2 does not.
pub fn receive(step: &Step) -> Receive {
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
