//! A process that receives, and how a consumer group reads a topic to its end.

use std::rc::Rc;
use std::time::Duration;

use checkers::history::{
    Call, ChangeInvisible, Delivery, Drained, Farewell, Lease, Place, Receive, Subscription,
};
use rand::Rng;
use tokio::time::Instant;

use super::{Arena, Process};
use crate::client::{AdminError, Client, Ended, Poll, Received};
use crate::limits::{
    DRAIN_PATIENCE, LEASE_MIN, POLL_INTERVAL, POLL_WAIT_MIN, RECEIVE_PATIENCE, REQUEST_PATIENCE,
};
use crate::recorder::digest;

/// A process that reads one topic for one consumer group.
#[derive(Debug)]
pub struct Consumer<'a> {
    /// The process.
    pub process: Process,
    arena: &'a Arena,
    group: String,
    topic: String,
}

impl<'a> Consumer<'a> {
    /// A new process that reads `topic` for `group`.
    pub fn new(arena: &'a Arena, group: &str, topic: &str) -> Consumer<'a> {
        let process = arena.process("consumer");
        Consumer { process, arena, group: group.to_owned(), topic: topic.to_owned() }
    }

    /// Receives up to `max` messages and records it. What comes counts as delivered also if the call failed.
    pub async fn receive(&mut self, max: usize, lease: Duration) -> Vec<Received> {
        let poll = Poll {
            group: self.group.clone(),
            topic: self.topic.clone(),
            max,
            lease,
            wait: POLL_WAIT_MIN,
            attempt_id: format!("{:032x}", self.process.choices.random::<u128>()),
        };
        let begun = self.arena.recorder.begin(self.process.number);
        let (ended, mut partial) = self.process.client.receive(&poll, RECEIVE_PATIENCE).await;
        let mut messages = partial.split_off(0);
        if let Ended::Ok(answer) = &ended {
            messages.extend(answer.iter().cloned());
        }
        let call = Call::Receive(Receive {
            group: self.group.clone(),
            topic: self.topic.clone(),
            invisible_ms: lease.as_millis() as u64,
            renewed: false,
            delivered: messages.iter().map(delivery).collect(),
        });
        // A call that was refused in the end has delivered what a broken stream brought before.
        let ended = match ended {
            Ended::Fail { why, .. } if !messages.is_empty() => Ended::Info { why },
            ended => ended,
        };
        self.arena.recorder.end(begun, &ended, call);
        messages
    }

    /// Acknowledges a delivery and records it.
    pub async fn acknowledge(&mut self, message: &Received) -> Ended<()> {
        let begun = self.arena.recorder.begin(self.process.number);
        let ended = self.process.client.acknowledge(&self.group, message, REQUEST_PATIENCE).await;
        self.arena.recorder.end(begun, &ended, Call::Acknowledge(self.lease(message)));
        ended
    }

    /// Gives a delivery up for good and records it.
    pub async fn dead_letter(&mut self, message: &Received, max_attempts: u32) {
        let begun = self.arena.recorder.begin(self.process.number);
        let ended =
            self.process.client.dead_letter(&self.group, message, max_attempts, REQUEST_PATIENCE).await;
        self.arena.recorder.end(begun, &ended, Call::DeadLetter(self.lease(message)));
    }

    /// Has a delivery end after `invisible` and records it. From then on `message` has the new receipt.
    pub async fn change_invisible(&mut self, message: &mut Received, invisible: Duration) -> Ended<String> {
        let begun = self.arena.recorder.begin(self.process.number);
        let ended =
            self.process.client.change_invisible(&self.group, message, invisible, REQUEST_PATIENCE).await;
        let new_receipt = match &ended {
            Ended::Ok(receipt) if *receipt != message.receipt => Some(receipt.clone()),
            _ => None,
        };
        let call = Call::ChangeInvisible(ChangeInvisible {
            group: self.group.clone(),
            message: message.message_id.clone(),
            receipt: message.receipt.clone(),
            invisible_ms: invisible.as_millis() as u64,
            new_receipt: new_receipt.clone(),
        });
        self.arena.recorder.end(begun, &ended, call);
        if let Some(receipt) = new_receipt {
            message.receipt = receipt;
        }
        ended
    }

    /// Says goodbye and records it.
    pub async fn farewell(&mut self) {
        let begun = self.arena.recorder.begin(self.process.number);
        let ended = self.process.client.farewell(&self.group, REQUEST_PATIENCE).await;
        self.arena.recorder.end(begun, &ended, Call::Farewell(Farewell { group: self.group.clone() }));
    }

    fn lease(&self, message: &Received) -> Lease {
        Lease {
            group: self.group.clone(),
            message: message.message_id.clone(),
            receipt: message.receipt.clone(),
        }
    }
}

/// Reads a topic for a consumer group, and acknowledges everything.
pub async fn acknowledge_all(arena: &Arena, group: &str, topic: &str) {
    let mut consumer = Consumer::new(arena, group, topic);
    while arena.goes_on() {
        for message in &consumer.receive(16, LEASE_MIN).await {
            let _ = consumer.acknowledge(message).await;
        }
    }
}

fn delivery(message: &Received) -> Delivery {
    Delivery {
        message: message.message_id.clone(),
        body: digest(&message.body),
        message_group: message.message_group.clone(),
        place: Place { queue: message.queue, offset: message.offset },
        attempt: message.attempt,
        receipt: message.receipt.clone(),
        stored_unix_ms: message.stored_unix_ms,
    }
}

/// Reads a topic for a consumer group to its end, with several processes that acknowledge everything.
///
/// # Errors
/// Nobody could tell where the consumer group stands.
pub async fn drain(arena: &Rc<Arena>, subscription: &Subscription) -> Result<Drained, AdminError> {
    const DRAINERS: usize = 4;
    let deadline = Instant::now() + DRAIN_PATIENCE;
    let mut looker = Client::new("jepsen-drain", &arena.addresses, 0);
    let complete = loop {
        let rounds = (0..DRAINERS).map(|_| {
            let (arena, subscription) = (arena.clone(), subscription.clone());
            tokio::task::spawn_local(async move { drain_round(&arena, &subscription).await })
        });
        for round in rounds.collect::<Vec<_>>() {
            round.await.expect("a drainer does not panic");
        }
        if is_drained(&mut looker, subscription).await? {
            break true;
        }
        if Instant::now() >= deadline {
            break false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    };
    Ok(Drained {
        group: subscription.group.clone(),
        topic: subscription.topic.clone(),
        complete,
        dead_read: false,
        at_ns: arena.recorder.now_ns(),
    })
}

/// Receives and acknowledges until a poll stays empty.
async fn drain_round(arena: &Arena, subscription: &Subscription) {
    let mut consumer = Consumer::new(arena, &subscription.group, &subscription.topic);
    loop {
        let messages = consumer.receive(32, LEASE_MIN).await;
        if messages.is_empty() {
            return;
        }
        for message in &messages {
            let _ = consumer.acknowledge(message).await;
        }
    }
}

/// Whether a consumer group has settled everything that is in a topic.
///
/// # Errors
/// Nobody could tell.
pub async fn is_drained(client: &mut Client, subscription: &Subscription) -> Result<bool, AdminError> {
    let queues = client.group_offsets(&subscription.group, &subscription.topic).await?;
    Ok(queues.iter().all(|queue| queue.in_flight == 0 && queue.settled_offset >= queue.end_offset))
}
