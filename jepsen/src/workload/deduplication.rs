//! The same message id again, on purpose: at once through other nodes, while the first send is under way, and later.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::acknowledge_all;
use super::producer::Producer;
use super::{Arena, Needs, staff};
use crate::client::{GroupSpec, Outgoing, TopicSpec};

const TOPIC: &str = "jepsen-deduplication";
const GROUP: &str = "jepsen-deduplication-readers";
/// Messages that may be sent again.
const REMEMBERED_MAX: usize = 2_048;

/// What was sent, by anybody, newest last.
type Remembered = Rc<RefCell<VecDeque<Outgoing>>>;

pub(super) fn needs() -> Needs {
    Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Normal, queues: 4 },
        GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 16, retry_ms: vec![1_000] },
    )
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    let remembered = Remembered::default();
    for _ in 0..arena.load.senders {
        let (arena, remembered) = (arena.clone(), remembered.clone());
        tasks.spawn_local(async move { send(&arena, &remembered).await });
    }
    staff(arena, tasks, arena.load.receivers.div_ceil(2), |arena| async move {
        acknowledge_all(&arena, GROUP, TOPIC).await
    });
}

async fn send(arena: &Arena, remembered: &Remembered) {
    let mut producer = Producer::new(arena, TOPIC);
    while arena.goes_on() {
        let known = remembered.borrow().len();
        let message = match producer.process.choices.random_range(0..100) {
            // Somebody's message, recent or older, through whichever node is next here.
            0..25 if known > 0 => {
                let recent = known.min(8);
                let at = known - 1 - producer.process.choices.random_range(0..recent);
                remembered.borrow()[at].clone()
            }
            25..50 if known > 0 => {
                let at = producer.process.choices.random_range(0..known);
                remembered.borrow()[at].clone()
            }
            _ => {
                let message = producer.message();
                // Before it is sent: others repeat it while it is under way.
                let mut remembered = remembered.borrow_mut();
                remembered.push_back(message.clone());
                if remembered.len() > REMEMBERED_MAX {
                    remembered.pop_front();
                }
                message
            }
        };
        let node = producer.process.choices.random_range(0..arena.addresses.len());
        producer.process.client.prefer(node);
        let _ = producer.send(&message).await;
        producer.pause().await;
    }
}
