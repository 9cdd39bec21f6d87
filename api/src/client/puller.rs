//! Pulls, as a client does that keeps its own offsets.

use std::time::Duration;

use proto::v2;
use proto::v2::pull_message_response::Content;
use tonic::Request;

use super::access::{Broker, ClientError, duration, resource};
use super::consumer::POLL_MARGIN;
use crate::messaging::caller::READ_HEADER;

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What a pull brought.
#[derive(Clone, Debug, Default)]
pub struct PullAnswer {
    /// The messages, by ascending offset.
    pub messages: Vec<v2::Message>,
    /// Where to go on.
    pub next_offset: i64,
}

/// Where to begin in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the first message that is still there.
    First,
    /// Behind the last message.
    Last,
    /// At the first message stored at this time or later, in milliseconds since 1970.
    Time(i64),
    /// At this offset.
    Offset(i64),
}

/// Pulls from the queues of one topic.
#[derive(Clone, Debug)]
pub struct Puller {
    topic: String,
    filter: v2::FilterExpression,
    from_replica: bool,
}

impl Puller {
    /// Of a topic; with `from_replica` the broker that is asked answers with what it has applied.
    pub fn new(topic: &str, filter: &v2::FilterExpression, from_replica: bool) -> Puller {
        Puller { topic: topic.to_owned(), filter: filter.clone(), from_replica }
    }

    fn queue(&self, queue: i32) -> Option<v2::MessageQueue> {
        let topic = Some(resource(&self.topic));
        Some(v2::MessageQueue { topic, id: queue, ..v2::MessageQueue::default() })
    }

    /// The offset at which a queue begins, ends, or was at a time.
    pub async fn offset(&self, broker: &Broker, queue: i32, begin: Begin) -> Result<i64, ClientError> {
        let (policy, unix_ms) = match begin {
            Begin::Offset(offset) => return Ok(offset),
            Begin::First => (v2::QueryOffsetPolicy::Beginning, None),
            Begin::Last => (v2::QueryOffsetPolicy::End, None),
            Begin::Time(unix_ms) => (v2::QueryOffsetPolicy::Timestamp, Some(unix_ms)),
        };
        let message = v2::QueryOffsetRequest {
            message_queue: self.queue(queue),
            query_offset_policy: policy as i32,
            timestamp: unix_ms.map(|ms| prost_types::Timestamp {
                seconds: ms.div_euclid(1_000),
                nanos: ms.rem_euclid(1_000) as i32 * 1_000_000,
            }),
        };
        let request = broker.headers.request(message, CALL_TIMEOUT);
        let answer = broker.answer(broker.messaging().query_offset(request).await)?;
        ClientError::of_answer(answer.status)?;
        Ok(answer.offset)
    }

    /// One pull of up to `max` messages, which waits up to `wait` for the first one.
    pub async fn pull(
        &self,
        broker: &Broker,
        queue: i32,
        offset: i64,
        max: usize,
        wait: Duration,
    ) -> Result<PullAnswer, ClientError> {
        let message = v2::PullMessageRequest {
            group: None,
            message_queue: self.queue(queue),
            offset,
            batch_size: i32::try_from(max).unwrap_or(i32::MAX),
            filter_expression: Some(self.filter.clone()),
            long_polling_timeout: Some(duration(wait)),
        };
        let mut request: Request<_> = broker.headers.request(message, wait + POLL_MARGIN);
        if self.from_replica {
            request.metadata_mut().insert(READ_HEADER, "replica".parse().expect("plain ASCII"));
        }
        let failed = |status| ClientError::of_call(&broker.endpoint, status);
        let mut answers = broker.messaging().pull_message(request).await.map_err(failed)?.into_inner();
        let mut answer = PullAnswer { next_offset: offset, ..PullAnswer::default() };
        while let Some(frame) = answers.message().await.map_err(failed)? {
            match frame.content {
                Some(Content::Status(status)) if status.code == v2::Code::MessageNotFound as i32 => {}
                Some(Content::Status(status)) => ClientError::of_answer(Some(status))?,
                Some(Content::Message(message)) => answer.messages.push(message),
                Some(Content::NextOffset(offset)) => answer.next_offset = offset,
                None => {}
            }
        }
        Ok(answer)
    }
}
