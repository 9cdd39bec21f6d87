//! The senders and the readers of a run.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use checkers::history::{Call, Drained, Kind as Becomes, Line, Operation, Outcome, Send, Subscription};
use proto::v2;
use raft::hash::hash64;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::Kind;
use super::consume::{READERS, Reader};
use super::recorder::Recorder;
use super::scratch::{ATTEMPTS_MAX, Topic};
use crate::cli::exit::Failure;
use crate::client::access::resource;
use crate::client::message_id::MessageIds;

/// Senders of each topic; each has one message under way.
pub const SENDERS: usize = 8;
/// Message groups of each sender: nobody else sends to them, so their order is known.
const MESSAGE_GROUPS: u64 = 2;
/// Delayed messages are due within this range from now.
const DELAY_MS: std::ops::Range<u64> = 500..4_000;
/// A send is tried again for so long.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long.
    pub duration: Duration,
    /// Each sender sends so often.
    pub pause: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
}

/// A run under way. Dropped, it stops.
#[derive(Debug)]
pub struct Load {
    topics: Vec<Topic>,
    recorder: Arc<Recorder>,
    senders: JoinSet<()>,
    readers: JoinSet<Failure>,
}

impl Load {
    /// Starts all senders and readers.
    pub fn begin(topics: Vec<Topic>, recorder: &Arc<Recorder>, plan: &Plan) -> Load {
        let ids = Arc::new(MessageIds::new());
        let mut senders = JoinSet::new();
        let mut readers = JoinSet::new();
        let mut process = 0;
        for topic in &topics {
            recorder.push(Line::Subscription(Subscription {
                group: topic.name.clone(),
                topic: topic.name.clone(),
                fifo: topic.kind == Kind::Fifo,
                max_attempts: ATTEMPTS_MAX,
                from_first: true,
            }));
            for turn in 0..READERS {
                process += 1;
                let reader = Reader { process, topic: topic.clone(), recorder: recorder.clone() };
                readers.spawn(reader.run(turn));
            }
            for _ in 0..SENDERS {
                process += 1;
                let (topic, recorder, ids) = (topic.clone(), recorder.clone(), ids.clone());
                senders.spawn(Sender { process, topic, recorder, ids }.run(*plan));
            }
        }
        Load { topics, recorder: recorder.clone(), senders, readers }
    }

    /// Whether the senders are done.
    pub fn has_sent(&self) -> bool {
        self.senders.is_empty()
    }

    /// Lets the run go on for so long, or until a sender is done.
    ///
    /// # Errors
    /// A reader that cannot go on.
    pub async fn proceed(&mut self, time: Duration) -> Result<(), Failure> {
        tokio::select! {
            Some(failure) = self.readers.join_next() => {
                Err(failure.unwrap_or_else(|error| Failure::Failed(format!("a reader broke: {error}"))))
            }
            Some(ended) = self.senders.join_next() => {
                ended.map_err(|error| Failure::Failed(format!("a sender broke: {error}")))
            }
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Stops the readers, and notes whether they got to the end.
    pub async fn end(mut self) {
        let complete = self.recorder.is_drained();
        self.readers.shutdown().await;
        let at_ns = self.recorder.now_ns();
        for topic in &self.topics {
            let (group, topic) = (topic.name.clone(), topic.name.clone());
            self.recorder.push(Line::Drained(Drained { group, topic, complete, dead_read: false, at_ns }));
        }
    }
}

/// Sends one message after the other.
struct Sender {
    process: u32,
    topic: Topic,
    recorder: Arc<Recorder>,
    ids: Arc<MessageIds>,
}

impl Sender {
    async fn run(self, plan: Plan) {
        let deadline = Instant::now() + plan.duration;
        // Not all at once.
        let first = Instant::now() + plan.pause.mul_f64(rand::random::<f64>());
        let mut ticks = tokio::time::interval_at(first, plan.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in 0.. {
            tokio::select! {
                _ = ticks.tick() => {}
                () = tokio::time::sleep_until(deadline) => return,
            }
            self.send(number, plan.body_bytes).await;
        }
    }

    async fn send(&self, number: u64, body_bytes: usize) {
        let now = SystemTime::now();
        let id = self.ids.next();
        let body = body(&id, body_bytes);
        let message_group = (self.topic.kind == Kind::Fifo)
            .then(|| format!("sender-{}-{}", self.process, number % MESSAGE_GROUPS));
        let due_unix_ms = (self.topic.kind == Kind::Delay).then(|| {
            let now_ms = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
            now_ms + rand::random_range(DELAY_MS)
        });
        let call = Call::Send(Send {
            topic: self.topic.name.clone(),
            message: id.clone(),
            body: hash64(&body),
            message_group: message_group.clone(),
            kind: due_unix_ms.map_or(Becomes::Normal, |due_unix_ms| Becomes::Delay { due_unix_ms }),
            attempts: 1,
            // The protocol answers an offset, and not of which queue.
            place: None,
            transaction: None,
        });
        let kind = match self.topic.kind {
            Kind::Normal => v2::MessageType::Normal,
            Kind::Fifo => v2::MessageType::Fifo,
            Kind::Delay => v2::MessageType::Delay,
        };
        let message = v2::Message {
            topic: Some(resource(&self.topic.name)),
            system_properties: Some(v2::SystemProperties {
                message_id: id.clone(),
                message_type: kind as i32,
                body_encoding: v2::Encoding::Identity as i32,
                born_timestamp: Some(now.into()),
                born_host: "localhost".to_owned(),
                delivery_timestamp: due_unix_ms.map(timestamp),
                message_group,
                ..Default::default()
            }),
            body: body.into(),
            ..Default::default()
        };
        let invoke_ns = self.recorder.now_ns();
        let sent = self.topic.producer.send(vec![message], SEND_TIMEOUT).await;
        let return_ns = self.recorder.now_ns();
        // A refusal may be that of a later try: what the first ones did nobody knows.
        let (outcome, error) = match sent {
            Ok(_) => (Outcome::Ok, None),
            Err(error) => (Outcome::Info, Some(error.to_string())),
        };
        if error.is_some() {
            self.recorder.disturbed(error.clone());
        }
        let process = self.process;
        self.recorder.sent(&id, Operation { process, invoke_ns, return_ns, outcome, error, call });
    }
}

fn timestamp(unix_ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: (unix_ms / 1000) as i64, nanos: (unix_ms % 1000) as i32 * 1_000_000 }
}

/// A body that no other message has, if there is room for that.
fn body(id: &str, bytes: usize) -> Vec<u8> {
    id.bytes().cycle().take(bytes).collect()
}
