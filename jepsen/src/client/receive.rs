//! `ReceiveMessage`.

use std::cell::RefCell;
use std::time::Duration;

use proto::v2;
use proto::v2::receive_message_response::Content;

use super::attempt::{Attempt, Ended};
use super::{Client, message_queue, resource, wire_duration};
use crate::limits::{POLL_MARGIN, POLL_WAIT_MIN};

/// What to receive.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// At most so many messages.
    pub max: usize,
    /// How long the lease lasts; brokers refuse less than 10 s.
    pub lease: Duration,
    /// How long to wait for the first message; brokers wait 5 s at least.
    pub wait: Duration,
    /// Names the attempt: a repetition gets the same batch.
    pub attempt_id: String,
}

/// A delivered message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The id.
    pub message_id: String,
    /// The topic that it was received from.
    pub topic: String,
    /// The body.
    pub body: Vec<u8>,
    /// Its queue.
    pub queue: u32,
    /// Its offset there.
    pub offset: u64,
    /// Which delivery it is, from 1.
    pub attempt: u32,
    /// Settles the delivery.
    pub receipt: String,
    /// The message group.
    pub message_group: Option<String>,
    /// How long it is leased, as the broker says.
    pub lease: Duration,
    /// When it was due, in milliseconds since 1970.
    pub due_unix_ms: Option<u64>,
    /// When it was stored, in milliseconds since 1970.
    pub stored_unix_ms: Option<u64>,
}

impl Received {
    pub(super) fn of_wire(message: v2::Message) -> Received {
        let system = message.system_properties.unwrap_or_default();
        let lease = system.invisible_duration.unwrap_or_default();
        let unix_ms = |time: prost_types::Timestamp| {
            u64::try_from(time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000).unwrap_or_default()
        };
        Received {
            message_id: system.message_id,
            topic: message.topic.unwrap_or_default().name,
            body: message.body.into(),
            queue: u32::try_from(system.queue_id).unwrap_or(u32::MAX),
            offset: system.queue_offset.map_or(u64::MAX, |offset| offset as u64),
            attempt: system.delivery_attempt.map_or(0, |attempt| attempt as u32),
            receipt: system.receipt_handle.unwrap_or_default(),
            message_group: system.message_group,
            lease: Duration::new(lease.seconds.max(0) as u64, lease.nanos.max(0) as u32),
            due_unix_ms: system.delivery_timestamp.map(unix_ms),
            stored_unix_ms: system.store_timestamp.map(unix_ms),
        }
    }
}

impl Client {
    /// Receives until there is an answer or `total` is over. No messages is an answer. What a broken
    /// stream had delivered is delivered all the same: it is the second part of the answer, beside an
    /// outcome that is not `Ok`.
    pub async fn receive(&mut self, poll: &Poll, total: Duration) -> (Ended<Vec<Received>>, Vec<Received>) {
        let wait = poll.wait.max(POLL_WAIT_MIN);
        let usual = self.attempt_timeout;
        self.attempt_timeout = wait + POLL_MARGIN;
        let partial = RefCell::new(Vec::new());
        let ended = self
            .persist(total, async |client: &Client, _| {
                client.receive_attempt(poll, wait + POLL_MARGIN, &partial).await
            })
            .await;
        self.attempt_timeout = usual;
        let mut partial = partial.into_inner();
        match &ended {
            // The same attempt id: the answer holds what the broken streams held.
            Ended::Ok(messages) => partial
                .retain(|one: &Received| !messages.iter().any(|message| message.receipt == one.receipt)),
            Ended::Fail { .. } | Ended::Info { .. } => {}
        }
        partial.dedup_by(|one, other| one.receipt == other.receipt);
        (ended, partial)
    }

    async fn receive_attempt(
        &self,
        poll: &Poll,
        timeout: Duration,
        partial: &RefCell<Vec<Received>>,
    ) -> Attempt<Vec<Received>> {
        let all = v2::FilterExpression { r#type: v2::FilterType::Tag as i32, expression: "*".to_owned() };
        let message = v2::ReceiveMessageRequest {
            group: Some(resource(&poll.group)),
            message_queue: message_queue(&poll.topic, -1),
            filter_expression: Some(all),
            batch_size: i32::try_from(poll.max).unwrap_or(i32::MAX),
            invisible_duration: Some(wire_duration(poll.lease)),
            auto_renew: false,
            long_polling_timeout: Some(wire_duration(poll.wait)),
            attempt_id: Some(poll.attempt_id.clone()),
        };
        let mut answers = match self.messaging().receive_message(self.request(message, timeout)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return Attempt::of_grpc(&status),
        };
        let (mut messages, mut said) = (Vec::new(), false);
        loop {
            match answers.message().await {
                Err(status) => return Attempt::of_grpc(&status),
                Ok(None) if said => return Attempt::Answer(messages),
                Ok(None) => {
                    let why = "the stream ended without a status".to_owned();
                    return Attempt::Unknown { why, silent: false };
                }
                Ok(Some(answer)) => match answer.content {
                    Some(Content::Status(status)) if status.code == v2::Code::MessageNotFound as i32 => {
                        said = true;
                    }
                    Some(Content::Status(status)) => match Attempt::of_status(Some(status)) {
                        Attempt::Answer(()) => said = true,
                        other => return other.without_answer(),
                    },
                    Some(Content::Message(message)) => {
                        let message = Received::of_wire(message);
                        partial.borrow_mut().push(message.clone());
                        messages.push(message);
                    }
                    Some(Content::DeliveryTimestamp(_)) | None => {}
                },
            }
        }
    }
}
