//! Receives and acknowledges, as a simple consumer does.

use std::time::Duration;

use proto::v2;
use proto::v2::receive_message_response::Content;

use super::access::{Broker, ClientError, duration, resource};

const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A call outlives its long poll by this much.
pub const POLL_MARGIN: Duration = Duration::from_secs(4);
/// Brokers hold a poll for at least this long, and refuse a deadline that comes before.
pub const POLL_WAIT_MIN: Duration = Duration::from_secs(5);

/// What to receive.
#[derive(Clone, Debug)]
pub struct Poll {
    /// At most so many messages.
    pub max: usize,
    /// How long to wait for the first one.
    pub wait: Duration,
    /// How long the messages are invisible to others.
    pub invisible: Duration,
}

/// Receives from one broker for one consumer group.
#[derive(Clone, Debug)]
pub struct Consumer {
    broker: Broker,
    group: v2::Resource,
    topic: v2::Resource,
    filter: v2::FilterExpression,
    queue: v2::MessageQueue,
}

impl Consumer {
    /// Asks the broker which queues the consumer group reads there.
    pub async fn open(
        broker: Broker,
        group: &str,
        topic: &str,
        filter: &v2::FilterExpression,
    ) -> Result<Consumer, ClientError> {
        let message = v2::QueryAssignmentRequest {
            topic: Some(resource(topic)),
            group: Some(resource(group)),
            endpoints: Some(broker.endpoint.endpoints()),
        };
        let result = broker.messaging().query_assignment(broker.headers.request(message, CALL_TIMEOUT)).await;
        let answer = broker.answer(result)?;
        ClientError::of_answer(answer.status)?;
        // The one at this broker, if there is one: a broker serves every queue.
        let queues: Vec<v2::MessageQueue> =
            answer.assignments.into_iter().filter_map(|assignment| assignment.message_queue).collect();
        let here = |queue: &&v2::MessageQueue| {
            let endpoints = queue.broker.as_ref().and_then(|broker| broker.endpoints.as_ref());
            endpoints.and_then(super::access::HostPort::of).as_ref() == Some(&broker.endpoint)
        };
        let queue = queues.iter().find(here).or_else(|| queues.first()).cloned();
        let queue = queue.ok_or_else(|| ClientError::Refused {
            code: v2::Code::TopicNotFound,
            message: format!("no queue of {topic} is readable"),
        })?;
        Ok(Consumer { broker, group: resource(group), topic: resource(topic), filter: filter.clone(), queue })
    }

    /// The queue that polls name.
    pub fn queue(&self) -> &v2::MessageQueue {
        &self.queue
    }

    /// Says which lite topics are to be received; the broker remembers it for this client.
    pub async fn subscribe_lite(&self, names: &[String]) -> Result<(), ClientError> {
        let message = v2::SyncLiteSubscriptionRequest {
            action: v2::LiteSubscriptionAction::CompleteAdd as i32,
            topic: Some(self.topic.clone()),
            group: Some(self.group.clone()),
            lite_topic_set: names.to_vec(),
            ..Default::default()
        };
        let request = self.broker.headers.request(message, CALL_TIMEOUT);
        let answer = self.broker.answer(self.broker.messaging().sync_lite_subscription(request).await)?;
        ClientError::of_answer(answer.status)
    }

    /// One long poll. No messages is no error.
    pub async fn receive(&self, poll: &Poll) -> Result<Vec<v2::Message>, ClientError> {
        let message = v2::ReceiveMessageRequest {
            group: Some(self.group.clone()),
            message_queue: Some(self.queue.clone()),
            filter_expression: Some(self.filter.clone()),
            batch_size: i32::try_from(poll.max).unwrap_or(i32::MAX),
            invisible_duration: Some(duration(poll.invisible)),
            auto_renew: false,
            long_polling_timeout: Some(duration(poll.wait)),
            attempt_id: Some(format!("{:032x}", rand::random::<u128>())),
        };
        let request = self.broker.headers.request(message, poll.wait.max(POLL_WAIT_MIN) + POLL_MARGIN);
        let failed = |status| ClientError::of_call(&self.broker.endpoint, status);
        let mut answers =
            self.broker.messaging().receive_message(request).await.map_err(failed)?.into_inner();
        let mut messages = Vec::new();
        while let Some(answer) = answers.message().await.map_err(failed)? {
            match answer.content {
                Some(Content::Status(status)) if status.code == v2::Code::MessageNotFound as i32 => {}
                Some(Content::Status(status)) => ClientError::of_answer(Some(status))?,
                Some(Content::Message(message)) => messages.push(message),
                Some(Content::DeliveryTimestamp(_)) | None => {}
            }
        }
        Ok(messages)
    }

    /// Settles messages: one answer for each, in order.
    pub async fn acknowledge(
        &self,
        messages: &[v2::Message],
    ) -> Result<Vec<Result<(), ClientError>>, ClientError> {
        let entries =
            messages.iter().filter_map(|message| message.system_properties.as_ref()).map(|system| {
                v2::AckMessageEntry {
                    message_id: system.message_id.clone(),
                    receipt_handle: system.receipt_handle.clone().unwrap_or_default(),
                    ..Default::default()
                }
            });
        let message = v2::AckMessageRequest {
            group: Some(self.group.clone()),
            topic: Some(self.topic.clone()),
            entries: entries.collect(),
        };
        let result =
            self.broker.messaging().ack_message(self.broker.headers.request(message, CALL_TIMEOUT)).await;
        let answer = self.broker.answer(result)?;
        if answer.entries.is_empty() {
            ClientError::of_answer(answer.status)?;
        }
        Ok(answer.entries.into_iter().map(|entry| ClientError::of_answer(entry.status)).collect())
    }
}
