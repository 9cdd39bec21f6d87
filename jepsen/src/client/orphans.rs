//! The telemetry stream of a producer: the broker asks over it how transactions ended that nobody ended.

use proto::v2;
use proto::v2::telemetry_command::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use super::{Client, resource};
use crate::limits::{ATTEMPT_TIMEOUT, QUESTIONS_MAX, RECONNECT_PAUSE};

/// Questions about transactions: message id and transaction id.
pub type Answers = mpsc::Receiver<(String, String)>;

/// Streams to every node, opened again when they break, until this is dropped.
#[derive(Debug)]
pub struct Orphans {
    _tasks: JoinSet<()>,
}

impl Orphans {
    /// Says at every node that `id` sends to `topic`; the questions come out of the second value.
    pub fn listen(id: &str, addresses: &[String], topic: &str) -> (Orphans, Answers) {
        let (questions, answers) = mpsc::channel(QUESTIONS_MAX);
        let mut tasks = JoinSet::new();
        for (node, address) in addresses.iter().enumerate() {
            let client = Client::new(id, std::slice::from_ref(address), 0);
            let (topic, questions) = (topic.to_owned(), questions.clone());
            tasks.spawn(async move {
                loop {
                    if stream(&client, &topic, &questions).await.is_none() {
                        return;
                    }
                    tracing::debug!(node, "the telemetry stream ended");
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            });
        }
        (Orphans { _tasks: tasks }, answers)
    }
}

fn settings(topic: &str) -> v2::TelemetryCommand {
    let publishing = v2::Publishing { topics: vec![resource(topic)], ..Default::default() };
    let settings = v2::Settings {
        client_type: Some(v2::ClientType::Producer as i32),
        pub_sub: Some(v2::settings::PubSub::Publishing(publishing)),
        ..Default::default()
    };
    v2::TelemetryCommand { command: Some(Command::Settings(settings)), ..Default::default() }
}

/// One stream, until it breaks. `None` if nobody listens to the questions any more.
async fn stream(client: &Client, topic: &str, questions: &mpsc::Sender<(String, String)>) -> Option<()> {
    let (to_broker, commands) = mpsc::channel(4);
    to_broker.send(settings(topic)).await.ok()?;
    let mut request = client.request(ReceiverStream::new(commands), ATTEMPT_TIMEOUT);
    // The stream lives longer than a call.
    request.metadata_mut().remove("grpc-timeout");
    let mut messaging = client.messaging();
    let opened = tokio::time::timeout(ATTEMPT_TIMEOUT, messaging.telemetry(request)).await;
    let Ok(Ok(answers)) = opened else { return Some(()) };
    let mut answers = answers.into_inner();
    while let Ok(Some(command)) = answers.message().await {
        if let Some(Command::RecoverOrphanedTransactionCommand(question)) = command.command {
            let system = question.message.unwrap_or_default().system_properties.unwrap_or_default();
            questions.send((system.message_id, question.transaction_id)).await.ok()?;
        }
    }
    drop(to_broker);
    Some(())
}
