//! What clients do to the cluster, one kind of work a file. All choices come from the seed.

mod consumer;
mod deduplication;
mod delay;
mod fifo;
mod leases;
mod membership;
mod priority;
mod producer;
mod pull;
mod queue;
mod transactions;
mod work;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use checkers::history::Subscription;
use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::client::{Client, GroupSpec, TopicSpec};
use crate::recorder::Recorder;

pub use consumer::{drain, is_drained};
pub use work::Work;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Sends, single and in batches, and consumers that acknowledge everything
    Queue,
    /// Message groups in order, consumers that give back and let go
    Fifo,
    /// Leases that end, are changed, given back and settled too late; dead letters
    Leases,
    /// Messages for later, some taken back
    Delay,
    /// Half messages: committed, rolled back, left open
    Transactions,
    /// Reading by offset, without leases
    Pull,
    /// The same message id again, on purpose, through several nodes
    Deduplication,
    /// Messages of four priorities
    Priority,
    /// As queue, while nodes lose their votes and get them back, and every node is asked who has one
    Membership,
}

impl Workload {
    /// All of them.
    pub const ALL: [Workload; 9] = [
        Workload::Queue,
        Workload::Fifo,
        Workload::Leases,
        Workload::Delay,
        Workload::Transactions,
        Workload::Pull,
        Workload::Deduplication,
        Workload::Priority,
        Workload::Membership,
    ];

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Queue => "queue",
            Workload::Fifo => "fifo",
            Workload::Leases => "leases",
            Workload::Delay => "delay",
            Workload::Transactions => "transactions",
            Workload::Pull => "pull",
            Workload::Deduplication => "deduplication",
            Workload::Priority => "priority",
            Workload::Membership => "membership",
        }
    }

    /// The topics and consumer groups that it needs.
    pub fn needs(self) -> Needs {
        match self {
            Workload::Queue => queue::needs(),
            Workload::Fifo => fifo::needs(),
            Workload::Leases => leases::needs(),
            Workload::Delay => delay::needs(),
            Workload::Transactions => transactions::needs(),
            Workload::Pull => pull::needs(),
            Workload::Deduplication => deduplication::needs(),
            Workload::Priority => priority::needs(),
            Workload::Membership => membership::needs(),
        }
    }

    /// Starts its processes. Senders end when the arena says so, then the others.
    pub fn start(self, arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
        match self {
            Workload::Queue => queue::start(arena, tasks),
            Workload::Fifo => fifo::start(arena, tasks),
            Workload::Leases => leases::start(arena, tasks),
            Workload::Delay => delay::start(arena, tasks),
            Workload::Transactions => transactions::start(arena, tasks),
            Workload::Pull => pull::start(arena, tasks),
            Workload::Deduplication => deduplication::start(arena, tasks),
            Workload::Priority => priority::start(arena, tasks),
            Workload::Membership => membership::start(arena, tasks),
        }
    }
}

/// What has to be there before a workload starts.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Topics to create.
    pub topics: Vec<TopicSpec>,
    /// Consumer groups to create.
    pub groups: Vec<GroupSpec>,
    /// Who reads what with leases, to its end.
    pub subscriptions: Vec<Subscription>,
    /// How long after the last send something may still become visible.
    pub settle: Duration,
}

impl Needs {
    /// One topic that one consumer group reads.
    fn simple(topic: TopicSpec, group: GroupSpec) -> Needs {
        let subscription = Subscription {
            group: group.name.clone(),
            topic: topic.name.clone(),
            fifo: group.fifo,
            max_attempts: group.max_attempts,
            from_first: true,
        };
        Needs {
            topics: vec![topic],
            groups: vec![group],
            subscriptions: vec![subscription],
            settle: Duration::ZERO,
        }
    }
}

/// Starts so many processes that do the same work.
fn staff<W>(arena: &Rc<Arena>, tasks: &mut JoinSet<()>, count: u32, work: impl Fn(Rc<Arena>) -> W)
where
    W: Future<Output = ()> + 'static,
{
    for _ in 0..count {
        tasks.spawn_local(work(arena.clone()));
    }
}

/// Where processes work.
#[derive(Debug)]
pub struct Arena {
    /// `host:port` of every node.
    pub addresses: Vec<String>,
    /// The history.
    pub recorder: Recorder,
    /// The seed of all choices.
    pub seed: u64,
    /// Tells the ids of this run from those of others.
    pub run: u64,
    /// How many senders, and how fast each.
    pub load: Load,
    /// Held by whoever has taken votes, until they are given back.
    pub votes: Arc<Mutex<()>>,
    ended: Cell<bool>,
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Processes that send.
    pub senders: u32,
    /// Processes that receive.
    pub receivers: u32,
    /// The mean pause of a sender between two requests.
    pub pause: Duration,
}

impl Default for Load {
    fn default() -> Load {
        Load { senders: 5, receivers: 4, pause: Duration::from_millis(15) }
    }
}

impl Load {
    /// What each of so many kinds of work does when they share it, at least one process each.
    pub fn shared_by(self, kinds: usize) -> Load {
        let part = |processes: u32| processes.div_ceil(kinds.max(1) as u32);
        Load { senders: part(self.senders), receivers: part(self.receivers), ..self }
    }
}

impl Arena {
    /// An arena in which nothing happened yet.
    pub fn new(addresses: Vec<String>, seed: u64, run: u64, load: Load) -> Rc<Arena> {
        let recorder = Recorder::new();
        let (votes, ended) = (Arc::default(), Cell::new(false));
        Rc::new(Arena { addresses, recorder, seed, run, load, votes, ended })
    }

    /// Asks all processes to end after the call that they are in.
    pub fn end(&self) {
        self.ended.set(true);
    }

    /// Whether processes go on.
    pub fn goes_on(&self) -> bool {
        !self.ended.get()
    }

    /// A new process: its number, its client, its choices.
    pub fn process(&self, role: &str) -> Process {
        let number = self.recorder.process();
        let id = format!("jepsen-{:x}-{role}-{number}", self.run);
        let client = Client::new(&id, &self.addresses, number as usize);
        let choices =
            StdRng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)));
        Process { number, client, choices }
    }
}

/// One logical process.
#[derive(Debug)]
pub struct Process {
    /// Its number in the history.
    pub number: u32,
    /// Its client.
    pub client: Client,
    /// Its choices.
    pub choices: StdRng,
}

impl Process {
    /// True so many times out of a hundred.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.choices.random_range(0..100) < percent
    }

    /// A duration from `low` to `high` milliseconds.
    pub fn between_ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.choices.random_range(low..=high))
    }

    /// Pauses, `mean` on the average: mostly shorter, now and then several times as long.
    pub async fn pause(&mut self, mean: Duration) {
        let uniform: f64 = self.choices.random_range(0.001..1.0);
        let pause = mean.mul_f64((-uniform.ln()).min(6.0));
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workload_reads_it_makes() {
        for workload in Workload::ALL {
            let needs = workload.needs();
            assert!(!needs.topics.is_empty(), "{workload:?} needs no topic");
            for subscription in &needs.subscriptions {
                assert!(
                    needs.topics.iter().any(|topic| topic.name == subscription.topic)
                        && needs.groups.iter().any(|group| group.name == subscription.group),
                    "{workload:?} reads {subscription:?}, which nobody makes"
                );
            }
        }
    }

    #[tokio::test]
    async fn the_same_seed_makes_the_same_choices() {
        let choices = |seed| {
            let arena = Arena::new(vec!["127.0.0.1:1".into()], seed, 1, Load::default());
            let mut process = arena.process("x");
            (0..8).map(|_| process.choices.random::<u32>()).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }
}
