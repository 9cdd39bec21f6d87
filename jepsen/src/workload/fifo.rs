//! Message groups in order: some with one producer, some with several; consumers that take whole batches, give them
//! back in the middle, or let them go.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::Consumer;
use super::producer::Producer;
use super::{Arena, Needs, staff};
use crate::client::{Ended, GroupSpec, Received, TopicSpec};
use crate::limits::LEASE_MIN;

const TOPIC: &str = "jepsen-fifo";
const GROUP: &str = "jepsen-fifo-readers";
/// Message groups to which every producer sends.
const SHARED: u32 = 4;
/// Message groups that a producer has for itself.
const OWN: u32 = 3;

pub(super) fn needs() -> Needs {
    Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Fifo, queues: 4 },
        GroupSpec { name: GROUP.into(), fifo: true, max_attempts: 64, retry_ms: vec![200] },
    )
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    staff(arena, tasks, arena.load.senders, |arena| async move { send(&arena).await });
    staff(arena, tasks, arena.load.receivers, |arena| async move { receive(&arena).await });
}

async fn send(arena: &Arena) {
    let mut producer = Producer::new(arena, TOPIC);
    while arena.goes_on() {
        let mut message = producer.message();
        let shared = producer.process.chance(40);
        let number = producer.process.choices.random_range(0..if shared { SHARED } else { OWN });
        message.message_group = Some(match shared {
            true => format!("shared-{number}"),
            false => format!("own-{}-{number}", producer.process.number),
        });
        // After a send in doubt the order of what follows is the broker's to keep all the same.
        let _ = producer.send(&message).await;
        producer.pause().await;
    }
}

/// What a consumer does with what is left of a message group in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    GiveBack,
    LetGo,
}

async fn receive(arena: &Arena) {
    let mut consumer = Consumer::new(arena, GROUP, TOPIC);
    while arena.goes_on() {
        let max = consumer.process.choices.random_range(1..=12);
        let messages = consumer.receive(max, LEASE_MIN).await;
        settle(&mut consumer, messages).await;
    }
}

async fn settle(consumer: &mut Consumer<'_>, messages: Vec<Received>) {
    let mut stopped: Vec<(Option<String>, Mood)> = Vec::new();
    let mut given_back = HashSet::new();
    for mut message in messages {
        let group = message.message_group.clone();
        let mood = match stopped.iter().find(|(stopped, _)| *stopped == group) {
            Some((_, mood)) => Some(*mood),
            None if consumer.process.chance(4) => Some(Mood::GiveBack),
            None if consumer.process.chance(1) => Some(Mood::LetGo),
            None => None,
        };
        match mood {
            None => {
                // The next one of a message group is worked on once this one is settled.
                if !matches!(consumer.acknowledge(&message).await, Ended::Ok(())) {
                    stopped.push((group, Mood::LetGo));
                }
            }
            Some(Mood::GiveBack) => {
                if given_back.insert(message.message_id.clone()) {
                    let pause = consumer.process.between_ms(0, 800);
                    let _ = consumer.change_invisible(&mut message, pause).await;
                }
                stopped.push((group, Mood::GiveBack));
            }
            Some(Mood::LetGo) => stopped.push((group, Mood::LetGo)),
        }
        if consumer.process.chance(3) {
            let work: Duration = consumer.process.between_ms(1, 60);
            tokio::time::sleep(work).await;
        }
    }
}
