//! Several kinds of work at the same time, on one cluster: they share its log, its elections and its disks.

use std::fmt;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Arena, Needs, Workload};

/// What clients do in a run: one kind of work, or several at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Work(Vec<Workload>);

impl From<Workload> for Work {
    fn from(one: Workload) -> Work {
        Work(vec![one])
    }
}

impl Work {
    /// These at once.
    ///
    /// # Errors
    /// There are none, or two of them would work on the same topic.
    pub fn of(kinds: Vec<Workload>) -> Result<Work, String> {
        let mut owners: Vec<(String, Workload)> = Vec::new();
        for &kind in &kinds {
            for topic in kind.needs().topics {
                if let Some((_, owner)) = owners.iter().find(|(name, _)| *name == topic.name) {
                    return Err(format!(
                        "{} and {} both work on topic {}: leave one of them out",
                        owner.name(),
                        kind.name(),
                        topic.name
                    ));
                }
                owners.push((topic.name, kind));
            }
        }
        match kinds.is_empty() {
            true => Err("no workload is named".to_owned()),
            false => Ok(Work(kinds)),
        }
    }

    /// One after the other.
    pub fn kinds(&self) -> &[Workload] {
        &self.0
    }

    /// Whether this is among them.
    pub fn has(&self, kind: Workload) -> bool {
        self.0.contains(&kind)
    }

    /// As it is written on the command line.
    pub fn argument(&self) -> String {
        self.names(",")
    }

    fn names(&self, between: &str) -> String {
        self.0.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(between)
    }

    /// The topics and consumer groups of all.
    pub fn needs(&self) -> Needs {
        let mut all = Needs::default();
        for needs in self.0.iter().map(|kind| kind.needs()) {
            all.topics.extend(needs.topics);
            all.groups.extend(needs.groups);
            all.subscriptions.extend(needs.subscriptions);
            all.settle = all.settle.max(needs.settle);
        }
        all
    }

    /// Starts the processes of all. Senders end when the arena says so, then the others.
    pub fn start(&self, arena: &Rc<Arena>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for kind in &self.0 {
            kind.start(arena, &mut tasks);
        }
        tasks
    }
}

/// For people, and for names of directories.
impl fmt::Display for Work {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.names("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_at_the_same_time_works_on_topics_of_its_own() {
        let work = Work::of(vec![Workload::Fifo, Workload::Delay]).unwrap();
        assert_eq!((work.to_string(), work.argument()), ("fifo+delay".to_owned(), "fifo,delay".to_owned()));
        let needs = work.needs();
        assert_eq!((needs.topics.len(), needs.subscriptions.len()), (2, 2));
        assert_eq!(needs.settle, Workload::Delay.needs().settle);
        let error = Work::of(vec![Workload::Queue, Workload::Membership]).unwrap_err();
        assert!(error.contains("queue and membership both work on topic"), "{error}");
        assert!(Work::of(vec![Workload::Fifo, Workload::Fifo]).is_err());
        assert!(Work::of(Vec::new()).is_err());
    }
}
