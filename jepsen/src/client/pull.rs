//! `PullMessage` and the offsets of pull consumers.

use std::time::Duration;

use proto::v2;
use proto::v2::pull_message_response::Content;

use super::attempt::{Attempt, Ended};
use super::receive::Received;
use super::{Client, judged, message_queue, resource, wire_duration};
use crate::limits::POLL_MARGIN;

/// What a pull brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The messages, by ascending offset.
    pub messages: Vec<Received>,
    /// Where to go on.
    pub next_offset: u64,
}

impl Client {
    /// Pulls from an offset of a queue; waits for up to `wait`.
    pub async fn pull(
        &mut self,
        topic: &str,
        queue: u32,
        offset: u64,
        max: usize,
        wait: Duration,
        total: Duration,
    ) -> Ended<Pulled> {
        let all = v2::FilterExpression { r#type: v2::FilterType::Tag as i32, expression: "*".to_owned() };
        let wire = v2::PullMessageRequest {
            group: None,
            message_queue: message_queue(topic, queue as i32),
            offset: offset as i64,
            batch_size: i32::try_from(max).unwrap_or(i32::MAX),
            filter_expression: Some(all),
            long_polling_timeout: Some(wire_duration(wait)),
        };
        self.persist(total, async |client: &Client, timeout| {
            let timeout = timeout.max(wait + POLL_MARGIN);
            client.pull_attempt(client.request(wire.clone(), timeout), offset).await
        })
        .await
    }

    async fn pull_attempt(
        &self,
        request: tonic::Request<v2::PullMessageRequest>,
        offset: u64,
    ) -> Attempt<Pulled> {
        let mut answers = match self.messaging().pull_message(request).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return Attempt::of_grpc(&status),
        };
        let mut pulled = Pulled { next_offset: offset, ..Pulled::default() };
        let mut said = false;
        loop {
            match answers.message().await {
                Err(status) => return Attempt::of_grpc(&status),
                Ok(None) if said => return Attempt::Answer(pulled),
                Ok(None) => {
                    let why = "the stream ended before the next offset".to_owned();
                    return Attempt::Unknown { why, silent: false };
                }
                Ok(Some(answer)) => match answer.content {
                    Some(Content::Status(status)) if status.code == v2::Code::MessageNotFound as i32 => {}
                    Some(Content::Status(status)) => match Attempt::of_status(Some(status)) {
                        Attempt::Answer(()) => {}
                        other => return other.without_answer(),
                    },
                    Some(Content::Message(message)) => pulled.messages.push(Received::of_wire(message)),
                    Some(Content::NextOffset(next)) => {
                        pulled.next_offset = u64::try_from(next).unwrap_or(offset);
                        said = true;
                    }
                    None => {}
                },
            }
        }
    }

    /// Where a queue ends: the offset of the next message.
    pub async fn end_offset(&mut self, topic: &str, queue: u32, total: Duration) -> Ended<u64> {
        let wire = v2::QueryOffsetRequest {
            message_queue: message_queue(topic, queue as i32),
            query_offset_policy: v2::QueryOffsetPolicy::End as i32,
            timestamp: None,
        };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let result = client.messaging().query_offset(client.request(wire.clone(), timeout)).await;
            judged(result, |answer: &v2::QueryOffsetResponse| answer.status.clone())
        });
        ended.await.map(|answer| u64::try_from(answer.offset).unwrap_or_default())
    }

    /// Stores how far a pull consumer has read. Who stores last is right, so it is not repeated when it is in doubt.
    pub async fn update_offset(
        &mut self,
        group: &str,
        topic: &str,
        queue: u32,
        offset: u64,
        total: Duration,
    ) -> Ended<()> {
        let wire = v2::UpdateOffsetRequest {
            group: Some(resource(group)),
            message_queue: message_queue(topic, queue as i32),
            offset: offset as i64,
        };
        let ended = self.persist_until_in_doubt(total, async |client: &Client, timeout| {
            let result = client.messaging().update_offset(client.request(wire.clone(), timeout)).await;
            judged(result, |answer: &v2::UpdateOffsetResponse| answer.status.clone())
        });
        ended.await.map(|_| ())
    }

    /// Reads what [`Client::update_offset`] stored.
    pub async fn get_offset(&mut self, group: &str, topic: &str, queue: u32, total: Duration) -> Ended<u64> {
        let wire = v2::GetOffsetRequest {
            group: Some(resource(group)),
            message_queue: message_queue(topic, queue as i32),
        };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let result = client.messaging().get_offset(client.request(wire.clone(), timeout)).await;
            judged(result, |answer: &v2::GetOffsetResponse| answer.status.clone())
        });
        ended.await.map(|answer| u64::try_from(answer.offset).unwrap_or_default())
    }
}
