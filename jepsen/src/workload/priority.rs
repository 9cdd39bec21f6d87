//! Messages of four priorities: queues are levels of priority, and a producer's retry must find the same one.

use std::rc::Rc;

use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::acknowledge_all;
use super::producer::Producer;
use super::{Arena, Needs, staff};
use crate::client::{GroupSpec, TopicSpec};

const TOPIC: &str = "jepsen-priority";
const GROUP: &str = "jepsen-priority-readers";
const LEVELS: u32 = 4;

pub(super) fn needs() -> Needs {
    Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Priority, queues: LEVELS },
        GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 16, retry_ms: vec![1_000] },
    )
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    staff(arena, tasks, arena.load.senders, |arena| async move { send(&arena).await });
    staff(
        arena,
        tasks,
        arena.load.receivers,
        |arena| async move { acknowledge_all(&arena, GROUP, TOPIC).await },
    );
}

async fn send(arena: &Arena) {
    let mut producer = Producer::new(arena, TOPIC);
    while arena.goes_on() {
        let mut message = producer.message();
        message.priority = Some(producer.process.choices.random_range(0..LEVELS));
        let _ = producer.send(&message).await;
        if producer.process.chance(10) {
            let next = producer.process.choices.random_range(0..arena.addresses.len());
            producer.process.client.prefer(next);
        }
        producer.pause().await;
    }
}
