//! Half messages: committed, rolled back, left open until the broker asks, ended twice, ended late.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use checkers::history::{Call, End};
use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::acknowledge_all;
use super::producer::Producer;
use super::{Arena, Needs, Process, staff};
use crate::client::{Ended, GroupSpec, Orphans, Resolution, Sent, TopicSpec};
use crate::limits::{POLL_INTERVAL, REQUEST_PATIENCE};

const TOPIC: &str = "jepsen-transactions";
const GROUP: &str = "jepsen-transactions-readers";
/// The broker asks about an open transaction after this.
const CHECK_AFTER: Duration = Duration::from_millis(1_500);

/// How transactions are to end that were left open, by message id. Those that are not here stay open.
type Plans = Rc<RefCell<HashMap<String, Resolution>>>;

pub(super) fn needs() -> Needs {
    Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Transaction, queues: 4 },
        GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 16, retry_ms: vec![1_000] },
    )
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    let plans = Plans::default();
    for _ in 0..arena.load.senders {
        let (arena, plans) = (arena.clone(), plans.clone());
        tasks.spawn_local(async move { send(&arena, &plans).await });
    }
    staff(
        arena,
        tasks,
        arena.load.receivers,
        |arena| async move { acknowledge_all(&arena, GROUP, TOPIC).await },
    );
    let arena = arena.clone();
    tasks.spawn_local(async move { answer(&arena, &plans).await });
}

async fn send(arena: &Arena, plans: &Plans) {
    let mut producer = Producer::new(arena, TOPIC);
    while arena.goes_on() {
        let mut message = producer.message();
        message.half = true;
        message.check_after = Some(CHECK_AFTER);
        let choice = producer.process.choices.random_range(0..100);
        let planned = match choice {
            80..87 => Some(Resolution::Commit),
            87..94 => Some(Resolution::Rollback),
            _ => None,
        };
        if let Some(resolution) = planned {
            plans.borrow_mut().insert(message.message_id.clone(), resolution);
        }
        if let Ended::Ok(sent) = producer.send(&message).await {
            resolve(arena, &mut producer.process, &message.message_id, &sent, choice).await;
        }
        producer.pause().await;
    }
}

/// Ends a transaction as was chosen; from 80 on it is left open.
async fn resolve(arena: &Arena, process: &mut Process, message_id: &str, sent: &Sent, choice: u32) {
    let nap = process.between_ms(0, 300);
    let mut ends: Vec<Resolution> = match choice {
        0..45 => vec![Resolution::Commit],
        45..65 => vec![Resolution::Rollback],
        // Repeated, and contradicted: the first one counts.
        65..70 => vec![Resolution::Commit, Resolution::Commit],
        70..75 => vec![Resolution::Commit, Resolution::Rollback],
        75..80 => vec![Resolution::Rollback, Resolution::Commit],
        _ => vec![],
    };
    if !ends.is_empty() {
        tokio::time::sleep(nap).await;
    }
    for resolution in ends.drain(..) {
        end(arena, process, message_id, &sent.transaction_id, resolution).await;
    }
}

async fn end(
    arena: &Arena,
    process: &mut Process,
    message_id: &str,
    transaction_id: &str,
    resolution: Resolution,
) {
    let begun = arena.recorder.begin(process.number);
    let ended =
        process.client.end_transaction(TOPIC, message_id, transaction_id, resolution, REQUEST_PATIENCE).await;
    let what = End { message: message_id.to_owned(), transaction: transaction_id.to_owned() };
    let call = match resolution {
        Resolution::Commit => Call::Commit(what),
        Resolution::Rollback => Call::Rollback(what),
    };
    arena.recorder.end(begun, &ended, call);
}

/// Answers the broker's questions as was planned.
async fn answer(arena: &Arena, plans: &Plans) {
    let mut process = arena.process("answerer");
    let (_orphans, mut questions) = Orphans::listen(process.client.id(), &arena.addresses, TOPIC);
    while arena.goes_on() {
        let Ok(question) = tokio::time::timeout(POLL_INTERVAL, questions.recv()).await else { continue };
        let Some((message_id, transaction_id)) = question else { return };
        let planned = plans.borrow().get(&message_id).copied();
        if let Some(resolution) = planned {
            end(arena, &mut process, &message_id, &transaction_id, resolution).await;
        }
    }
}
