//! Reading by offset: sessions that follow a queue, keep their place at the broker, and begin again from it.

use std::rc::Rc;
use std::time::Duration;

use checkers::history::{Call, GroupOffset, Pull, Pulled};
use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::producer::send_plainly;
use super::{Arena, Needs, Process, staff};
use crate::client::{Ended, GroupSpec, TopicSpec};
use crate::limits::{PULL_WAIT, RECEIVE_PATIENCE, REQUEST_PATIENCE};
use crate::recorder::digest;

const TOPIC: &str = "jepsen-pull";
const GROUP: &str = "jepsen-pull-readers";
const QUEUES: u32 = 4;

pub(super) fn needs() -> Needs {
    let topic = TopicSpec { name: TOPIC.into(), kind: TopicType::Normal, queues: QUEUES };
    let group = GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 16, retry_ms: vec![1_000] };
    Needs { topics: vec![topic], groups: vec![group], ..Needs::default() }
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    staff(arena, tasks, arena.load.senders, |arena| async move { send_plainly(&arena, TOPIC).await });
    // One session that keeps its place at the broker for each queue, and readers that follow from where they like.
    for queue in 0..QUEUES {
        let arena = arena.clone();
        tasks.spawn_local(async move { keep_place(&arena, queue).await });
    }
    for reader in 0..arena.load.receivers {
        let arena = arena.clone();
        tasks.spawn_local(async move { follow(&arena, reader % QUEUES).await });
    }
}

/// Goes on at another node half of the time: a node that thinks it still leads is met only by those who know better.
fn hop(arena: &Arena, process: &mut Process) {
    if process.chance(50) {
        let next = process.choices.random_range(0..arena.addresses.len());
        process.client.prefer(next);
    }
}

/// Pulls once and records it: where to go on, and how much came.
async fn pull(
    arena: &Arena,
    process: &mut Process,
    group: &str,
    queue: u32,
    from: u64,
) -> Option<(u64, usize)> {
    hop(arena, process);
    let max = process.choices.random_range(1..=32);
    let begun = arena.recorder.begin(process.number);
    let ended = process.client.pull(TOPIC, queue, from, max, PULL_WAIT, RECEIVE_PATIENCE).await;
    let (pulled, next) = match &ended {
        Ended::Ok(pulled) => (&pulled.messages[..], Some(pulled.next_offset)),
        _ => (&[][..], None),
    };
    let one = |message: &crate::client::Received| Pulled {
        message: message.message_id.clone(),
        body: digest(&message.body),
        offset: message.offset,
    };
    let call = Call::Pull(Pull {
        group: group.to_owned(),
        topic: TOPIC.to_owned(),
        queue,
        from,
        pulled: pulled.iter().map(one).collect(),
        next,
    });
    let came = pulled.len();
    arena.recorder.end(begun, &ended, call);
    next.map(|next| (next, came))
}

/// Reads a queue for the consumer group, and begins again at the stored offset now and then.
async fn keep_place(arena: &Arena, queue: u32) {
    let mut process = arena.process("keeper");
    let mut at = 0;
    while arena.goes_on() {
        if let Some((next, came)) = pull(arena, &mut process, GROUP, queue, at).await {
            at = next;
            if came > 0 && process.chance(50) {
                hop(arena, &mut process);
                let begun = arena.recorder.begin(process.number);
                let ended = process.client.update_offset(GROUP, TOPIC, queue, at, REQUEST_PATIENCE).await;
                arena.recorder.end(begun, &ended, Call::UpdateOffset(place(queue, Some(at))));
            }
        }
        if process.chance(50) {
            hop(arena, &mut process);
            let begun = arena.recorder.begin(process.number);
            let ended = process.client.get_offset(GROUP, TOPIC, queue, REQUEST_PATIENCE).await;
            let stored = match &ended {
                Ended::Ok(offset) => Some(*offset),
                _ => None,
            };
            arena.recorder.end(begun, &ended, Call::QueryOffset(place(queue, stored)));
        }
    }
}

fn place(queue: u32, offset: Option<u64>) -> GroupOffset {
    GroupOffset { group: GROUP.to_owned(), topic: TOPIC.to_owned(), queue, offset }
}

/// Reads a queue by itself, from the beginning or from its end.
async fn follow(arena: &Arena, queue: u32) {
    let mut process = arena.process("follower");
    let group = format!("jepsen-pull-{}", process.number);
    let mut at = 0;
    if process.chance(50) {
        let end = process.client.end_offset(TOPIC, queue, REQUEST_PATIENCE).await;
        at = end.ok().unwrap_or(0);
    }
    while arena.goes_on() {
        if let Some((next, _)) = pull(arena, &mut process, &group, queue, at).await {
            at = next;
        }
        let nap: Duration = process.between_ms(0, 50);
        tokio::time::sleep(nap).await;
    }
}
