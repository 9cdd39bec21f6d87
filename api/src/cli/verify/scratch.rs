//! The topics and consumer groups of a run: made for it, and deleted after it.

use std::sync::Arc;
use std::time::Duration;

use proto::admin;
use proto::v2::Code;
use tokio::time::Instant;

use super::Kind;
use crate::cli::exit::Failure;
use crate::client::access::{Broker, ClientError};
use crate::client::producer::Producer;

/// One attempt of a call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// All attempts: longer than an election.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// A message may be delivered so often; only failovers make it more than twice.
pub const ATTEMPTS_MAX: u32 = 16;

/// A topic of the run, with a consumer group of the same name.
#[derive(Clone, Debug)]
pub struct Topic {
    /// What is sent to it.
    pub kind: Kind,
    /// Its name, and the consumer group's.
    pub name: String,
    /// Sends to it.
    pub producer: Arc<Producer>,
    /// The brokers that serve it.
    pub brokers: Vec<Broker>,
}

/// What was made, or may have been.
#[derive(Debug)]
pub struct Scratch {
    prefix: String,
    brokers: Vec<Broker>,
    names: Vec<String>,
}

impl Scratch {
    /// Nothing yet.
    pub fn new(broker: Broker) -> Scratch {
        let prefix = format!("verify-{:08x}", rand::random::<u32>());
        Scratch { prefix, brokers: vec![broker], names: Vec::new() }
    }

    /// Makes a topic and its consumer group.
    pub async fn make(&mut self, kind: Kind, queues: u32) -> Result<Topic, Failure> {
        let name = format!("{}-{}", self.prefix, kind.name());
        // Noted before: an attempt whose answer is lost may have made it.
        self.names.push(name.clone());
        let wire = match kind {
            Kind::Normal => admin::TopicType::Normal,
            Kind::Fifo => admin::TopicType::Fifo,
            Kind::Delay => admin::TopicType::Delay,
        };
        let topic = admin::CreateTopicRequest {
            name: name.clone(),
            r#type: wire as i32,
            queues,
            if_not_exists: true,
            ..Default::default()
        };
        self.call(async |broker| {
            let request = broker.headers.request(topic.clone(), ATTEMPT_TIMEOUT);
            broker.answer(broker.admin().create_topic(request).await).map(drop)
        })
        .await?;
        let group = admin::CreateGroupRequest {
            name: name.clone(),
            fifo: kind == Kind::Fifo,
            max_attempts: ATTEMPTS_MAX,
            start_from: admin::StartFrom::First as i32,
            if_not_exists: true,
            ..Default::default()
        };
        self.call(async |broker| {
            let request = broker.headers.request(group.clone(), ATTEMPT_TIMEOUT);
            broker.answer(broker.admin().create_group(request).await).map(drop)
        })
        .await?;
        let producer = Producer::open(&self.brokers[0], &name, CALL_TIMEOUT).await?;
        self.brokers = producer.into_brokers();
        let producer = Arc::new(Producer::open(&self.brokers[0], &name, CALL_TIMEOUT).await?);
        Ok(Topic { kind, name, producer, brokers: self.brokers.clone() })
    }

    /// Deletes everything. All of it is tried, whatever fails.
    pub async fn delete(&self) -> Result<(), Failure> {
        let mut left = Vec::new();
        for name in &self.names {
            let group = admin::DeleteGroupRequest { name: name.clone() };
            let group = self.call(async |broker| {
                let request = broker.headers.request(group.clone(), ATTEMPT_TIMEOUT);
                broker.answer(broker.admin().delete_group(request).await).map(drop)
            });
            if let Err(error) = gone(group.await) {
                left.push(format!("ledgermq group delete {name} --yes  # {error}"));
            }
            // Its dead letters have a topic of their own, if there were any.
            for topic in [name.clone(), format!("%DLQ%{name}")] {
                let request = admin::DeleteTopicRequest { name: topic.clone() };
                let deleted = self.call(async |broker| {
                    let request = broker.headers.request(request.clone(), ATTEMPT_TIMEOUT);
                    broker.answer(broker.admin().delete_topic(request).await).map(drop)
                });
                if let Err(error) = gone(deleted.await) {
                    left.push(format!("ledgermq topic delete '{topic}' --yes  # {error}"));
                }
            }
        }
        match left.is_empty() {
            true => Ok(()),
            false => Err(Failure::Failed(format!(
                "what was made is not deleted yet; do so with\n  {}",
                left.join("\n  ")
            ))),
        }
    }

    /// Calls one broker after the other until one answers.
    async fn call(
        &self,
        attempt: impl AsyncFn(&Broker) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let mut turn = 0;
        loop {
            let error = match attempt(&self.brokers[turn % self.brokers.len()]).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !may_do_later(&error) || Instant::now() >= deadline {
                return Err(error);
            }
            turn += 1;
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}

/// Whether another try, perhaps at another broker, may succeed.
pub fn may_do_later(error: &ClientError) -> bool {
    let is_late = matches!(error, ClientError::Status(status)
        if matches!(status.code(), tonic::Code::DeadlineExceeded | tonic::Code::Aborted));
    error.is_connection() || error.is_transient() || is_late
}

/// What is not there need not be deleted.
fn gone(result: Result<(), ClientError>) -> Result<(), ClientError> {
    match result {
        Err(ClientError::Status(status)) if status.code() == tonic::Code::NotFound => Ok(()),
        Err(ClientError::Refused { code: Code::TopicNotFound | Code::ConsumerGroupNotFound, .. }) => Ok(()),
        other => other,
    }
}
