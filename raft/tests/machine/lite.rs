//! Lite topics that come and go: whatever happens between, a machine that is opened from its rows goes on as the
//! one that wrote them, and no queue is ever two lite topics.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use raft::catalog::StartFrom;
use raft::command::{
    encode_acknowledge, encode_expire_lite, encode_publish, encode_receive, encode_release_client,
    encode_renew_leases, encode_trim,
};
use raft::limits::LITE_QUEUES_FROM;
use raft::machine::StateMachine;
use raft::names::{ConsumerId, GroupId, QueueKey, TopicId};
use raft::outcome::Outcome;
use raft::request::{Extras, Filter, Place, Publish, Receipt, Receive, TopicRules};
use store::tables::MemoryTables;

use crate::rig::Rig;

const TOPIC: TopicId = TopicId(1);
const CLIENT: u64 = 7;

#[derive(Clone, Debug)]
enum Step {
    Publish(u64),
    /// Of these queues of lite topics, whether they are there or not.
    Receive(u32, Vec<u32>, u64),
    Acknowledge,
    Trim(u32, u64),
    Expire(u64, u64),
    Release,
    Renew,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..4).prop_map(Step::Publish),
        4 => (1u32..3, proptest::collection::vec(0u32..8, 1..4), 0u64..30)
            .prop_map(|(consumer, queues, seconds)| Step::Receive(consumer, queues, seconds * 1000)),
        3 => Just(Step::Acknowledge),
        2 => (0u32..8, 0u64..4).prop_map(|(queue, first)| Step::Trim(queue, first)),
        3 => (0u64..4, 0u64..20).prop_map(|(name, seconds)| Step::Expire(name, seconds * 1000)),
        1 => Just(Step::Release),
        1 => Just(Step::Renew),
    ]
}

fn queue(number: u32) -> QueueKey {
    QueueKey { topic: TOPIC, number: LITE_QUEUES_FROM + number }
}

fn command(step: &Step, receipts: &[Receipt], now_ms: u64) -> Bytes {
    match step {
        Step::Publish(name) => encode_publish(&Publish {
            queue: QueueKey { topic: TOPIC, number: 0 },
            group: GroupId(1),
            dedup: 0,
            tag_hash: 0,
            order_hash: 0,
            extras: Extras { lite_hash: Some(*name), key_hashes: vec![*name], ..Extras::default() },
            record: Bytes::from_static(b"record"),
        }),
        Step::Receive(consumer, queues, invisible_ms) => encode_receive(&Receive {
            consumer: ConsumerId(*consumer),
            topic: TOPIC,
            group: GroupId(1),
            queues: queues.iter().map(|number| queue(*number).number).collect(),
            max: 2,
            invisible_ms: *invisible_ms,
            fifo: false,
            auto_renew: true,
            client: CLIENT,
            attempt: 0,
            filter: Filter::All,
            max_attempts: 3,
            start: StartFrom::First,
            dead_letters: QueueKey { topic: TopicId(9), number: 0 },
            in_flight_max: None,
            rules: TopicRules::default(),
            lite: None,
        }),
        Step::Acknowledge => encode_acknowledge(receipts),
        Step::Trim(number, first) => encode_trim(queue(*number), *first),
        Step::Expire(name, idle_ms) => encode_expire_lite(TOPIC, *idle_ms, &[*name]),
        Step::Release => encode_release_client(CLIENT),
        Step::Renew => encode_renew_leases(&[CLIENT], now_ms + 60_000, 60_000),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_machine_goes_on_from_its_rows(
        frames in proptest::collection::vec((0u64..12_000, proptest::collection::vec(step(), 1..4)), 1..60)
    ) {
        let (tables, reopened) = (MemoryTables::new(), MemoryTables::new());
        let (mut whole, mut again) = (Rig::open(tables.clone()), Rig::open(reopened.clone()));
        // By queue: the lite topic, and the end of the lease of each message that a consumer group holds.
        let mut names: BTreeMap<u32, u64> = BTreeMap::new();
        let mut receipts: Vec<(u64, Receipt)> = Vec::new();
        for (pause_ms, steps) in &frames {
            whole.now_ms += pause_ms;
            again.now_ms = whole.now_ms;
            let now_ms = whole.now_ms;
            let known: Vec<Receipt> = receipts.iter().map(|(_, receipt)| *receipt).collect();
            let commands: Vec<Bytes> = steps.iter().map(|step| command(step, &known, now_ms)).collect();
            again.reopen(reopened.clone());
            let applied = whole.apply(&commands).unwrap();
            prop_assert_eq!(&applied, &again.apply(&commands).unwrap());
            prop_assert_eq!(whole.machine.digest().unwrap(), again.machine.digest().unwrap());
            for (step, outcome) in steps.iter().zip(&applied.outcomes) {
                match (step, outcome) {
                    (Step::Publish(name), Outcome::Published(it)) => {
                        let before = names.insert(it.queue.number, *name);
                        prop_assert!(before.is_none_or(|before| before == *name), "{:?} was {:?}", it, before);
                        let Place::Queued(offset) = it.place else { panic!("{it:?} waits") };
                        prop_assert!(before.is_some() || offset.0 == 0, "{:?} begins with another's", it);
                    }
                    (Step::Receive(consumer, ..), Outcome::Received { messages, .. }) => receipts.extend(
                        messages.iter().map(|it| (it.until_ms, it.receipt(ConsumerId(*consumer), GroupId(1)))),
                    ),
                    (Step::Acknowledge, Outcome::Acknowledged(results)) => {
                        let acknowledged = known.iter().zip(results);
                        for (receipt, result) in acknowledged {
                            // A message that is leased does not go with its lite topic.
                            let held = receipts.iter().any(|(end, it)| it == receipt && *end > now_ms);
                            let released = steps.iter().any(|step| matches!(step, Step::Release));
                            prop_assert!(result.is_ok() || !held || released, "{:?} is lost", receipt);
                        }
                        receipts.clear();
                    }
                    (Step::Release, _) => receipts.clear(),
                    _ => {}
                }
            }
        }
    }
}
