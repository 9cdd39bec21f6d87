//! The names of topics and consumer groups, by their ids, and the bound of how many of them are told.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use raft::catalog::Catalog;
use raft::names::{ConsumerId, TopicId};

use crate::limits::SERIES_MAX;

/// What stands for all topics and consumer groups beyond the bound, and for those that are gone.
pub const OTHER: &str = "other";

/// Names by ids, of one version of the catalog.
#[derive(Debug, Default)]
pub struct Names {
    topics: HashMap<TopicId, String>,
    consumers: HashMap<ConsumerId, String>,
}

impl Names {
    fn of(catalog: &Catalog) -> Names {
        Names {
            topics: catalog.topics.values().map(|topic| (topic.id, topic.name.clone())).collect(),
            consumers: catalog.consumers.values().map(|group| (group.id, group.name.clone())).collect(),
        }
    }

    /// A topic's name; none if it is gone.
    pub fn topic(&self, id: TopicId) -> Option<&str> {
        self.topics.get(&id).map(String::as_str)
    }

    /// A consumer group's name; none if it is gone.
    pub fn consumer(&self, id: ConsumerId) -> Option<&str> {
        self.consumers.get(&id).map(String::as_str)
    }
}

/// The names of the latest catalog: made when it has changed, not for every scrape.
#[derive(Debug, Default)]
pub struct KnownNames {
    // A mutex: it is locked once a scrape.
    last: Mutex<Option<(u64, Arc<Names>)>>,
}

impl KnownNames {
    /// The names of this catalog.
    pub fn of(&self, catalog: &Catalog) -> Arc<Names> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((version, names)) if *version == catalog.version => names.clone(),
            _ => {
                let names = Arc::new(Names::of(catalog));
                *last = Some((catalog.version, names.clone()));
                names
            }
        }
    }
}

/// Something that is added up.
pub trait Sum: Default {
    /// Adds another one.
    fn add(&mut self, other: Self);
}

impl<const N: usize> Sum for [u64; N]
where
    [u64; N]: Default,
{
    fn add(&mut self, other: [u64; N]) {
        self.iter_mut().zip(other).for_each(|(sum, more)| *sum += more);
    }
}

/// Values by labels, at most [`SERIES_MAX`] of them: first come, first told. What is beyond, and what has no name, is
/// added up under [`OTHER`], so that the sum over all stays right.
#[derive(Debug)]
pub struct Bounded<L, V> {
    /// What is told.
    pub rows: BTreeMap<L, V>,
    /// How many labels were summed up instead.
    pub folded: u64,
}

impl<L: Ord + Copy, V: Sum> Bounded<L, V> {
    /// Of these rows; `other` is what stands for all others.
    pub fn of(rows: impl IntoIterator<Item = (Option<L>, V)>, other: L) -> Bounded<L, V> {
        let mut bounded = Bounded::<L, V> { rows: BTreeMap::new(), folded: 0 };
        for (labels, value) in rows {
            let told = labels
                .filter(|labels| bounded.rows.contains_key(labels) || bounded.rows.len() + 1 < SERIES_MAX);
            if labels.is_some() && told.is_none() {
                bounded.folded += 1;
            }
            bounded.rows.entry(told.unwrap_or(other)).or_default().add(value);
        }
        bounded
    }
}

impl<L: Ord, const N: usize> Bounded<L, [u64; N]> {
    /// Without what has counted nothing: most clusters have no other topics.
    pub fn without_nothing(mut self) -> Bounded<L, [u64; N]> {
        self.rows.retain(|_, counts| counts.iter().any(|count| *count > 0));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_summed_up_and_nothing_is_lost() {
        let names: Vec<String> = (0..2 * SERIES_MAX).map(|number| format!("t{number:06}")).collect();
        let rows = names.iter().map(|name| (Some(name.as_str()), [1]));
        let bounded = Bounded::of(rows.chain([(None, [7])]), OTHER);
        assert_eq!(bounded.rows.len(), SERIES_MAX);
        assert_eq!(bounded.folded as usize, SERIES_MAX + 1);
        assert_eq!(bounded.rows[OTHER][0] as usize, SERIES_MAX + 1 + 7);
        assert_eq!(bounded.rows.values().map(|[count]| *count as usize).sum::<usize>(), 2 * SERIES_MAX + 7);
        assert_eq!(bounded.rows["t000000"], [1], "who came first is told");
    }

    #[test]
    fn a_topic_with_the_name_of_all_others_is_no_second_series() {
        let rows = [(Some(OTHER), [2]), (None, [3])];
        assert_eq!(Bounded::of(rows, OTHER).rows, BTreeMap::from([(OTHER, [5])]));
    }
}
