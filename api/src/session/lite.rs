//! Which lite topics the clients of this node read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use raft::catalog::StartFrom;
use raft::hash::hash64;
use raft::names::{ConsumerId, TopicId};

use crate::convert::status::Fault;
use crate::limits::LITE_SUBSCRIPTION_QUOTA;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiteSubscription {
    /// Hashes of the names, and where the consumer group begins in each that it has not read.
    topics: BTreeMap<u64, StartFrom>,
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

/// The subscriptions of this node's clients, by client id.
#[derive(Debug, Default)]
pub struct LiteSubscriptions {
    // Touched once a change and once a poll; never held over an await.
    clients: Mutex<HashMap<String, HashMap<Key, LiteSubscription>>>,
}

impl LiteSubscriptions {
    /// Changes what a client reads. What it reads already keeps its beginning.
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
    ) -> Result<(), Fault> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(client_id).and_then(|all| all.get(&(topic, group)));
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
        let all = clients.entry(client_id.to_owned()).or_default();
        match topics.is_empty() {
            true => drop(all.remove(&(topic, group))),
            false => drop(all.insert((topic, group), LiteSubscription { topics })),
        }
        if all.is_empty() {
            clients.remove(client_id);
        }
        Ok(())
    }

    /// What a client reads.
    pub fn of(&self, client_id: &str, topic: TopicId, group: ConsumerId) -> LiteSubscription {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(client_id).and_then(|all| all.get(&(topic, group))).cloned().unwrap_or_default()
    }

    /// Forgets a client.
    pub fn remove(&self, client_id: &str) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(client_id);
    }
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
        let change = |change| all.change("c", PLACE.0, PLACE.1, change, StartFrom::First).unwrap();
        change(Change::Add(names(&["a", "b"])));
        change(Change::Add(names(&["b", "c"])));
        assert_eq!(read(&all), 3);
        change(Change::Remove(names(&["a", "z"])));
        assert_eq!(read(&all), 2);
        change(Change::Replace(names(&["x"])));
        assert_eq!(read(&all), 1);
        change(Change::Replace(vec![]));
        assert_eq!((read(&all), all.clients.lock().unwrap().len()), (0, 0));
    }

    #[test]
    fn what_is_read_already_keeps_its_beginning() {
        let all = LiteSubscriptions::default();
        let change = |change, start| all.change("c", PLACE.0, PLACE.1, change, start).unwrap();
        change(Change::Add(names(&["a"])), StartFrom::First);
        change(Change::Replace(names(&["a", "b"])), StartFrom::Time(5));
        let found = all.of("c", PLACE.0, PLACE.1).by_start();
        assert_eq!(found.len(), 2);
        assert!(found.contains(&(StartFrom::First, vec![hash64(b"a")])), "{found:?}");
        assert!(found.contains(&(StartFrom::Time(5), vec![hash64(b"b")])), "{found:?}");
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
