//! Plain messages, one by one and in batches, and consumers that acknowledge everything.

use std::rc::Rc;

use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::Consumer;
use super::producer::Producer;
use super::{Arena, Needs, staff};
use crate::client::{GroupSpec, TopicSpec};
use crate::limits::LEASE_MIN;

const TOPIC: &str = "jepsen-queue";
const GROUP: &str = "jepsen-queue-readers";

pub(super) fn needs() -> Needs {
    Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Normal, queues: 6 },
        GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 16, retry_ms: vec![1_000] },
    )
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    staff(arena, tasks, arena.load.senders, |arena| async move { send(&arena).await });
    staff(arena, tasks, arena.load.receivers, |arena| async move { receive(&arena).await });
}

async fn send(arena: &Arena) {
    let mut producer = Producer::new(arena, TOPIC);
    while arena.goes_on() {
        if producer.process.chance(15) {
            let count = producer.process.choices.random_range(2..=6);
            let batch: Vec<_> = (0..count).map(|_| producer.message()).collect();
            producer.send_batch(&batch).await;
        } else {
            let message = producer.message();
            let _ = producer.send(&message).await;
        }
        // Each goes on with another node now and then.
        if producer.process.chance(10) {
            let next = producer.process.choices.random_range(0..arena.addresses.len());
            producer.process.client.prefer(next);
        }
        producer.pause().await;
    }
}

async fn receive(arena: &Arena) {
    let mut consumer = Consumer::new(arena, GROUP, TOPIC);
    while arena.goes_on() {
        let max = consumer.process.choices.random_range(1..=24);
        for message in &consumer.receive(max, LEASE_MIN).await {
            let _ = consumer.acknowledge(message).await;
        }
    }
}
