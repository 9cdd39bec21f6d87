//! What one node's edge asks of another's: its clients may be connected anywhere.
//!
//! Between edges of one cluster a question and its answer travel as JSON.

use std::collections::{BTreeMap, HashMap};
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
use crate::port::holdings::Held;
use crate::session::lite::LiteSubscription;
use crate::session::pending::ClientAnswer;
use crate::traffic::Sample;

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

/// How far a consumer group is behind in a topic, in broker groups that one node leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LagTold {
    /// Its name in the catalog.
    pub group: String,
    /// The topic's name in the catalog.
    pub topic: String,
    /// See [`raft::node::Lag`].
    pub messages: u64,
    /// Leases that are held.
    pub in_flight: u64,
    /// What could be delivered.
    pub ready: u64,
    /// When the oldest unsettled message was stored, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

impl LagTold {
    fn nothing(group: &str, topic: &str) -> LagTold {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        LagTold { group, topic, messages: 0, in_flight: 0, ready: 0, oldest_ms: None }
    }

    fn add(&mut self, other: &LagTold) {
        self.messages += other.messages;
        self.in_flight += other.in_flight;
        self.ready += other.ready;
        self.oldest_ms = self.oldest_ms.into_iter().chain(other.oldest_ms).min();
    }
}

/// What goes through one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrafficTold {
    /// A sample for each ten seconds.
    pub history: Vec<Sample>,
    /// The last two seconds or so.
    pub now: Sample,
    /// See [`crate::traffic::Traffic::sync_us`].
    pub sync_p50_us: u64,
    /// In microseconds, too.
    pub sync_p99_us: u64,
    /// Clients heard of lately.
    pub clients: u64,
    /// Connections of clients.
    pub connections: u64,
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
        /// Those too that are of no consumer group.
        #[serde(default)]
        producers: bool,
    },
    Lags,
    Traffic {
        since_unix_ms: u64,
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
    Lags(Vec<LagTold>),
    Traffic(TrafficTold),
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
        Question::Clients { group, producers } => {
            Answer::Clients(edge.sessions.reports_of(&group, producers))
        }
        Question::Lags => Answer::Lags(own_lags(edge).await),
        Question::Traffic { since_unix_ms } => Answer::Traffic(own_traffic(edge, since_unix_ms)),
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
        let question = Question::Clients { group: group.to_owned(), producers: false };
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

/// As [`clients_of`], with producers, and as each node knows them.
pub async fn clients_by_node(
    edge: &EdgeState,
    group: &str,
    deadline: Instant,
) -> Vec<(NodeId, Vec<ClientReport>)> {
    let answers = ask_all(edge, deadline, || Question::Clients { group: group.to_owned(), producers: true });
    let reports = answers.await.into_iter().filter_map(|(node, answer)| match answer {
        Answer::Clients(reports) => Some((node, reports)),
        _ => None,
    });
    reports.collect()
}

/// How far consumer groups are behind, each once: what the nodes that answer lead.
pub async fn lags(edge: &EdgeState, deadline: Instant) -> Vec<LagTold> {
    let mut sums: BTreeMap<(String, String), LagTold> = BTreeMap::new();
    for (_, answer) in ask_all(edge, deadline, || Question::Lags).await {
        let Answer::Lags(lags) = answer else { continue };
        for lag in lags {
            let key = (lag.group.clone(), lag.topic.clone());
            let sum = sums.entry(key).or_insert_with(|| LagTold::nothing(&lag.group, &lag.topic));
            sum.add(&lag);
        }
    }
    sums.into_values().collect()
}

/// What goes through each node that answers.
pub async fn traffic(edge: &EdgeState, since_unix_ms: u64, deadline: Instant) -> Vec<(NodeId, TrafficTold)> {
    let answers = ask_all(edge, deadline, || Question::Traffic { since_unix_ms }).await;
    let told = answers.into_iter().filter_map(|(node, answer)| match answer {
        Answer::Traffic(told) => Some((node, told)),
        _ => None,
    });
    told.collect()
}

async fn own_lags(edge: &EdgeState) -> Vec<LagTold> {
    let report = edge.node.lags().await;
    let catalog = edge.node.catalog();
    let topics: HashMap<TopicId, &str> =
        catalog.topics.values().map(|topic| (topic.id, topic.name.as_str())).collect();
    let groups: HashMap<ConsumerId, &str> =
        catalog.consumers.values().map(|group| (group.id, group.name.as_str())).collect();
    let named = report.lags.iter().filter_map(|((group, topic), lag)| {
        Some(LagTold {
            group: (*groups.get(group)?).to_owned(),
            topic: (*topics.get(topic)?).to_owned(),
            messages: lag.messages,
            in_flight: lag.in_flight,
            ready: lag.ready,
            oldest_ms: lag.oldest_ms,
        })
    });
    named.collect()
}

fn own_traffic(edge: &EdgeState, since_unix_ms: u64) -> TrafficTold {
    let (sync_p50_us, sync_p99_us) = edge.traffic.sync_us();
    TrafficTold {
        history: edge.traffic.history(since_unix_ms),
        now: edge.traffic.now(),
        sync_p50_us,
        sync_p99_us,
        clients: edge.sessions.len() as u64,
        connections: edge.holdings.held(Held::Connections) as u64,
    }
}

/// Asks every node that lives; those that do not answer are left out.
async fn ask_all(
    edge: &EdgeState,
    deadline: Instant,
    question: impl Fn() -> Question,
) -> Vec<(NodeId, Answer)> {
    let until = deadline.min(Instant::now() + EDGE_ANSWER_WAIT);
    let nodes = edge.live_nodes();
    let asked = nodes.iter().map(|node| {
        let question = question();
        async move { Some((node.id, ask(edge, node.id, question, until).await?)) }
    });
    join_all(asked).await.into_iter().flatten().collect()
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
