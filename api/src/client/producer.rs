//! Sends messages, and repeats a send with the same message ids until its outcome is known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::v2;
use tokio::time::Instant;

use super::access::{Broker, ClientError};

/// One attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Between attempts: at first, and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Sends to the brokers of one topic.
#[derive(Debug)]
pub struct Producer {
    brokers: Vec<Broker>,
    next: AtomicUsize,
}

impl Producer {
    /// Asks `broker` for the topic's route.
    pub async fn open(broker: &Broker, topic: &str, timeout: Duration) -> Result<Producer, ClientError> {
        let began = Instant::now();
        let mut backoff = BACKOFF_MIN;
        loop {
            match broker.route(topic, ATTEMPT_TIMEOUT).await {
                Ok(brokers) => return Ok(Producer { brokers, next: AtomicUsize::new(0) }),
                Err(error) if error.is_transient() && began.elapsed() < timeout => {
                    wait(&mut backoff).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The brokers that serve the topic.
    pub fn into_brokers(self) -> Vec<Broker> {
        self.brokers
    }

    /// Sends messages in one call; the answer has an entry for each. A lost connection or a busy
    /// broker is tried again, at the next broker, with the same ids, until `timeout`.
    pub async fn send(
        &self,
        messages: Vec<v2::Message>,
        timeout: Duration,
    ) -> Result<Vec<v2::SendResultEntry>, ClientError> {
        let deadline = Instant::now() + timeout;
        let mut backoff = BACKOFF_MIN;
        loop {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let broker = &self.brokers[turn % self.brokers.len()];
            let error = match self.attempt(broker, &messages).await {
                Ok(entries) => return Ok(entries),
                Err(error) => error,
            };
            let timed_out = matches!(&error, ClientError::Status(status)
                if matches!(status.code(), tonic::Code::DeadlineExceeded | tonic::Code::Cancelled));
            if !(error.is_connection() || error.is_transient() || timed_out) {
                return Err(error);
            }
            tracing::debug!(endpoint = %broker.endpoint, %error, "the send is tried again");
            if Instant::now() + backoff >= deadline {
                return Err(ClientError::OutOfTime { after: timeout, last: Box::new(error) });
            }
            wait(&mut backoff).await;
        }
    }

    async fn attempt(
        &self,
        broker: &Broker,
        messages: &[v2::Message],
    ) -> Result<Vec<v2::SendResultEntry>, ClientError> {
        let message = v2::SendMessageRequest { messages: messages.to_vec() };
        let result = broker.messaging().send_message(broker.headers.request(message, ATTEMPT_TIMEOUT)).await;
        let answer = broker.answer(result)?;
        // Mixed results: the first bad entry says why.
        for entry in &answer.entries {
            ClientError::of_answer(entry.status.clone())?;
        }
        ClientError::of_answer(answer.status)?;
        Ok(answer.entries)
    }
}

async fn wait(backoff: &mut Duration) {
    tokio::time::sleep(*backoff).await;
    *backoff = (*backoff * 2).min(BACKOFF_MAX);
}
