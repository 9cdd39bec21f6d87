//! `SendMessage`.

use std::time::{Duration, SystemTime};

use proto::v2;

use super::attempt::{Attempt, Ended};
use super::{Client, resource};

/// A message to send. Its id is made before the first attempt and kept through all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The id.
    pub message_id: String,
    /// The body.
    pub body: Vec<u8>,
    /// The message group, for order.
    pub message_group: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// Its priority.
    pub priority: Option<u32>,
    /// When it is due.
    pub due: Option<SystemTime>,
    /// Whether it is the half of a transaction.
    pub half: bool,
    /// When a producer shall be asked how the transaction ended.
    pub check_after: Option<Duration>,
}

/// What the broker answered for one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The id, as the broker repeats it.
    pub message_id: String,
    /// The offset in its queue; meaningless for what waits (due later, half).
    pub offset: u64,
    /// What ends the transaction.
    pub transaction_id: String,
    /// What takes a delayed message back.
    pub recall_handle: String,
}

impl Outgoing {
    fn wire(&self) -> v2::Message {
        let kind = match self {
            Outgoing { half: true, .. } => v2::MessageType::Transaction,
            Outgoing { due: Some(_), .. } => v2::MessageType::Delay,
            Outgoing { priority: Some(_), .. } => v2::MessageType::Priority,
            Outgoing { message_group: Some(_), .. } => v2::MessageType::Fifo,
            _ => v2::MessageType::Normal,
        };
        let system = v2::SystemProperties {
            message_id: self.message_id.clone(),
            message_type: kind as i32,
            body_encoding: v2::Encoding::Identity as i32,
            born_timestamp: Some(SystemTime::now().into()),
            born_host: "localhost".to_owned(),
            tag: self.tag.clone(),
            message_group: self.message_group.clone(),
            priority: self.priority.map(|priority| i32::try_from(priority).unwrap_or(i32::MAX)),
            delivery_timestamp: self.due.map(Into::into),
            orphaned_transaction_recovery_duration: self.check_after.map(super::wire_duration),
            ..Default::default()
        };
        v2::Message {
            topic: Some(resource(&self.topic)),
            system_properties: Some(system),
            body: self.body.clone().into(),
            ..Default::default()
        }
    }
}

impl Client {
    /// Sends one message until its fate is known or `total` is over.
    pub async fn send(&mut self, message: &Outgoing, total: Duration) -> Ended<Sent> {
        let messages = std::slice::from_ref(message);
        self.persist(total, async |client: &Client, timeout| {
            match client.send_attempt(messages, timeout).await {
                Attempt::Answer(mut entries) if entries.len() == 1 => entries.remove(0),
                Attempt::Answer(entries) => {
                    let why = format!("{} entries for one message", entries.len());
                    Attempt::Unknown { why, silent: false }
                }
                other => other.without_answer(),
            }
        })
        .await
    }

    /// Sends several messages of one topic in one request, once. Whatever is not settled by the answer is
    /// then sent on its own with the same id, until its fate is known or `total` is over. With each outcome comes how
    /// often the message was sent.
    pub async fn send_batch(&mut self, messages: &[Outgoing], total: Duration) -> Vec<(Ended<Sent>, u32)> {
        let begun = tokio::time::Instant::now();
        let timeout = self.attempt_timeout.min(total);
        let entries = match tokio::time::timeout(timeout, self.send_attempt(messages, timeout)).await {
            Ok(Attempt::Answer(entries)) if entries.len() == messages.len() => entries,
            Ok(Attempt::Answer(_)) => {
                let why = "another number of entries than messages".to_owned();
                vec![Attempt::Unknown { why, silent: false }; messages.len()]
            }
            Ok(other) => vec![other.without_answer(); messages.len()],
            Err(_) => {
                self.turn(true);
                let why = "no answer in time".to_owned();
                vec![Attempt::Unknown { why, silent: true }; messages.len()]
            }
        };
        let mut ended = Vec::with_capacity(messages.len());
        for (message, entry) in messages.iter().zip(entries) {
            let left = total.saturating_sub(begun.elapsed());
            ended.push(match entry {
                Attempt::Answer(sent) => (Ended::Ok(sent), 1),
                Attempt::Refused { code, message } => (Ended::Fail { code: Some(code), why: message }, 1),
                Attempt::NotNow { .. } | Attempt::Unsent { .. } => {
                    let ended = self.send(message, left).await;
                    (ended, self.attempts + 1)
                }
                Attempt::Unknown { why, .. } => match self.send(message, left).await {
                    Ended::Ok(sent) => (Ended::Ok(sent), self.attempts + 1),
                    _ => (Ended::Info { why }, self.attempts + 1),
                },
            });
        }
        ended
    }

    /// One attempt at the next node: an entry for each message.
    async fn send_attempt(&self, messages: &[Outgoing], timeout: Duration) -> Attempt<Vec<Attempt<Sent>>> {
        let messages = messages.iter().map(Outgoing::wire).collect();
        let request = self.request(v2::SendMessageRequest { messages }, timeout);
        let answer = match self.messaging().send_message(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Attempt::of_grpc(&status),
        };
        if answer.entries.is_empty() {
            return match Attempt::of_status(answer.status) {
                Attempt::Answer(()) => Attempt::Answer(Vec::new()),
                other => other.without_answer(),
            };
        }
        let entry = |entry: v2::SendResultEntry| match Attempt::of_status(entry.status) {
            Attempt::Answer(()) => Attempt::Answer(Sent {
                message_id: entry.message_id,
                offset: u64::try_from(entry.offset).unwrap_or(u64::MAX),
                transaction_id: entry.transaction_id,
                recall_handle: entry.recall_handle,
            }),
            other => other.without_answer(),
        };
        Attempt::Answer(answer.entries.into_iter().map(entry).collect())
    }
}
