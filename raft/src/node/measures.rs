//! What a node has counted, and how its groups stand, in one picture for the metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;

use crate::group::Group;
use crate::group::counters::{FINISH_BOUNDS_MS, TRANSACTION_FIELDS};
use crate::group::replica::Replica;
use crate::machine::MachineSizes;
use crate::measure::{Counted, Distribution, tally};
use crate::names::{GroupId, NodeId, TopicId};
use crate::node::lag::LagReport;
use crate::node::route::Leader;
use crate::node::{Node, NodeInner};

/// How commands and requests found their leaders.
#[derive(Clone, Debug, Default)]
pub struct Routed {
    /// Commands that went into the log of a group that this node led.
    pub commands_here: u64,
    /// Commands that went to another node.
    pub commands_forwarded: u64,
    /// Requests that wait now for somebody to lead.
    pub waiting_for_leader: u64,
    /// How long requests waited for that, those only that had to. In microseconds.
    pub leader_waits_us: Distribution,
}

/// The transactions of a topic that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionMeasures {
    /// With a commit.
    pub committed: u64,
    /// With a rollback.
    pub rolled_back: u64,
    /// Because nobody ended them in time.
    pub given_up: u64,
    /// How long commits took, from the half message on, in milliseconds.
    pub commit_ms: Distribution,
}

/// What the machine of a broker group holds, and what became of it.
#[derive(Clone, Debug, Default)]
pub struct BrokerMeasures {
    /// How much there is.
    pub sizes: MachineSizes,
    /// For how long messages have been due, in milliseconds; 0 if none is.
    pub overdue_ms: u64,
    /// Half messages by topic.
    pub halves: Vec<(TopicId, u64)>,
}

/// How this node's replica of a group stands.
#[derive(Clone, Debug)]
pub struct GroupMeasures {
    /// The group.
    pub group: GroupId,
    /// Whether this node leads it.
    pub leads: bool,
    /// Whether somebody that can be reached leads it, and reaches a quorum, as far as this node knows.
    pub is_led: bool,
    /// The term.
    pub term: u64,
    /// Terms that began since this process did.
    pub elections: u64,
    /// Nodes that vote.
    pub voters: usize,
    /// Index of the log's last entry.
    pub last: u64,
    /// Of the last entry known to be committed.
    pub committed: u64,
    /// Of the last entry that is in the tables.
    pub applied: u64,
    /// Of the last entry that is fsynced here.
    pub durable: u64,
    /// Of the last entry of the snapshot.
    pub snapshot: u64,
    /// By how many entries each follower is behind, if this node leads.
    pub followers: Vec<(NodeId, u64)>,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// Bytes of log in memory.
    pub cached_bytes: u64,
    /// Commands that wait to be put into a frame.
    pub proposals: u64,
    /// How long syncs took, in microseconds.
    pub sync_us: Distribution,
    /// How many frames a sync made durable.
    pub sync_frames: Distribution,
    /// And how many bytes.
    pub sync_bytes: Distribution,
    /// What a broker group holds; `meta` holds no messages.
    pub broker: Option<BrokerMeasures>,
    /// How late timers were, in milliseconds.
    pub timer_lateness_ms: Distribution,
    /// Dead letters by topic and consumer group (see [`tally::pair`]).
    pub dead_letters: Counted<1>,
    /// Transactions by topic; the last one, without a topic, stands for all that have no count of their own.
    pub transactions: Vec<(Option<TopicId>, TransactionMeasures)>,
}

/// One picture of a node.
#[derive(Clone, Debug)]
pub struct Measures {
    /// Nodes of the cluster, whether they live or not.
    pub members: usize,
    /// How requests found their leaders.
    pub routed: Routed,
    /// Every group.
    pub groups: Vec<GroupMeasures>,
    /// How far consumer groups are behind in groups that this node leads.
    pub lag: Arc<LagReport>,
}

fn transactions(counted: Counted<TRANSACTION_FIELDS>) -> Vec<(Option<TopicId>, TransactionMeasures)> {
    let measures = |fields: [u64; TRANSACTION_FIELDS]| TransactionMeasures {
        committed: fields[0],
        rolled_back: fields[1],
        given_up: fields[2],
        commit_ms: Distribution {
            bounds: &FINISH_BOUNDS_MS,
            counts: fields[3..TRANSACTION_FIELDS - 1].to_vec(),
            sum: fields[TRANSACTION_FIELDS - 1],
        },
    };
    let topic = |key| Some(TopicId(tally::pair(key).0));
    let mut all: Vec<_> =
        counted.names.into_iter().map(|(key, fields)| (topic(key), measures(fields))).collect();
    all.push((None, measures(counted.others)));
    all
}

fn broker_measures(group: &Group) -> Option<BrokerMeasures> {
    let replica = group.replica();
    let Replica::Broker(machine) = &*replica else { return None };
    let now_ms = crate::clock::now_ms();
    Some(BrokerMeasures {
        sizes: machine.sizes(),
        overdue_ms: machine.next_due_ms().map_or(0, |due_ms| now_ms.saturating_sub(due_ms)),
        halves: machine.half_counts().iter().map(|(topic, count)| (*topic, *count)).collect(),
    })
}

impl NodeInner {
    fn group_measures(&self, group: &Group) -> GroupMeasures {
        // Before the borrow: see `status.rs`.
        let voters = group.raft.voter_ids().count();
        let broker = broker_measures(group);
        let pointers = group.store.log().pointers();
        let counters = &group.counters;
        let metrics = group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let last = metrics.last_log_index.unwrap_or(0);
        let leads = metrics.state == ServerState::Leader;
        let is_led = match self.leader(group.id) {
            Leader::Here => self.hears_a_quorum(voters, &metrics),
            Leader::At(id) => self.presence.is_up(id),
            Leader::Nobody => false,
        };
        let replication = metrics.replication.iter().flatten().filter(|_| leads);
        let behind = |matched: Option<u64>| last.saturating_sub(matched.unwrap_or(0));
        GroupMeasures {
            group: group.id,
            leads,
            is_led,
            term: metrics.current_term,
            elections: metrics.current_term.saturating_sub(counters.first_term.load(Ordering::Relaxed)),
            voters,
            last,
            committed: metrics.local_committed.as_ref().map_or(0, |id| id.index),
            applied: metrics.last_applied.as_ref().map_or(0, |id| id.index),
            durable: pointers.durable_index.unwrap_or(0),
            snapshot: group.dirs.current().map_or(0, |snapshot| snapshot.meta().last.index),
            followers: replication
                .filter(|(node, _)| **node != self.id.0)
                .map(|(node, matched)| (NodeId(*node), behind(matched.as_ref().map(|id| id.index))))
                .collect(),
            log_bytes: pointers.next_position.0.saturating_sub(pointers.oldest_position.0),
            cached_bytes: group.store.log().cached_bytes(),
            proposals: group.proposer.waiting() as u64,
            sync_us: counters.syncs.time.read(),
            sync_frames: counters.syncs.frames.read(),
            sync_bytes: counters.syncs.bytes.read(),
            broker,
            timer_lateness_ms: counters.timer_lateness.read(),
            dead_letters: counters.dead_letters.read(),
            transactions: transactions(counters.transactions.read()),
        }
    }
}

impl Node {
    /// What this node has counted, and how its groups stand.
    pub async fn measures(&self) -> Measures {
        let lag = self.inner.lags().await;
        let inner = &self.inner;
        Measures {
            members: inner.members.known().len(),
            routed: inner.counters.read(),
            groups: inner.groups.values().map(|group| inner.group_measures(group)).collect(),
            lag,
        }
    }

    /// How long syncs of this node's logs took, all of its groups together, in microseconds.
    pub fn sync_times(&self) -> Distribution {
        let groups = self.inner.groups.values();
        groups.fold(Distribution::default(), |sum, group| sum.with(&group.counters.syncs.time.read()))
    }

    /// How far consumer groups are behind in groups that this node leads, as of a moment ago.
    pub async fn lags(&self) -> Arc<LagReport> {
        self.inner.lags().await
    }

    /// How many messages went by retention before a consumer group got them, by proposals of this node.
    pub fn messages_skipped(&self) -> u64 {
        self.inner.messages_skipped.load(Ordering::Relaxed)
    }

    /// How many messages were passed over because their time to live was over, in groups that this node led.
    pub fn messages_expired(&self) -> u64 {
        self.inner.groups.values().map(|group| group.counters.expired()).sum()
    }

    /// Lets go of counts of topics that are gone, where room is short.
    pub fn forget_counts(&self, gone: impl Fn(TopicId) -> bool) {
        for group in self.inner.groups.values() {
            group.counters.dead_letters.forget(|key| gone(TopicId(tally::pair(key).0)));
            group.counters.transactions.forget(|key| gone(TopicId(tally::pair(key).0)));
        }
    }
}
