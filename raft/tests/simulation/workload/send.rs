//! Clients that send: plain messages, some of a message group, some that wait for their time or for the end of their
//! transaction; and some a second time.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::Topic;
use raft::hash::hash64;
use raft::names::QueueKey;
use raft::node::Node;
use raft::request::{Extras, Place as Stored, Publish, Published, Resolution, Transaction};
use raft::simulation;
use store::record::MessageRecord;

use super::{Clients, QUEUES, failed, now, prepared, soon};
use crate::history::{Ended, Ending, Kind, Sent};

/// Message groups.
const ORDERS: u64 = 3;
/// An open transaction is asked about after so long: not within a run.
const CHECK_AFTER_MS: u64 = 600_000;

pub async fn send(clients: Rc<Clients>, node: Node) {
    let (topic, _) = prepared(&clients).await;
    loop {
        tokio::time::sleep(Duration::from_millis(clients.dice(5..60))).await;
        if clients.sending.get() {
            send_one(&clients, &node, &topic).await;
        }
    }
}

fn kind(clients: &Clients) -> Kind {
    match clients.dice(0..10) {
        0 => Kind::Half,
        1 => Kind::Delayed(raft::clock::now_ms() + clients.dice(100..3000)),
        2..=4 => Kind::Ordered(clients.dice(0..ORDERS)),
        _ => Kind::Plain,
    }
}

fn dedup(id: &str) -> u128 {
    (u128::from(hash64(id.as_bytes())) << 64) | u128::from(hash64(id.to_uppercase().as_bytes()))
}

fn message(topic: &Topic, number: u32, id: &str, kind: &Kind, body_bytes: usize) -> Publish {
    let record = MessageRecord {
        topic: topic.name.clone(),
        message_id: id.to_owned(),
        body: Bytes::from(vec![b'x'; body_bytes]),
        ..MessageRecord::default()
    };
    let mut extras = Extras::default();
    let mut order_hash = 0;
    match kind {
        Kind::Plain => {}
        Kind::Ordered(order) => order_hash = 1 + order,
        Kind::Delayed(due_ms) => extras.due_ms = Some(*due_ms),
        Kind::Half => extras.check_after_ms = Some(CHECK_AFTER_MS),
    }
    Publish {
        queue: QueueKey { topic: topic.id, number },
        group: topic.queues[number as usize],
        dedup: dedup(id),
        tag_hash: 0,
        order_hash,
        extras,
        record: record.encode(),
    }
}

/// Sends one message, perhaps twice.
async fn send_one(clients: &Rc<Clients>, node: &Node, topic: &Topic) {
    let kind = kind(clients);
    let (number, id) = match kind {
        Kind::Ordered(order) => (order % u64::from(QUEUES), format!("m{}-{order}", clients.number())),
        _ => (clients.dice(0..u64::from(QUEUES)), format!("m{}", clients.number())),
    };
    let message = message(topic, number as u32, &id, &kind, clients.dice(10..800) as usize);
    let published = put(clients, node, &id, &kind, message.clone()).await;
    if kind == Kind::Half {
        if let Some(published) = published {
            tokio::task::spawn_local(end(clients.clone(), node.clone(), id, message, published));
        }
        return;
    }
    if clients.dice(0..8) == 0 {
        let (clients, node) = (clients.clone(), node.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(clients.dice(0..4000))).await;
            put(&clients, &node, &id, &kind, message).await;
        });
    }
}

/// Sends it and notes what becomes of it.
async fn put(clients: &Clients, node: &Node, id: &str, kind: &Kind, message: Publish) -> Option<Published> {
    let unknown = Ending::Unknown("the client is gone".to_owned());
    let sent = Sent { id: id.to_owned(), kind: kind.clone(), node: node.id(), ending: unknown };
    let at = {
        let mut history = clients.history.borrow_mut();
        history.sent.push(sent);
        history.sent.len() - 1
    };
    let answers = node.publish(vec![message], soon()).await;
    let answer = answers.into_iter().next().expect("an answer for each message");
    let published = answer.as_ref().ok().copied();
    let ending = match answer {
        Ok(published) => Ending::Done(published.offset().map(|offset| (published.queue, offset.0))),
        Err(error) => failed(error),
    };
    simulation::note(format_args!("{} sent {id}, {kind:?}: {ending:?}", node.id()));
    let mut history = clients.history.borrow_mut();
    if matches!(ending, Ending::Done(_)) {
        history.acked.push(now());
    }
    history.sent[at].ending = ending;
    published
}

/// Ends a transaction, or leaves it open.
async fn end(clients: Rc<Clients>, node: Node, id: String, message: Publish, published: Published) {
    let Stored::Waiting(number) = published.place else { return };
    tokio::time::sleep(Duration::from_millis(clients.dice(0..1500))).await;
    let commit = match clients.dice(0..5) {
        0 => return,
        1 => false,
        _ => true,
    };
    let transaction =
        Transaction { group: message.group, topic: message.queue.topic, number, id: message.dedup };
    let unknown = Ending::Unknown("the client is gone".to_owned());
    let at = {
        let mut history = clients.history.borrow_mut();
        history.ended.push(Ended { id: id.clone(), commit, begun: now(), ending: unknown });
        history.ended.len() - 1
    };
    let resolution = if commit { Resolution::Commit } else { Resolution::Rollback };
    let ending = match node.end_transaction(transaction, resolution, soon()).await {
        Ok(_) => Ending::Done(()),
        Err(error) => failed(error),
    };
    simulation::note(format_args!("{} ended {id}, {resolution:?}: {ending:?}", node.id()));
    clients.history.borrow_mut().ended[at].ending = ending;
}
