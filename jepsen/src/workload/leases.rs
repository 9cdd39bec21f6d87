//! Leases in every way: settled, settled too late, kept longer, given back, left to end; messages given up.

use std::rc::Rc;
use std::time::Duration;

use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::Consumer;
use super::producer::send_plainly;
use super::{Arena, Needs, staff};
use crate::client::{GroupSpec, Received, TopicSpec};
use crate::limits::LEASE_MIN;

const TOPIC: &str = "jepsen-leases";
const GROUP: &str = "jepsen-leases-readers";
const MAX_ATTEMPTS: u32 = 4;

pub(super) fn needs() -> Needs {
    Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Normal, queues: 4 },
        GroupSpec {
            name: GROUP.into(),
            fifo: false,
            max_attempts: MAX_ATTEMPTS,
            retry_ms: vec![200, 500, 1_000],
        },
    )
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    staff(
        arena,
        tasks,
        arena.load.senders.div_ceil(2),
        |arena| async move { send_plainly(&arena, TOPIC).await },
    );
    // They wait for leases to end, so there are more of them.
    for _ in 0..arena.load.receivers * 3 {
        let arena = arena.clone();
        tasks.spawn_local(async move { receive(&arena).await });
    }
}

async fn receive(arena: &Arena) {
    let mut consumer = Consumer::new(arena, GROUP, TOPIC);
    while arena.goes_on() {
        let max = consumer.process.choices.random_range(1..=6);
        let lease = LEASE_MIN + consumer.process.between_ms(0, 2_000);
        for message in consumer.receive(max, lease).await {
            settle(&mut consumer, message).await;
        }
        if consumer.process.chance(2) {
            consumer.farewell().await;
        }
    }
}

async fn settle(consumer: &mut Consumer<'_>, mut message: Received) {
    match consumer.process.choices.random_range(0..100) {
        0..60 => {
            let _ = consumer.acknowledge(&message).await;
        }
        60..68 => {
            // Longer, then settled with the new receipt; now and then with the old one, which is void.
            let old = message.clone();
            let longer = consumer.process.between_ms(2_000, 6_000);
            let _ = consumer.change_invisible(&mut message, longer).await;
            if consumer.process.chance(40) {
                let _ = consumer.acknowledge(&old).await;
            }
            let _ = consumer.acknowledge(&message).await;
        }
        68..78 => {
            let pause = consumer.process.between_ms(0, 1_500);
            let _ = consumer.change_invisible(&mut message, pause).await;
        }
        78..86 => {
            // A lease that ends soon, and is settled after its end: refused.
            let short = consumer.process.between_ms(100, 600);
            let _ = consumer.change_invisible(&mut message, short).await;
            tokio::time::sleep(short + consumer.process.between_ms(700, 1_500)).await;
            let _ = consumer.acknowledge(&message).await;
        }
        86..89 => consumer.dead_letter(&message, MAX_ATTEMPTS).await,
        89..93 => {
            // Settled twice.
            let _ = consumer.acknowledge(&message).await;
            let _ = consumer.acknowledge(&message).await;
        }
        93..96 => {
            let nap: Duration = consumer.process.between_ms(10, 800);
            tokio::time::sleep(nap).await;
            let _ = consumer.acknowledge(&message).await;
        }
        // Left to end after ten seconds and more.
        _ => {}
    }
}
