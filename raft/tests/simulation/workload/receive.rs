//! Clients that receive and settle: most of what they get, now and then too late.

use std::rc::Rc;
use std::time::Duration;

use raft::catalog::{ConsumerGroup, Topic};
use raft::names::{GroupId, QueueKey};
use raft::node::Node;
use raft::request::{Delivered, Filter, Receive, TopicRules};
use raft::simulation;
use store::record::MessageRecord;
use tokio::time::Instant;

use super::{Clients, INVISIBLE, QUEUES, failed, now, prepared, soon};
use crate::history::{Ending, Got, Settled};
use crate::properties::LATE;

fn request(topic: &Topic, consumer: &ConsumerGroup, attempt: u64, client: u64) -> Receive {
    Receive {
        consumer: consumer.id,
        topic: topic.id,
        group: GroupId(1),
        queues: (0..QUEUES).collect(),
        max: 8,
        invisible_ms: INVISIBLE.as_millis() as u64,
        fifo: consumer.fifo,
        auto_renew: false,
        client,
        attempt,
        filter: Filter::All,
        max_attempts: consumer.max_attempts,
        start: consumer.start,
        dead_letters: QueueKey { topic: consumer.dead_letters, number: 0 },
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

/// Receives as the consumer group of that number.
pub async fn receive(clients: Rc<Clients>, node: Node, number: usize) {
    let (topic, consumers) = prepared(&clients).await;
    let consumer = &consumers[number];
    loop {
        let begun = now();
        let request = request(&topic, consumer, clients.number(), node.id().0 * 10 + number as u64);
        let wait = Instant::now() + Duration::from_secs(1);
        match node.receive(request, wait, soon()).await {
            Ok(batch) => handle(&clients, &node, number as u32 + 1, batch, begun).await,
            Err(error) => {
                simulation::note(format_args!("{} received nothing: {error}", node.id()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn handle(clients: &Rc<Clients>, node: &Node, consumer: u32, batch: Vec<Delivered>, begun: Duration) {
    let mut settles = Vec::new();
    for delivered in &batch {
        let id = take_down(clients, node, consumer, delivered, begun);
        if clients.dice(0..12) > 0 || !clients.sending.get() {
            settles.push((id, delivered.receipt));
        }
    }
    if settles.is_empty() {
        return;
    }
    let settle = settle(clients.clone(), node.clone(), consumer, settles, now());
    if clients.dice(0..25) == 0 && clients.sending.get() {
        tokio::task::spawn_local(async move {
            tokio::time::sleep(INVISIBLE + LATE + Duration::from_millis(100)).await;
            settle.await;
        });
    } else {
        tokio::time::sleep(Duration::from_millis(clients.dice(0..30))).await;
        settle.await;
    }
}

fn take_down(
    clients: &Clients,
    node: &Node,
    consumer: u32,
    delivered: &Delivered,
    begun: Duration,
) -> String {
    let id = MessageRecord::decode(&delivered.record).expect("a record").message_id;
    let (receipt, until) = (&delivered.receipt, delivered.lease_until_ms);
    simulation::note(format_args!(
        "{} got {id} for {} at {:?} {}, attempt {}, until {until}",
        node.id(),
        consumer,
        receipt.queue,
        receipt.offset.0,
        delivered.attempt
    ));
    clients.history.borrow_mut().got.push(Got {
        id: id.clone(),
        consumer,
        queue: receipt.queue,
        offset: receipt.offset.0,
        attempt: delivered.attempt,
        begun,
        at: now(),
        leased_ms: (until - INVISIBLE.as_millis() as u64, until),
    });
    id
}

async fn settle(
    clients: Rc<Clients>,
    node: Node,
    consumer: u32,
    settles: Vec<(String, raft::request::Receipt)>,
    given: Duration,
) {
    let begun = now();
    let (ids, receipts): (Vec<_>, Vec<_>) = settles.into_iter().unzip();
    let first = {
        let mut history = clients.history.borrow_mut();
        let first = history.settled.len();
        for id in &ids {
            let ending = Ending::Unknown("the client is gone".to_owned());
            let (id, ended) = (id.clone(), begun);
            history.settled.push(Settled { id, consumer, given, begun, ended, ending });
        }
        first
    };
    let answers = node.acknowledge(receipts, soon()).await;
    for (at, answer) in answers.into_iter().enumerate() {
        let ending = match answer {
            Ok(()) => Ending::Done(()),
            Err(error) => failed(error),
        };
        simulation::note(format_args!("{} settled {} for {consumer}: {ending:?}", node.id(), ids[at]));
        let settled = &mut clients.history.borrow_mut().settled[first + at];
        settled.ended = now();
        settled.ending = ending;
    }
}
