//! The clients that this node has heard of lately.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use proto::v2::{ClientType, FilterExpression, TelemetryCommand};
use raft::hash::hash64;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::convert::status::ClientLanguage;
use crate::limits::{SESSION_EXPIRY, SESSION_LOST_EXPIRY, SESSIONS_MAX};
use crate::session::remote::ClientReport;

/// What a client is, as far as it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// What it is written in.
    pub language: ClientLanguage,
    /// Its library's version.
    pub version: String,
    /// Where its requests come from.
    pub address: String,
}

/// What a client said in its settings. A client may change its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientRole {
    /// Its type.
    pub kind: ClientType,
    /// The consumer group's name in the catalog, empty for a producer.
    pub group: String,
    /// The topics' names in the catalog that it publishes or reads.
    pub topics: Vec<String>,
    /// The namespace it lives in.
    pub namespace: String,
    /// What it wants of the topics that it reads, by their names.
    pub filters: BTreeMap<String, FilterExpression>,
}

/// Leads commands to a client's telemetry stream.
pub type CommandSender = mpsc::Sender<Result<TelemetryCommand, tonic::Status>>;

#[derive(Debug)]
struct Session {
    facts: ClientFacts,
    role: ClientRole,
    /// Telemetry streams that are open, the newest last.
    streams: Vec<CommandSender>,
    /// Whether it ever had a stream.
    streamed: bool,
    seen: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.seen);
        let lost = self.streamed && self.streams.is_empty();
        silent >= SESSION_EXPIRY || (lost && silent >= SESSION_LOST_EXPIRY)
    }
}

/// All sessions of this node, at most [`SESSIONS_MAX`]: what is beyond is served but not remembered.
#[derive(Debug, Default)]
pub struct Registry {
    // A mutex, not a sharded map: each client touches it once a heartbeat and once a receive.
    sessions: Mutex<HashMap<String, Session>>,
}

impl Registry {
    /// The client said something.
    pub fn seen(&self, client_id: &str, now: Instant, facts: impl FnOnce() -> ClientFacts) {
        let mut sessions = self.lock();
        if let Some(session) = sessions.get_mut(client_id) {
            session.seen = now;
        } else if sessions.len() < SESSIONS_MAX {
            let session = Session {
                facts: facts(),
                role: ClientRole::default(),
                streams: Vec::new(),
                streamed: false,
                seen: now,
            };
            sessions.insert(client_id.to_owned(), session);
        }
    }

    /// The client opened a telemetry stream; `commands` leads to it.
    pub fn stream_opened(&self, client_id: &str, commands: CommandSender) {
        if let Some(session) = self.lock().get_mut(client_id) {
            session.streams.push(commands);
            session.streamed = true;
        }
    }

    /// A telemetry stream of the client ended. Its settings stay.
    pub fn stream_closed(&self, client_id: &str, commands: &CommandSender) {
        if let Some(session) = self.lock().get_mut(client_id) {
            session.streams.retain(|stream| !stream.same_channel(commands));
        }
    }

    /// The way to a client: its newest telemetry stream. `None` if it has none here.
    pub fn way_to(&self, client_id: &str) -> Option<CommandSender> {
        self.lock().get(client_id).and_then(|session| session.streams.last().cloned())
    }

    /// The ways to the producers of a topic that are connected here, each with the namespace that
    /// its client lives in.
    pub fn producers_of(&self, topic: &str) -> Vec<(CommandSender, String)> {
        let sessions = self.lock();
        let producers = sessions.values().filter(|session| {
            session.role.kind == ClientType::Producer && session.role.topics.iter().any(|it| it == topic)
        });
        let ways = producers.filter_map(|session| {
            let stream = session.streams.last()?.clone();
            Some((stream, session.role.namespace.clone()))
        });
        ways.collect()
    }

    /// The client said what it is.
    pub fn set_role(&self, client_id: &str, role: ClientRole) {
        if let Some(session) = self.lock().get_mut(client_id) {
            session.role = role;
        }
    }

    /// What the client said it is, if it did.
    pub fn kind(&self, client_id: &str) -> Option<ClientType> {
        self.lock().get(client_id).map(|session| session.role.kind)
    }

    /// How many clients there are of each type that somebody is.
    pub fn counts(&self) -> Vec<(ClientType, u64)> {
        let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
        self.lock().values().for_each(|session| *counts.entry(session.role.kind as i32).or_default() += 1);
        counts
            .into_iter()
            .filter_map(|(kind, count)| Some((ClientType::try_from(kind).ok()?, count)))
            .collect()
    }

    /// Forgets a client. Whether it was known.
    pub fn remove(&self, client_id: &str) -> bool {
        self.lock().remove(client_id).is_some()
    }

    /// Forgets the clients that have been silent too long, and names them.
    pub fn expire(&self, now: Instant) -> Vec<String> {
        self.lock().extract_if(|_, session| session.is_over(now)).map(|(client_id, _)| client_id).collect()
    }

    /// The clients of a consumer group on this node, by id.
    pub fn clients_of(&self, group: &str) -> Vec<(String, ClientFacts)> {
        let mut found: Vec<_> = self
            .lock()
            .iter()
            .filter(|(_, session)| session.role.group == group)
            .map(|(client_id, session)| (client_id.clone(), session.facts.clone()))
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// The client whose id has this hash. Linear: for people.
    pub fn name_of(&self, hash: u64) -> Option<String> {
        self.lock().keys().find(|client_id| hash64(client_id.as_bytes()) == hash).cloned()
    }

    /// The clients of a consumer group on this node, for other nodes; of all groups if it is empty.
    /// With `producers`, those too that are of no consumer group.
    pub fn reports_of(&self, group: &str, producers: bool) -> Vec<ClientReport> {
        let sessions = self.lock();
        let of_it = sessions.iter().filter(|(_, session)| match group {
            "" => producers || !session.role.group.is_empty(),
            group => session.role.group == group,
        });
        let filter = |(topic, filter): (&String, &FilterExpression)| {
            (topic.clone(), (filter.r#type, filter.expression.clone()))
        };
        let reports = of_it.map(|(client_id, session)| ClientReport {
            client_id: client_id.clone(),
            language: session.facts.language.name().to_owned(),
            version: session.facts.version.clone(),
            address: session.facts.address.clone(),
            kind: session.role.kind as i32,
            group: session.role.group.clone(),
            topics: session.role.topics.clone(),
            filters: session.role.filters.iter().map(filter).collect(),
        });
        reports.collect()
    }

    /// How many clients are of such a type.
    pub fn count(&self, of_it: impl Fn(ClientType) -> bool) -> usize {
        self.lock().values().filter(|session| of_it(session.role.kind)).count()
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no client is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().expect("no code panics while it holds the sessions")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn role(group: &str) -> ClientRole {
        let topics = vec!["t".into()];
        ClientRole { kind: ClientType::PushConsumer, group: group.into(), topics, ..ClientRole::default() }
    }

    #[tokio::test]
    async fn a_silent_client_is_forgotten_after_two_minutes() {
        let (registry, start) = (Registry::default(), Instant::now());
        registry.seen("a", start, ClientFacts::default);
        registry.seen("b", start, ClientFacts::default);
        registry.seen("b", start + Duration::from_secs(60), ClientFacts::default);
        assert_eq!(registry.expire(start + Duration::from_secs(119)), [""; 0]);
        assert_eq!(registry.expire(start + Duration::from_secs(120)), ["a"]);
        assert_eq!(registry.len(), 1);
    }

    #[tokio::test]
    async fn a_client_whose_last_stream_broke_is_forgotten_sooner() {
        let (registry, start) = (Registry::default(), Instant::now());
        registry.seen("a", start, ClientFacts::default);
        let ((one, _one), (two, _two)) = (mpsc::channel(1), mpsc::channel(1));
        registry.stream_opened("a", one.clone());
        registry.stream_opened("a", two.clone());
        registry.stream_closed("a", &one);
        assert_eq!(registry.expire(start + Duration::from_secs(60)), [""; 0]);
        registry.stream_closed("a", &two);
        assert_eq!(registry.expire(start + Duration::from_secs(34)), [""; 0]);
        assert_eq!(registry.expire(start + Duration::from_secs(36)), ["a"]);
    }

    #[tokio::test]
    async fn the_clients_of_a_group_are_listed_and_settings_survive_the_stream() {
        let (registry, now) = (Registry::default(), Instant::now());
        for client in ["b", "a", "c"] {
            registry.seen(client, now, ClientFacts::default);
        }
        let (stream, _stream) = mpsc::channel(1);
        registry.stream_opened("a", stream.clone());
        registry.set_role("a", role("g"));
        registry.set_role("b", role("g"));
        registry.set_role("c", role("h"));
        registry.stream_closed("a", &stream);
        let ids: Vec<_> = registry.clients_of("g").into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(registry.kind("a"), Some(ClientType::PushConsumer));
        assert!(registry.remove("a") && !registry.remove("a"));
    }
}
