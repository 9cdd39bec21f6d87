//! A process that sends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use checkers::history::{Call, Kind, Send};
use rand::Rng;

use super::{Arena, Process};
use crate::client::{Ended, MessageIds, Outgoing, Sent};
use crate::limits::{BODY_BYTES_LARGE, REQUEST_PATIENCE};
use crate::recorder::{Begun, digest};

/// A process with what it needs to make messages.
#[derive(Debug)]
pub struct Producer<'a> {
    /// The process.
    pub process: Process,
    arena: &'a Arena,
    ids: MessageIds,
    topic: &'static str,
    sequence: u64,
}

impl<'a> Producer<'a> {
    /// A new process that sends to `topic`.
    pub fn new(arena: &'a Arena, topic: &'static str) -> Producer<'a> {
        let process = arena.process("producer");
        let ids = MessageIds::new(arena.run, process.number as u16);
        Producer { process, arena, ids, topic, sequence: 0 }
    }

    /// Another message, with a body that no other has.
    pub fn message(&mut self) -> Outgoing {
        self.sequence += 1;
        let mut body =
            format!("{:x}/{}/{} ", self.arena.run, self.process.number, self.sequence).into_bytes();
        // Mostly small ones; some that fill frames, so that frames end at other places too.
        let length = match self.process.choices.random_range(0..100) {
            0 => BODY_BYTES_LARGE,
            1..10 => self.process.choices.random_range(1_000..8_000),
            _ => self.process.choices.random_range(0..300),
        };
        while body.len() < length {
            body.extend_from_slice(&self.process.choices.random::<u64>().to_le_bytes());
        }
        Outgoing { topic: self.topic.to_owned(), message_id: self.ids.next_id(), body, ..Outgoing::default() }
    }

    /// Sends a message and records it.
    pub async fn send(&mut self, message: &Outgoing) -> Ended<Sent> {
        let begun = self.arena.recorder.begin(self.process.number);
        let ended = self.process.client.send(message, REQUEST_PATIENCE).await;
        self.record(begun, message, &ended, self.process.client.attempts());
        ended
    }

    /// Sends several in one request; what that leaves open, one by one.
    pub async fn send_batch(&mut self, messages: &[Outgoing]) {
        let begun = self.arena.recorder.begin(self.process.number);
        let ended = self.process.client.send_batch(messages, REQUEST_PATIENCE).await;
        for (message, (ended, attempts)) in messages.iter().zip(&ended) {
            self.record(begun, message, ended, *attempts);
        }
    }

    fn record(&self, begun: Begun, message: &Outgoing, ended: &Ended<Sent>, attempts: u32) {
        let sent = match ended {
            Ended::Ok(sent) => Some(sent),
            _ => None,
        };
        let kind = match (message.half, message.due) {
            (true, _) => Kind::Transaction,
            (false, Some(due)) => Kind::Delay { due_unix_ms: unix_ms(due) },
            (false, None) => Kind::Normal,
        };
        let offset = sent.filter(|_| kind == Kind::Normal).map(|sent| sent.offset);
        let call = Call::Send(Send {
            topic: message.topic.clone(),
            message: message.message_id.clone(),
            body: digest(&message.body),
            message_group: message.message_group.clone(),
            kind,
            attempts,
            place: None,
            transaction: sent.filter(|_| message.half).map(|sent| sent.transaction_id.clone()),
        });
        self.arena.recorder.end_send(begun, ended, call, offset);
    }

    /// Waits a little before the next request.
    pub async fn pause(&mut self) {
        let mean: Duration = self.arena.load.pause;
        self.process.pause(mean).await;
    }
}

/// Sends plain messages to a topic, one by one.
pub async fn send_plainly(arena: &Arena, topic: &'static str) {
    let mut producer = Producer::new(arena, topic);
    while arena.goes_on() {
        let message = producer.message();
        let _ = producer.send(&message).await;
        producer.pause().await;
    }
}

/// A time in milliseconds since 1970.
pub fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
