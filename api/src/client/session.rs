//! What keeps a client known to a broker: the telemetry stream, heartbeats, and the farewell.

use std::time::Duration;

use proto::v2;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use super::access::{Broker, duration, resource};

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// What a client is.
#[derive(Clone, Debug)]
pub enum Role {
    /// Sends to a topic.
    Producer {
        /// The topic.
        topic: String,
    },
    /// Receives and acknowledges by itself.
    SimpleConsumer {
        /// Its consumer group.
        group: String,
        /// The topic.
        topic: String,
        /// Which messages it wants.
        filter: v2::FilterExpression,
    },
}

impl Role {
    fn group(&self) -> Option<v2::Resource> {
        match self {
            Role::Producer { .. } => None,
            Role::SimpleConsumer { group, .. } => Some(resource(group)),
        }
    }

    fn client_type(&self) -> i32 {
        match self {
            Role::Producer { .. } => v2::ClientType::Producer as i32,
            Role::SimpleConsumer { .. } => v2::ClientType::SimpleConsumer as i32,
        }
    }

    fn settings(&self, broker: &Broker) -> v2::Settings {
        let pub_sub = match self {
            Role::Producer { topic } => v2::settings::PubSub::Publishing(v2::Publishing {
                topics: vec![resource(topic)],
                ..Default::default()
            }),
            Role::SimpleConsumer { group, topic, filter } => {
                v2::settings::PubSub::Subscription(v2::Subscription {
                    group: Some(resource(group)),
                    subscriptions: vec![v2::SubscriptionEntry {
                        topic: Some(resource(topic)),
                        expression: Some(filter.clone()),
                    }],
                    long_polling_timeout: Some(duration(Duration::from_secs(20))),
                    ..Default::default()
                })
            }
        };
        v2::Settings {
            client_type: Some(self.client_type()),
            access_point: Some(broker.endpoint.endpoints()),
            request_timeout: Some(duration(CALL_TIMEOUT)),
            pub_sub: Some(pub_sub),
            user_agent: Some(v2::Ua {
                language: v2::Language::Rust as i32,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                platform: std::env::consts::OS.to_owned(),
                hostname: "localhost".to_owned(),
            }),
            ..Default::default()
        }
    }
}

/// A filter by tags; `*` is all.
pub fn tag_filter(expression: &str) -> v2::FilterExpression {
    v2::FilterExpression { r#type: v2::FilterType::Tag as i32, expression: expression.to_owned() }
}

/// A SQL92 filter.
pub fn sql_filter(expression: &str) -> v2::FilterExpression {
    v2::FilterExpression { r#type: v2::FilterType::Sql as i32, expression: expression.to_owned() }
}

/// A session with one broker. Ends with [`Session::end`], or silently when it is dropped.
#[derive(Debug)]
pub struct Session {
    broker: Broker,
    role: Role,
    task: JoinHandle<()>,
}

impl Session {
    /// Says who the client is, waits for the answer a short while, and keeps the session alive.
    /// A broker that will not hear of it is no error: nothing else needs a session.
    pub async fn begin(broker: Broker, role: Role) -> Session {
        let (to_broker, commands) = mpsc::channel(4);
        let hello = v2::TelemetryCommand {
            command: Some(v2::telemetry_command::Command::Settings(role.settings(&broker))),
            ..Default::default()
        };
        to_broker.try_send(hello).expect("an empty channel takes a command");
        let mut request = broker.headers.request(ReceiverStream::new(commands), CALL_TIMEOUT);
        // The stream lives as long as the session, not as long as a call.
        request.metadata_mut().remove("grpc-timeout");
        let mut client = broker.messaging();
        let opened = tokio::time::timeout(CALL_TIMEOUT, async {
            let mut answers = client.telemetry(request).await?.into_inner();
            let settings = answers.message().await?;
            Ok::<_, tonic::Status>((answers, settings))
        });
        let answers = match opened.await {
            Ok(Ok((answers, _))) => Some(answers),
            Ok(Err(status)) => {
                tracing::debug!(endpoint = %broker.endpoint, %status, "no telemetry");
                None
            }
            Err(_) => {
                tracing::debug!(endpoint = %broker.endpoint, "no answer to the settings");
                None
            }
        };
        let task = tokio::spawn(keep_alive(broker.clone(), role.clone(), to_broker, answers));
        Session { broker, role, task }
    }

    /// Says goodbye: leases that are still held become visible to others.
    pub async fn end(self) {
        self.task.abort();
        let message = v2::NotifyClientTerminationRequest { group: self.role.group() };
        let request = self.broker.headers.request(message, CALL_TIMEOUT);
        if let Err(status) = self.broker.messaging().notify_client_termination(request).await {
            tracing::debug!(endpoint = %self.broker.endpoint, %status, "no farewell");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_alive(
    broker: Broker,
    role: Role,
    _to_broker: mpsc::Sender<v2::TelemetryCommand>,
    mut answers: Option<tonic::Streaming<v2::TelemetryCommand>>,
) {
    let mut beat = tokio::time::interval(HEARTBEAT_INTERVAL);
    loop {
        tokio::select! {
            _ = beat.tick() => {
                let message =
                    v2::HeartbeatRequest { group: role.group(), client_type: role.client_type() };
                let request = broker.headers.request(message, CALL_TIMEOUT);
                if let Err(status) = broker.messaging().heartbeat(request).await {
                    tracing::debug!(endpoint = %broker.endpoint, %status, "no heartbeat");
                }
            }
            command = next(&mut answers) => if command.is_none() { answers = None },
        }
    }
}

/// The next command of the broker; never, if there is no stream.
async fn next(answers: &mut Option<tonic::Streaming<v2::TelemetryCommand>>) -> Option<v2::TelemetryCommand> {
    match answers {
        Some(answers) => answers.message().await.ok().flatten(),
        None => std::future::pending().await,
    }
}
