//! What settles a delivery, a transaction or a delayed message.

use std::time::Duration;

use proto::v2;

use super::attempt::{Attempt, Ended};
use super::receive::Received;
use super::{Client, judged, resource, wire_duration};

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Its message is to be delivered.
    Commit,
    /// Its message never was.
    Rollback,
}

impl Client {
    /// Acknowledges one delivery.
    pub async fn acknowledge(&mut self, group: &str, message: &Received, total: Duration) -> Ended<()> {
        let entry = v2::AckMessageEntry {
            message_id: message.message_id.clone(),
            receipt_handle: message.receipt.clone(),
            ..Default::default()
        };
        let wire = v2::AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(&message.topic)),
            entries: vec![entry],
        };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let result = client.messaging().ack_message(client.request(wire.clone(), timeout)).await;
            judged(result, |answer: &v2::AckMessageResponse| {
                answer.entries.first().map_or(answer.status.clone(), |entry| entry.status.clone())
            })
        });
        ended.await.map(|_| ())
    }

    /// Gives a delivery back after `invisible`, or keeps it as much longer: the receipt that is valid
    /// from now on.
    pub async fn change_invisible(
        &mut self,
        group: &str,
        message: &Received,
        invisible: Duration,
        total: Duration,
    ) -> Ended<String> {
        let wire = v2::ChangeInvisibleDurationRequest {
            group: Some(resource(group)),
            topic: Some(resource(&message.topic)),
            receipt_handle: message.receipt.clone(),
            invisible_duration: Some(wire_duration(invisible)),
            message_id: message.message_id.clone(),
            ..Default::default()
        };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let request = client.request(wire.clone(), timeout);
            let result = client.messaging().change_invisible_duration(request).await;
            judged(result, |answer: &v2::ChangeInvisibleDurationResponse| answer.status.clone())
        });
        ended.await.map(|answer| answer.receipt_handle)
    }

    /// Gives a message up.
    pub async fn dead_letter(
        &mut self,
        group: &str,
        message: &Received,
        max_attempts: u32,
        total: Duration,
    ) -> Ended<()> {
        let wire = v2::ForwardMessageToDeadLetterQueueRequest {
            group: Some(resource(group)),
            topic: Some(resource(&message.topic)),
            receipt_handle: message.receipt.clone(),
            message_id: message.message_id.clone(),
            delivery_attempt: message.attempt as i32,
            max_delivery_attempts: max_attempts as i32,
            lite_topic: None,
        };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let request = client.request(wire.clone(), timeout);
            let result = client.messaging().forward_message_to_dead_letter_queue(request).await;
            judged(result, |answer: &v2::ForwardMessageToDeadLetterQueueResponse| answer.status.clone())
        });
        ended.await.map(|_| ())
    }

    /// Says goodbye: what this client holds becomes visible to others at once.
    pub async fn farewell(&mut self, group: &str, total: Duration) -> Ended<()> {
        let wire = v2::NotifyClientTerminationRequest { group: Some(resource(group)) };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let request = client.request(wire.clone(), timeout);
            let result = client.messaging().notify_client_termination(request).await;
            judged(result, |answer: &v2::NotifyClientTerminationResponse| answer.status.clone())
        });
        ended.await.map(|_| ())
    }

    /// Ends a transaction.
    pub async fn end_transaction(
        &mut self,
        topic: &str,
        message_id: &str,
        transaction_id: &str,
        resolution: Resolution,
        total: Duration,
    ) -> Ended<()> {
        let resolution = match resolution {
            Resolution::Commit => v2::TransactionResolution::Commit,
            Resolution::Rollback => v2::TransactionResolution::Rollback,
        };
        let wire = v2::EndTransactionRequest {
            topic: Some(resource(topic)),
            message_id: message_id.to_owned(),
            transaction_id: transaction_id.to_owned(),
            resolution: resolution as i32,
            source: v2::TransactionSource::SourceClient as i32,
            trace_context: String::new(),
        };
        let ended = self.persist(total, async |client: &Client, timeout| {
            let result = client.messaging().end_transaction(client.request(wire.clone(), timeout)).await;
            judged(result, |answer: &v2::EndTransactionResponse| answer.status.clone())
        });
        ended.await.map(|_| ())
    }

    /// Takes a delayed message back.
    pub async fn recall(&mut self, topic: &str, recall_handle: &str, total: Duration) -> Ended<()> {
        let wire = v2::RecallMessageRequest {
            topic: Some(resource(topic)),
            recall_handle: recall_handle.to_owned(),
        };
        let ended = self.persist(total, async |client: &Client, timeout| -> Attempt<_> {
            let result = client.messaging().recall_message(client.request(wire.clone(), timeout)).await;
            judged(result, |answer: &v2::RecallMessageResponse| answer.status.clone())
        });
        ended.await.map(|_| ())
    }
}
