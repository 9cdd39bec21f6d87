//! What one node's edge asks of another's: its clients may be connected anywhere.
//!
//! Between edges of one cluster a question and its answer travel as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use prost::Message as _;
use proto::v2::telemetry_command::Command;
use proto::v2::{
    ClientType, FilterExpression, Message, PrintThreadStackTraceCommand, Status, TelemetryCommand,
    VerifyMessageCommand,
};
use raft::names::{ConsumerId, NodeId, TopicId};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::edge::EdgeState;
use crate::limits::{CLIENT_ANSWER_WAIT, EDGE_ANSWER_WAIT};
use crate::session::lite::LiteSubscription;
use crate::session::pending::ClientAnswer;

/// For the way back of another edge's answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// A client as its node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientReport {
    /// Its id.
    pub client_id: String,
    /// What it is written in.
    pub language: String,
    /// Its library's version.
    pub version: String,
    /// Where its requests come from.
    pub address: String,
    /// Its type, as the protocol numbers it.
    pub kind: i32,
    /// Its consumer group's name in the catalog.
    pub group: String,
    /// The topics' names in the catalog that it reads.
    pub topics: Vec<String>,
    /// What it wants of the topics that it reads: type and text of the filter, by the names in the catalog.
    pub filters: BTreeMap<String, (i32, String)>,
}

impl ClientReport {
    /// Its type.
    pub fn client_type(&self) -> ClientType {
        ClientType::try_from(self.kind).unwrap_or_default()
    }

    /// What it wants of a topic that it reads.
    pub fn filter(&self, topic: &str) -> Option<FilterExpression> {
        let (kind, expression) = self.filters.get(topic)?;
        Some(FilterExpression { r#type: *kind, expression: expression.clone() })
    }
}

/// What a client is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ClientCommand {
    /// Say where its threads are.
    StackTrace,
    /// Consume this message, encoded as in the protocol.
    Verify(Vec<u8>),
}

/// Why a client did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotDone {
    /// It is not connected to any node.
    NotConnected,
    /// It went away meanwhile.
    WentAway,
    /// It did not answer in time.
    Silent,
}

/// What a client answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// Where its threads are.
    StackTrace(String),
    /// The status of the message that it consumed.
    Verified {
        /// Its code.
        code: i32,
        /// Its text.
        message: String,
    },
}

/// A question to an edge.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    Clients {
        group: String,
    },
    Command {
        client_id: String,
        command: ClientCommand,
        wait_ms: u64,
    },
    /// Not a question: what a client reads.
    LiteSubscription {
        client_id: String,
        topic: u32,
        consumer: u32,
        subscription: LiteSubscription,
    },
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Clients(Vec<ClientReport>),
    Command(Result<Done, NotDone>),
    Noted,
    Malformed,
}

/// Answers other edges from now on.
pub fn answer_others(edge: &Arc<EdgeState>) {
    let weak = Arc::downgrade(edge);
    edge.node.answer_edges(Arc::new(move |question: Bytes| {
        let edge = weak.upgrade();
        Box::pin(async move {
            let answer = match (edge, serde_json::from_slice(&question)) {
                (Some(edge), Ok(question)) => answer(&edge, question).await,
                _ => Answer::Malformed,
            };
            serde_json::to_vec(&answer).expect("an answer has no map with odd keys").into()
        })
    }));
}

async fn answer(edge: &EdgeState, question: Question) -> Answer {
    match question {
        Question::Clients { group } => Answer::Clients(edge.sessions.reports_of(&group)),
        Question::Command { client_id, command, wait_ms } => {
            let wait = Duration::from_millis(wait_ms).min(CLIENT_ANSWER_WAIT);
            Answer::Command(command_here(edge, &client_id, command, Instant::now() + wait).await)
        }
        Question::LiteSubscription { client_id, topic, consumer, subscription } => {
            edge.lite.take(&client_id, TopicId(topic), ConsumerId(consumer), subscription);
            Answer::Noted
        }
    }
}

/// The clients of a consumer group on all nodes that answer, by id, each once; of all groups if it is empty.
pub async fn clients_of(edge: &EdgeState, group: &str, deadline: Instant) -> Vec<ClientReport> {
    let until = deadline.min(Instant::now() + EDGE_ANSWER_WAIT);
    let nodes = edge.live_nodes();
    let asked = nodes.iter().map(|node| {
        let question = Question::Clients { group: group.to_owned() };
        ask(edge, node.id, question, until)
    });
    let mut found = BTreeMap::new();
    for answer in join_all(asked).await {
        let Some(Answer::Clients(reports)) = answer else { continue };
        for report in reports {
            // A client speaks to every node; not every one has heard its settings.
            let known = found.entry(report.client_id.clone()).or_insert_with(|| report.clone());
            if known.filters.len() < report.filters.len() {
                *known = report;
            }
        }
    }
    found.into_values().collect()
}

/// Tells the other nodes which lite topics a client reads; those that do not answer hear it the next time.
pub async fn share_lite(
    edge: &EdgeState,
    client_id: &str,
    (topic, consumer): (TopicId, ConsumerId),
    subscription: LiteSubscription,
    deadline: Instant,
) {
    let until = deadline.min(Instant::now() + EDGE_ANSWER_WAIT);
    let own = edge.node.id();
    let nodes = edge.live_nodes();
    let told = nodes.iter().filter(|node| node.id != own).map(|node| {
        let (client_id, subscription) = (client_id.to_owned(), subscription.clone());
        let (topic, consumer) = (topic.0, consumer.0);
        ask(edge, node.id, Question::LiteSubscription { client_id, topic, consumer, subscription }, until)
    });
    join_all(told).await;
}

/// Has a client do something, wherever it is connected: here first, else on the first node that has a way to it.
///
/// # Errors
/// Why it did not.
pub async fn command(
    edge: &EdgeState,
    client_id: &str,
    command: ClientCommand,
    deadline: Instant,
) -> Result<Done, NotDone> {
    let until = deadline.min(Instant::now() + CLIENT_ANSWER_WAIT);
    let nodes = edge.live_nodes();
    let own = edge.node.id();
    let others = nodes.iter().map(|node| node.id).filter(|id| *id != own);
    for node in std::iter::once(own).chain(others) {
        let question = Question::Command {
            client_id: client_id.to_owned(),
            command: command.clone(),
            wait_ms: until.saturating_duration_since(Instant::now()).as_millis() as u64,
        };
        // The client is what may be late, not the way to it.
        match ask(edge, node, question, until + ANSWER_MARGIN).await {
            Some(Answer::Command(Err(NotDone::NotConnected))) => {}
            Some(Answer::Command(result)) => return result,
            _ => {}
        }
    }
    Err(NotDone::NotConnected)
}

async fn ask(edge: &EdgeState, node: NodeId, question: Question, deadline: Instant) -> Option<Answer> {
    if node == edge.node.id() {
        return Some(answer(edge, question).await);
    }
    let bytes = serde_json::to_vec(&question).expect("a question has no map with odd keys");
    match edge.node.ask_edge(node, bytes.into(), deadline).await {
        Ok(answer) => serde_json::from_slice(&answer).ok(),
        Err(error) => {
            tracing::debug!(%error, "another node was not asked about its clients");
            None
        }
    }
}

/// Has a client of this node do something, and waits for its answer.
async fn command_here(
    edge: &EdgeState,
    client_id: &str,
    command: ClientCommand,
    until: Instant,
) -> Result<Done, NotDone> {
    let way = edge.sessions.way_to(client_id).ok_or(NotDone::NotConnected)?;
    let (nonce, answer) = edge.pending.ask(client_id).ok_or(NotDone::Silent)?;
    let command = match command {
        ClientCommand::StackTrace => {
            Command::PrintThreadStackTraceCommand(PrintThreadStackTraceCommand { nonce: nonce.clone() })
        }
        ClientCommand::Verify(message) => {
            let message = Message::decode(message.as_slice()).map_err(|_| NotDone::Silent)?;
            let nonce = nonce.clone();
            Command::VerifyMessageCommand(VerifyMessageCommand { nonce, message: Some(message) })
        }
    };
    let command = TelemetryCommand { status: None, command: Some(command) };
    let sent = timeout_at(until, way.send(Ok(command))).await;
    let result = match sent {
        Err(_) => Err(NotDone::Silent),
        Ok(Err(_)) => Err(NotDone::WentAway),
        Ok(Ok(())) => tokio::select! {
            answer = timeout_at(until, answer) => match answer {
                Ok(Ok(answer)) => Ok(done(answer)),
                Ok(Err(_)) => Err(NotDone::WentAway),
                Err(_) => Err(NotDone::Silent),
            },
            () = way.closed() => Err(NotDone::WentAway),
        },
    };
    edge.pending.forget(&nonce);
    result
}

fn done(answer: ClientAnswer) -> Done {
    match answer {
        ClientAnswer::StackTrace(text) => Done::StackTrace(text),
        ClientAnswer::Verified(Status { code, message }) => Done::Verified { code, message },
    }
}
