//! Which lite topics clients read. Most clients say it to one node only and poll all of them, so that node
//! tells the others: each has the subscriptions of all clients, by the latest word.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use raft::catalog::StartFrom;
use raft::hash::hash64;
use raft::names::{ConsumerId, TopicId};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::convert::status::Fault;
use crate::limits::{LITE_SILENCE_MAX, LITE_SUBSCRIPTION_QUOTA};

/// A change of what a client reads; lite topics by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These too.
    Add(Vec<String>),
    /// These no more.
    Remove(Vec<String>),
    /// These, and no others.
    Replace(Vec<String>),
}

/// What one client reads of one topic for one consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiteSubscription {
    /// Hashes of the names, and where the consumer group begins in each that it has not read.
    topics: BTreeMap<u64, StartFrom>,
    /// When the client said so, by the clock of the node that heard it: the later word counts.
    said_ms: u64,
}

impl LiteSubscription {
    /// Hashes of the lite topics by where to begin in them.
    pub fn by_start(&self) -> Vec<(StartFrom, Vec<u64>)> {
        let mut groups: Vec<(StartFrom, Vec<u64>)> = Vec::new();
        for (hash, start) in &self.topics {
            match groups.iter_mut().find(|(known, _)| known == start) {
                Some((_, hashes)) => hashes.push(*hash),
                None => groups.push((*start, vec![*hash])),
            }
        }
        groups
    }
}

type Key = (TopicId, ConsumerId);

/// The subscriptions of one client.
#[derive(Debug)]
struct Client {
    subscriptions: HashMap<Key, LiteSubscription>,
    /// When it was last heard of: that it said so, or polled.
    heard: Instant,
    /// Wakes its polls.
    changed: Arc<Notify>,
}

/// The subscriptions, by client id.
#[derive(Debug, Default)]
pub struct LiteSubscriptions {
    // Touched once a change and once a poll; never held over an await.
    clients: Mutex<HashMap<String, Client>>,
}

impl LiteSubscriptions {
    /// Changes what a client reads. What it reads already keeps its beginning. Answers with all that it reads
    /// now, to tell the other nodes.
    ///
    /// # Errors
    /// [`Fault::LiteSubscriptionQuota`]; nothing is changed then.
    pub fn change(
        &self,
        client_id: &str,
        topic: TopicId,
        group: ConsumerId,
        change: Change,
        start: StartFrom,
    ) -> Result<LiteSubscription, Fault> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(client_id).and_then(|client| client.subscriptions.get(&(topic, group)));
        let said_ms = raft::clock::now_ms().max(known.map_or(0, |known| known.said_ms + 1));
        let mut topics = known.map(|known| known.topics.clone()).unwrap_or_default();
        let hash = |name: &String| hash64(name.as_bytes());
        match change {
            Change::Add(names) => {
                for name in &names {
                    topics.entry(hash(name)).or_insert(start);
                }
            }
            Change::Remove(names) => {
                for name in &names {
                    topics.remove(&hash(name));
                }
            }
            Change::Replace(names) => {
                let before = std::mem::take(&mut topics);
                for hash in names.iter().map(hash) {
                    topics.insert(hash, before.get(&hash).copied().unwrap_or(start));
                }
            }
        }
        if topics.len() > LITE_SUBSCRIPTION_QUOTA {
            let count = topics.len();
            return Err(Fault::LiteSubscriptionQuota(format!(
                "the client subscribes to {count} lite topics; at most {LITE_SUBSCRIPTION_QUOTA} are allowed"
            )));
        }
        let subscription = LiteSubscription { topics, said_ms };
        put(&mut clients, client_id, (topic, group), subscription.clone());
        Ok(subscription)
    }

    /// Takes what another node was told, unless it is older than what this one knows.
    pub fn take(&self, client_id: &str, topic: TopicId, group: ConsumerId, subscription: LiteSubscription) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(client_id).and_then(|client| client.subscriptions.get(&(topic, group)));
        if known.is_none_or(|known| known.said_ms <= subscription.said_ms) {
            put(&mut clients, client_id, (topic, group), subscription);
        }
    }

    /// What wakes when it changes what a client reads that polls now.
    pub fn changes_of(&self, client_id: &str) -> Arc<Notify> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(client_id.to_owned()).or_insert_with(Client::new);
        client.heard = Instant::now();
        client.changed.clone()
    }

    /// What a client reads.
    pub fn of(&self, client_id: &str, topic: TopicId, group: ConsumerId) -> LiteSubscription {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(client_id).and_then(|client| client.subscriptions.get(&(topic, group)));
        known.cloned().unwrap_or_default()
    }

    /// Whether any client reads a lite topic for a consumer group.
    pub fn is_read(&self, topic: TopicId, group: ConsumerId, name_hash: u64) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = |client: &Client| {
            let known = client.subscriptions.get(&(topic, group));
            known.is_some_and(|known| known.topics.contains_key(&name_hash))
        };
        clients.values().any(reads)
    }

    /// Forgets the clients that neither this node nor another one has heard of for long.
    pub fn expire(&self, now: Instant) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| now.saturating_duration_since(client.heard) < LITE_SILENCE_MAX);
    }

    /// Forgets a client.
    pub fn remove(&self, client_id: &str) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(client_id);
    }
}

impl Client {
    fn new() -> Client {
        Client { subscriptions: HashMap::new(), heard: Instant::now(), changed: Arc::default() }
    }
}

fn put(clients: &mut HashMap<String, Client>, client_id: &str, key: Key, subscription: LiteSubscription) {
    let client = clients.entry(client_id.to_owned()).or_insert_with(Client::new);
    client.heard = Instant::now();
    let before = client.subscriptions.get(&key).map(|known| &known.topics);
    if *before.unwrap_or(&BTreeMap::new()) != subscription.topics {
        client.changed.notify_waiters();
    }
    client.subscriptions.insert(key, subscription);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (TopicId, ConsumerId) = (TopicId(1), ConsumerId(2));

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn read(all: &LiteSubscriptions) -> usize {
        all.of("c", PLACE.0, PLACE.1).topics.len()
    }

    #[test]
    fn a_subscription_is_added_to_taken_from_and_replaced() {
        let all = LiteSubscriptions::default();
        let change = |change| drop(all.change("c", PLACE.0, PLACE.1, change, StartFrom::First).unwrap());
        change(Change::Add(names(&["a", "b"])));
        change(Change::Add(names(&["b", "c"])));
        assert_eq!(read(&all), 3);
        change(Change::Remove(names(&["a", "z"])));
        assert_eq!(read(&all), 2);
        change(Change::Replace(names(&["x"])));
        assert_eq!(read(&all), 1);
        change(Change::Replace(vec![]));
        assert_eq!(read(&all), 0);
    }

    #[test]
    fn what_is_read_already_keeps_its_beginning() {
        let all = LiteSubscriptions::default();
        let change = |change, start| drop(all.change("c", PLACE.0, PLACE.1, change, start).unwrap());
        change(Change::Add(names(&["a"])), StartFrom::First);
        change(Change::Replace(names(&["a", "b"])), StartFrom::Time(5));
        let found = all.of("c", PLACE.0, PLACE.1).by_start();
        assert_eq!(found.len(), 2);
        assert!(found.contains(&(StartFrom::First, vec![hash64(b"a")])), "{found:?}");
        assert!(found.contains(&(StartFrom::Time(5), vec![hash64(b"b")])), "{found:?}");
    }

    #[test]
    fn the_later_word_counts_and_is_forgotten_when_nobody_repeats_it() {
        let (here, there) = (LiteSubscriptions::default(), LiteSubscriptions::default());
        let say = |names: &[&str]| {
            let change = Change::Replace(names.iter().map(|name| (*name).to_owned()).collect());
            here.change("c", PLACE.0, PLACE.1, change, StartFrom::First).unwrap()
        };
        let (first, second) = (say(&["a"]), say(&["a", "b"]));
        there.take("c", PLACE.0, PLACE.1, second);
        there.take("c", PLACE.0, PLACE.1, first);
        assert_eq!(read(&there), 2);
        there.take("c", PLACE.0, PLACE.1, say(&[]));
        assert_eq!(read(&there), 0);
        there.expire(Instant::now() + LITE_SILENCE_MAX);
        assert_eq!(there.clients.lock().unwrap().len(), 0);
    }

    #[test]
    fn more_than_the_quota_is_refused_whole() {
        let all = LiteSubscriptions::default();
        let many: Vec<String> = (0..=LITE_SUBSCRIPTION_QUOTA).map(|number| number.to_string()).collect();
        let refused = all.change("c", PLACE.0, PLACE.1, Change::Add(many), StartFrom::First);
        assert!(matches!(refused, Err(Fault::LiteSubscriptionQuota(_))), "{refused:?}");
        assert_eq!(read(&all), 0);
    }
}
