//! A reader: receives, acknowledges, and writes down both.

use std::sync::Arc;
use std::time::Duration;

use checkers::history::{Call, Delivery, Lease, Line, Operation, Outcome, Place, Receive};
use proto::v2;
use raft::hash::hash64;
use tokio::time::Instant;

use super::Kind;
use super::recorder::{LEASE, Recorder};
use super::scratch::{Topic, may_do_later};
use crate::cli::exit::Failure;
use crate::client::access::{Broker, ClientError};
use crate::client::consumer::{Consumer, Poll};
use crate::client::session::tag_filter;

/// Readers of each topic, at different brokers where there are several.
pub const READERS: usize = 2;
const BATCH: usize = 16;
/// Brokers hold an empty poll no shorter than this.
const POLL_WAIT: Duration = Duration::from_secs(5);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// One of so many first deliveries without order is left alone, so that its lease ends and it comes
/// again: later, with the next attempt, to one reader.
const LEFT_ALONE: u64 = 40;

/// Receives from one topic.
#[derive(Debug)]
pub struct Reader {
    /// Its number in the history.
    pub process: u32,
    /// From where.
    pub topic: Topic,
    /// Where it notes what it does.
    pub recorder: Arc<Recorder>,
}

impl Reader {
    /// Receives until it is stopped; why it cannot go on, if so. It goes to the next broker when one fails.
    pub async fn run(self, first: usize) -> Failure {
        let brokers = self.topic.brokers.clone();
        let mut turn = first;
        loop {
            let broker = &brokers[turn % brokers.len()];
            let error = match self.read(broker).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.recorder.disturbed(Some(error.to_string()));
            if !may_do_later(&error) {
                return Failure::about_group_in_topic(error, &self.topic.name, &self.topic.name);
            }
            tracing::debug!(endpoint = %broker.endpoint, %error, "the receive is tried elsewhere");
            turn += 1;
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    async fn read(&self, broker: &Broker) -> Result<std::convert::Infallible, ClientError> {
        let name = &self.topic.name;
        let consumer = Consumer::open(broker.clone(), name, name, &tag_filter("*")).await?;
        let poll = Poll { max: BATCH, wait: POLL_WAIT, invisible: LEASE };
        loop {
            let invoke_ns = self.recorder.now_ns();
            let received = consumer.receive(&poll).await;
            let return_ns = self.recorder.now_ns();
            let (messages, outcome, error) = match received {
                Ok(messages) => (messages, Outcome::Ok, None),
                // What was leased by it comes again when its lease ends.
                Err(error) => (Vec::new(), Outcome::Info, Some(error)),
            };
            let call = Call::Receive(Receive {
                group: name.clone(),
                topic: name.clone(),
                invisible_ms: LEASE.as_millis() as u64,
                renewed: false,
                delivered: messages.iter().map(delivery).collect(),
            });
            let (process, words) = (self.process, error.as_ref().map(ToString::to_string));
            let operation = Operation { process, invoke_ns, return_ns, outcome, error: words, call };
            self.recorder.push(Line::Op(operation));
            if let Some(error) = error {
                return Err(error);
            }
            if !messages.is_empty() {
                self.recorder.disturbed(None);
                self.acknowledge(&consumer, messages).await;
            }
        }
    }

    /// Acknowledges what is not left alone; tried again for as long as the lease lives.
    async fn acknowledge(&self, consumer: &Consumer, messages: Vec<v2::Message>) {
        let mut left: Vec<v2::Message> =
            messages.into_iter().filter(|message| !self.is_left_alone(message)).collect();
        let deadline = Instant::now() + LEASE;
        let invoke_ns = self.recorder.now_ns();
        let mut was_unknown = false;
        while !left.is_empty() {
            match consumer.acknowledge(&left).await {
                Ok(results) => {
                    let mut again = Vec::new();
                    for (message, result) in left.into_iter().zip(results) {
                        match result {
                            Err(error) if may_do_later(&error) => again.push(message),
                            result => self.note(&message, invoke_ns, result, was_unknown),
                        }
                    }
                    left = again;
                }
                Err(error) => {
                    self.recorder.disturbed(Some(error.to_string()));
                    was_unknown = true;
                    if !may_do_later(&error) || Instant::now() >= deadline {
                        break;
                    }
                }
            }
            if !left.is_empty() {
                if Instant::now() >= deadline {
                    break;
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
        for message in left {
            let error = ClientError::Refused {
                code: v2::Code::TooManyRequests,
                message: "no answer for as long as the lease lived".to_owned(),
            };
            self.note(&message, invoke_ns, Err(error), true);
        }
    }

    fn note(
        &self,
        message: &v2::Message,
        invoke_ns: u64,
        result: Result<(), ClientError>,
        was_unknown: bool,
    ) {
        let delivery = delivery(message);
        let (outcome, error) = match result {
            Ok(()) => {
                self.recorder.settled(&delivery.message);
                (Outcome::Ok, None)
            }
            // A refusal after a try that got no answer: that one may have been taken.
            Err(error) if was_unknown => (Outcome::Info, Some(error.to_string())),
            Err(error) => (Outcome::Fail, Some(error.to_string())),
        };
        let lease =
            Lease { group: self.topic.name.clone(), message: delivery.message, receipt: delivery.receipt };
        let (process, return_ns) = (self.process, self.recorder.now_ns());
        let call = Call::Acknowledge(lease);
        self.recorder.push(Line::Op(Operation { process, invoke_ns, return_ns, outcome, error, call }));
    }

    fn is_left_alone(&self, message: &v2::Message) -> bool {
        let Some(system) = &message.system_properties else { return false };
        self.topic.kind == Kind::Normal
            && system.delivery_attempt.unwrap_or(1) == 1
            && hash64(system.message_id.as_bytes()).is_multiple_of(LEFT_ALONE)
    }
}

/// A delivery as the history has it.
fn delivery(message: &v2::Message) -> Delivery {
    let system = message.system_properties.clone().unwrap_or_default();
    let unix_ms = |time: prost_types::Timestamp| time.seconds as u64 * 1000 + time.nanos as u64 / 1_000_000;
    Delivery {
        message: system.message_id,
        body: hash64(&message.body),
        message_group: system.message_group,
        place: Place {
            queue: system.queue_id as u32,
            offset: system.queue_offset.unwrap_or_default() as u64,
        },
        attempt: system.delivery_attempt.unwrap_or_default() as u32,
        receipt: system.receipt_handle.unwrap_or_default(),
        stored_unix_ms: system.store_timestamp.map(unix_ms),
    }
}
