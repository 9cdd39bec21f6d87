//! The machine of `meta`: topics, consumer groups, nodes and broker groups, as a [`Catalog`].
//!
//! Commands are rare and may be large, so they and their rows are JSON.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::coding::Reader;
use store::tables::catalog::CatalogKey;
use store::tables::{RowKind, TableStore};

use super::access::AccessAction;
use super::broker::each_row;
use super::progress::Progress;
use super::spread_steps::SpreadAction;
use super::{AppliedFrame, FrameContext, MachineFailure, StateMachine};
use crate::catalog::{Catalog, DEAD_LETTERS_PREFIX, Mapping, NodeInfo, Topic, TopicType};
use crate::command::{Command, CommandError, Commands, encode_meta};
use crate::features::FeatureLevel;
use crate::limits::{META_REQUESTS_MAX, QUEUES_MAX};
use crate::names::{GroupId, NodeId, TopicId};
use crate::outcome::Outcome;
use crate::request::{NewConsumer, NewTopic, Rejection};
use crate::settings::{GroupChange, TopicSettings};

/// A command of `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaCommand {
    /// Made once for a request and kept by its repetitions, which get the first one's outcome; 0 for
    /// none.
    pub request: u128,
    /// What to do.
    pub action: MetaAction,
}

/// What a command of `meta` does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetaAction {
    /// Makes a topic; answered with it.
    CreateTopic(NewTopic),
    /// Changes a topic's type, or widens it; answered with it.
    UpdateTopic {
        /// Which one.
        name: String,
        /// The new type, if it changes.
        kind: Option<TopicType>,
        /// The new number of queues, if it changes: more than before.
        queues: Option<u32>,
        /// Other settings that change.
        #[serde(default, skip_serializing_if = "TopicSettings::is_empty")]
        settings: TopicSettings,
    },
    /// Deletes a topic; answered with what it was.
    DeleteTopic {
        /// Which one.
        name: String,
    },
    /// Spreads the message groups of a topic over more queues; answered with the topic.
    Spread(SpreadAction),
    /// Makes a consumer group and its topic of dead letters; answered with it.
    CreateConsumer(NewConsumer),
    /// Changes a consumer group; answered with it.
    UpdateConsumer {
        /// Which one.
        name: String,
        /// What changes.
        change: GroupChange,
    },
    /// Deletes a consumer group, but not its dead letters; answered with what it was.
    DeleteConsumer {
        /// Which one.
        name: String,
    },
    /// A node says who it is.
    RegisterNode(NodeInfo),
    /// A process that has no id asks for one; `above` is at least the highest that there was.
    AdmitNode {
        /// What it says of itself.
        node: NodeInfo,
        /// Ids up to this one are taken, though not all of them may be known to `meta` yet.
        above: NodeId,
    },
    /// A node without replicas is in the cluster no more.
    RemoveNode {
        /// Which one.
        node: NodeId,
    },
    /// Broker groups more than there are.
    AddGroups {
        /// So many.
        count: u32,
        /// Who begins them, with a vote each.
        founders: Vec<NodeId>,
        /// Whether only they hold them; else all nodes do.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        placed: bool,
    },
    /// A node is to hold a broker group that was placed, or is to hold it no more.
    Place {
        /// The group.
        group: GroupId,
        /// The node.
        node: NodeId,
        /// Whether it is to hold it. If not, it has no replica of it any more.
        holds: bool,
    },
    /// The broker groups there are. None may be missing that was there.
    SetGroups(Vec<GroupId>),
    /// From here on the logs may hold what builds that know this level write. It never falls.
    RaiseFeatureLevel(FeatureLevel),
    /// Users and their rules.
    Access(AccessAction),
}

impl MetaCommand {
    /// The command as the log keeps it.
    pub fn encode(&self) -> Bytes {
        let json = serde_json::to_vec(&self.action).expect("an action has no map with odd keys");
        encode_meta(self.request, &json)
    }
}

/// Numbers that are given out once, the catalog's version, and what is too little for rows of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counters {
    catalog_version: u64,
    last_topic: u32,
    pub(super) last_consumer: u32,
    last_request: u64,
    /// The highest id that a node was given.
    #[serde(default)]
    pub(super) last_node: u64,
    /// See [`Catalog`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) removed_nodes: BTreeSet<NodeId>,
    /// See [`Catalog`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) founders: BTreeMap<GroupId, Vec<NodeId>>,
    /// See [`Catalog`].
    #[serde(default, skip_serializing_if = "FeatureLevel::is_first")]
    pub(super) feature_level: FeatureLevel,
    /// See [`Catalog`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) holders: BTreeMap<GroupId, BTreeSet<NodeId>>,
}

/// The deterministic state machine of `meta`.
pub struct MetaMachine<T> {
    pub(super) progress: Progress<T>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) counters: Counters,
    /// Requests that were carried out, the oldest first.
    requests: VecDeque<(u64, u128)>,
    outcomes: BTreeMap<u128, Outcome>,
}

impl<T: TableStore> MetaMachine<T> {
    /// The machine as its rows say.
    ///
    /// # Errors
    /// The tables cannot be read, or are damaged.
    pub fn open(tables: T) -> Result<MetaMachine<T>, MachineFailure> {
        let mut catalog = Catalog::default();
        let mut counters = Counters::default();
        let mut requests = VecDeque::new();
        let mut outcomes = BTreeMap::new();
        each_row(&tables, RowKind::Catalog, |key, value| {
            match CatalogKey::read(key)? {
                CatalogKey::Counters => counters = parse(value)?,
                CatalogKey::Topic(name) => {
                    catalog.topics.insert(name.to_string(), parse(value)?);
                }
                CatalogKey::Consumer(name) => {
                    catalog.consumers.insert(name.to_string(), parse(value)?);
                }
                CatalogKey::Node(_) => {
                    let node = parse::<NodeInfo>(value)?;
                    catalog.nodes.insert(node.id, node);
                }
                CatalogKey::User(name) => {
                    Arc::make_mut(&mut catalog.users).insert(name.to_string(), parse(value)?);
                }
                CatalogKey::Groups => catalog.groups = parse(value)?,
                CatalogKey::Request(number) => {
                    let mut reader = Reader::new(value);
                    let request = reader.u128()?;
                    outcomes.insert(request, Outcome::decode(reader.rest())?);
                    requests.push_back((number, request));
                }
            }
            Some(())
        })?;
        catalog.version = counters.catalog_version;
        catalog.removed_nodes.clone_from(&counters.removed_nodes);
        catalog.founders.clone_from(&counters.founders);
        catalog.feature_level = counters.feature_level;
        catalog.holders.clone_from(&counters.holders);
        let progress = Progress::open(tables)?;
        Ok(MetaMachine { progress, catalog: Arc::new(catalog), counters, requests, outcomes })
    }

    /// What `meta` holds now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    fn apply_command(&mut self, command: Command) -> Result<Outcome, CommandError> {
        let Command::Meta { request, json } = command else {
            return Ok(invalid("the meta group takes only its own commands"));
        };
        if let Some(outcome) = self.outcomes.get(&request) {
            return Ok(outcome.clone());
        }
        let outcome = match serde_json::from_slice(&json) {
            Ok(action) => self.act(action).unwrap_or_else(Outcome::Rejected),
            Err(error) => match action_named(&json) {
                Some(action) => return Err(CommandError::UnknownAction { action }),
                None => return Ok(invalid(&format!("not a command of the meta group: {error}"))),
            },
        };
        self.remember(request, &outcome);
        Ok(outcome)
    }

    fn act(&mut self, action: MetaAction) -> Result<Outcome, Rejection> {
        match action {
            MetaAction::CreateTopic(new) => self.create_topic(new).map(Outcome::Topic),
            MetaAction::UpdateTopic { name, kind, queues, settings } => {
                self.update_topic(name, kind, queues, settings).map(Outcome::Topic)
            }
            MetaAction::DeleteTopic { name } => {
                let topic = self.change().topics.remove(&name).ok_or(topic_not_found(&name))?;
                self.progress.batch().delete(&CatalogKey::Topic(&name).bytes());
                Ok(Outcome::Topic(topic))
            }
            MetaAction::Spread(action) => self.spread(action).map(Outcome::Topic),
            MetaAction::CreateConsumer(new) => self.create_consumer(new).map(Outcome::Consumer),
            MetaAction::UpdateConsumer { name, change } => {
                self.update_consumer(&name, change).map(Outcome::Consumer)
            }
            MetaAction::DeleteConsumer { name } => {
                let gone = self.change().consumers.remove(&name);
                let consumer = gone.ok_or(Rejection::ConsumerNotFound { name: name.clone() })?;
                self.progress.batch().delete(&CatalogKey::Consumer(&name).bytes());
                Ok(Outcome::Consumer(consumer))
            }
            MetaAction::RegisterNode(node) => self.register_node(node),
            MetaAction::AdmitNode { node, above } => self.admit_node(node, above),
            MetaAction::RemoveNode { node } => self.remove_node(node),
            MetaAction::AddGroups { count, founders, placed } => self.add_groups(count, founders, placed),
            MetaAction::Place { group, node, holds } => self.place(group, node, holds),
            MetaAction::SetGroups(groups) => self.set_groups(groups),
            MetaAction::RaiseFeatureLevel(level) => Ok(self.raise_feature_level(level)),
            MetaAction::Access(action) => self.change_access(action),
        }
    }

    fn create_topic(&mut self, new: NewTopic) -> Result<Topic, Rejection> {
        if let Some(topic) = self.catalog.topics.get(&new.name) {
            return match new.if_not_exists {
                true => Ok(topic.clone()),
                false => Err(Rejection::AlreadyExists { what: "topic".into(), name: new.name }),
            };
        }
        self.check_queues(new.queues)?;
        let id = self.new_topic_id();
        let queues = self.placement(id, new.kind, 0..new.queues);
        let mut settings = TopicSettings::default();
        settings.change(new.settings);
        Ok(self.put_topic(Topic {
            id,
            name: new.name,
            kind: new.kind,
            queues,
            created_ms: self.progress.stamp_ms(),
            revision: 0,
            settings,
            spread: 0,
            mapping: Mapping::default(),
        }))
    }

    fn update_topic(
        &mut self,
        name: String,
        kind: Option<TopicType>,
        queues: Option<u32>,
        settings: TopicSettings,
    ) -> Result<Topic, Rejection> {
        let mut topic = self.catalog.topics.get(&name).cloned().ok_or(topic_not_found(&name))?;
        let before = topic.queues.len() as u32;
        let wanted = queues.unwrap_or(before);
        if wanted < before {
            let why = format!("topic {name} has {before} queues; it can get more, not fewer ({wanted})");
            return Err(Rejection::Invalid(why));
        }
        if wanted > before {
            self.check_queues(wanted)?;
            topic.queues.extend(self.placement(topic.id, topic.kind, before..wanted));
            if topic.spread == 0 {
                topic.spread = before;
            }
        }
        topic.kind = kind.unwrap_or(topic.kind);
        if topic.kind == TopicType::Priority && topic.groups().len() > 1 {
            let why = format!(
                "the queues of topic {name} lie in several broker groups; those of a priority topic must \
                 lie in one: make a new topic"
            );
            return Err(Rejection::Invalid(why));
        }
        topic.settings.change(settings);
        if self.catalog.topics.get(&name) == Some(&topic) {
            return Ok(topic);
        }
        topic.revision += 1;
        Ok(self.put_topic(topic))
    }

    pub(super) fn set_groups(&mut self, mut groups: Vec<GroupId>) -> Result<Outcome, Rejection> {
        groups.sort_unstable();
        groups.dedup();
        if groups == self.catalog.groups {
            return Ok(Outcome::Done);
        }
        if let Some(gone) = self.catalog.groups.iter().find(|group| !groups.contains(group)) {
            return Err(Rejection::Invalid(format!("group {gone} may hold messages and cannot be dropped")));
        }
        if groups.contains(&GroupId::META) {
            return Err(Rejection::Invalid("the meta group holds no messages".into()));
        }
        self.put(CatalogKey::Groups, &groups);
        self.change().groups = groups.clone();
        // Every broker group has a queue for the dead letters of its own messages.
        let dead_letters = self.catalog.topics.values().filter(|it| it.name.starts_with(DEAD_LETTERS_PREFIX));
        for mut topic in dead_letters.cloned().collect::<Vec<_>>() {
            let missing = groups.iter().filter(|group| !topic.queues.contains(group)).copied();
            let missing = missing.collect::<Vec<_>>();
            topic.queues.extend(missing);
            topic.revision += 1;
            self.put_topic(topic);
        }
        Ok(Outcome::Done)
    }

    pub(super) fn check_queues(&self, queues: u32) -> Result<(), Rejection> {
        if self.catalog.groups.is_empty() {
            return Err(Rejection::Invalid("the cluster has no broker group yet".into()));
        }
        if queues == 0 || queues > QUEUES_MAX {
            return Err(Rejection::Invalid(format!("a topic has 1 to {QUEUES_MAX} queues, not {queues}")));
        }
        Ok(())
    }

    /// Spreads queues over the broker groups, from another group on for each topic. Those of a
    /// priority topic stay together: one receive must see them all.
    fn placement(&self, topic: TopicId, kind: TopicType, numbers: std::ops::Range<u32>) -> Vec<GroupId> {
        let groups = &self.catalog.groups;
        let group_of = |number: u32| {
            let apart = if kind == TopicType::Priority { 0 } else { number as usize };
            groups[(topic.0 as usize + apart) % groups.len()]
        };
        numbers.map(group_of).collect()
    }

    pub(super) fn new_topic_id(&mut self) -> TopicId {
        self.counters.last_topic += 1;
        TopicId(self.counters.last_topic)
    }

    pub(super) fn put_topic(&mut self, topic: Topic) -> Topic {
        self.put(CatalogKey::Topic(&topic.name), &topic);
        self.change().topics.insert(topic.name.clone(), topic.clone());
        topic
    }

    pub(super) fn put(&mut self, key: CatalogKey<'_>, value: &impl Serialize) {
        let json = serde_json::to_vec(value).expect("no map with odd keys");
        self.progress.batch().put(&key.bytes(), &json);
    }

    pub(super) fn change(&mut self) -> &mut Catalog {
        Arc::make_mut(&mut self.catalog)
    }

    fn remember(&mut self, request: u128, outcome: &Outcome) {
        if request == 0 {
            return;
        }
        self.counters.last_request += 1;
        let number = self.counters.last_request;
        let value = [&request.to_le_bytes()[..], &outcome.encode()].concat();
        self.progress.batch().put(&CatalogKey::Request(number).bytes(), &value);
        self.requests.push_back((number, request));
        self.outcomes.insert(request, outcome.clone());
        while self.requests.len() > META_REQUESTS_MAX {
            let (number, request) = self.requests.pop_front().expect("there is one");
            self.outcomes.remove(&request);
            self.progress.batch().delete(&CatalogKey::Request(number).bytes());
        }
    }
}

impl<T: TableStore> StateMachine for MetaMachine<T> {
    type Tables = T;

    fn apply(&mut self, frame: FrameContext, body: &Bytes) -> Result<AppliedFrame, MachineFailure> {
        self.progress.begin(&frame)?;
        let before = self.catalog.clone();
        let mut applied = AppliedFrame::default();
        for command in Commands::new(body) {
            applied.outcomes.push(match command.and_then(|(_, command)| self.apply_command(command)) {
                Ok(outcome) => outcome,
                Err(source @ (CommandError::UnknownKind { .. } | CommandError::UnknownAction { .. })) => {
                    return Err(MachineFailure::Unreadable { index: frame.index, source });
                }
                Err(error) => invalid(&error.to_string()),
            });
        }
        if self.catalog != before {
            self.counters.catalog_version += 1;
            self.change().version = self.counters.catalog_version;
            applied.effects.catalog_changed = true;
        }
        let counters = self.counters.clone();
        self.put(CatalogKey::Counters, &counters);
        self.progress.commit(&frame)?;
        Ok(applied)
    }

    fn progress(&self) -> &Progress<T> {
        &self.progress
    }

    fn progress_mut(&mut self) -> &mut Progress<T> {
        &mut self.progress
    }
}

fn parse<V: DeserializeOwned>(json: &[u8]) -> Option<V> {
    serde_json::from_slice(json).ok()
}

/// The name of what looks like an action: `"name"` or `{"name": ...}`.
fn action_named(json: &[u8]) -> Option<String> {
    match serde_json::from_slice(json).ok()? {
        serde_json::Value::String(name) => Some(name),
        serde_json::Value::Object(action) if action.len() == 1 => action.keys().next().cloned(),
        _ => None,
    }
}

fn invalid(why: &str) -> Outcome {
    Outcome::Rejected(Rejection::Invalid(why.to_string()))
}

pub(super) fn topic_not_found(name: &str) -> Rejection {
    Rejection::TopicNotFound { name: name.to_string() }
}
