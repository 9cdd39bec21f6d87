//! A cluster that makes a snapshot every few messages.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::{ConsumerGroup, NodeInfo, StartFrom, Topic, TopicType};
use raft::features::FeatureLevel;
use raft::hash::hash64;
use raft::names::{GroupId, NodeId, QueueKey};
use raft::node::{DiskMarks, Node, NodeOptions, ReplicaStatus, Tuning};
use raft::request::{Delivered, Extras, Filter, NewConsumer, NewTopic, Publish, Receive, TopicRules};
use store::record::MessageRecord;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::own_address::members;

pub const PATIENCE: Duration = Duration::from_secs(60);
/// The broker group of these tests.
pub const GROUP: GroupId = GroupId(1);
/// Between two looks at something that nobody announces.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

pub struct Cluster {
    dir: TempDir,
    members: Vec<NodeInfo>,
    nodes: Vec<Option<Node>>,
    tuning: Tuning,
}

impl Cluster {
    pub async fn start(size: u64, snapshot_log_bytes: u64) -> Cluster {
        Cluster::start_with(size, |tuning| tuning.snapshot_log_bytes = snapshot_log_bytes).await
    }

    pub async fn start_with(size: u64, change: impl FnOnce(&mut Tuning)) -> Cluster {
        let mut tuning = Tuning {
            segment_bytes: 1 << 20,
            tail_cache_bytes: 256 << 10,
            snapshot_entries_kept: 4,
            disk: DiskMarks::never(),
            ..Tuning::default()
        };
        change(&mut tuning);
        // `RUST_LOG=debug` shows what the nodes do.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let mut cluster = Cluster::unstarted(size, tuning);
        cluster.start_all().await;
        cluster
    }

    /// A cluster that nobody has started.
    pub fn unstarted(size: u64, tuning: Tuning) -> Cluster {
        let dir = tempfile::tempdir().expect("a directory");
        Cluster { dir, members: members(size), nodes: vec![None; size as usize], tuning }
    }

    pub async fn start_all(&mut self) {
        for id in 1..=self.members.len() as u64 {
            self.start_node(id).await;
        }
        for node in self.nodes.iter().flatten() {
            node.ready(soon()).await.expect("a leader for each group");
        }
    }

    pub fn members(&self) -> &[NodeInfo] {
        &self.members
    }

    pub fn tuning(&self) -> Tuning {
        self.tuning.clone()
    }

    pub fn options(&self, id: u64) -> NodeOptions {
        NodeOptions {
            cluster: "test".to_owned(),
            id: NodeId(id),
            members: self.members.clone(),
            seeds: Vec::new(),
            peer_bind: self.members[id as usize - 1].peer.parse().expect("an address"),
            data: self.dir.path().join(id.to_string()),
            broker_groups: 1,
            transaction_checks: Default::default(),
            reads_up_to: FeatureLevel::NEWEST,
            tls: Default::default(),
            tuning: self.tuning.clone(),
        }
    }

    pub async fn start_node(&mut self, id: u64) {
        let node = Node::start(self.options(id)).await.expect("the node starts");
        self.nodes[id as usize - 1] = Some(node);
    }

    pub async fn stop(&mut self, id: u64) {
        let node = self.nodes[id as usize - 1].take().expect("the node runs");
        node.drain(soon()).await;
    }

    pub fn node(&self, id: u64) -> &Node {
        self.nodes[id as usize - 1].as_ref().expect("the node runs")
    }

    pub fn group_dir(&self, id: u64, group: GroupId) -> PathBuf {
        self.dir.path().join(id.to_string()).join("groups").join(group.to_string())
    }

    pub fn leader(&self, group: GroupId) -> u64 {
        self.nodes.iter().flatten().next().and_then(|node| node.leader_of(group)).expect("a leader").0
    }

    pub async fn replica(&self, asked: u64, id: u64, group: GroupId) -> Option<ReplicaStatus> {
        let status = self.node(asked).status().await;
        let group = status.groups.into_iter().find(|status| status.group == group)?;
        group.replicas.into_iter().find(|replica| replica.node == NodeId(id))
    }

    /// Looks at a replica until it is as it should be.
    pub async fn until(
        &self,
        what: &str,
        id: u64,
        group: GroupId,
        fits: impl Fn(&ReplicaStatus) -> bool,
    ) -> ReplicaStatus {
        let deadline = soon();
        loop {
            let replica = self.replica(id, id, group).await;
            if let Some(replica) = replica.clone().filter(&fits) {
                return replica;
            }
            assert!(Instant::now() < deadline, "{what}: {replica:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until two replicas have applied the same, and compares what they then hold (rule R4).
    pub async fn same_digest(&self, one: u64, other: u64, group: GroupId) {
        let deadline = soon();
        loop {
            let first = self.node(one).replica_digest(group).await.expect("a digest");
            let second = self.node(other).replica_digest(group).await.expect("a digest");
            if first.0 == second.0 {
                assert_eq!(first, second, "replicas at the same index hold the same");
                return;
            }
            assert!(Instant::now() < deadline, "one is at {}, the other one at {}", first.0, second.0);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn topic(&self, id: u64, name: &str) -> Topic {
        let topic = NewTopic {
            name: name.to_owned(),
            kind: TopicType::Normal,
            queues: 1,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.node(id).create_topic(topic, soon()).await.expect("the topic is made")
    }

    pub async fn consumer(&self, id: u64, name: &str) -> ConsumerGroup {
        let consumer = NewConsumer {
            name: name.to_owned(),
            fifo: false,
            max_attempts: 16,
            start: StartFrom::First,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.node(id).create_consumer(consumer, soon()).await.expect("the consumer group is made")
    }

    /// Sends messages of 4 KiB, ten in a call.
    pub async fn send(&self, id: u64, topic: &Topic, numbers: std::ops::Range<u64>) {
        let all: Vec<u64> = numbers.collect();
        for some in all.chunks(10) {
            let batch = some.iter().map(|number| message(topic, *number)).collect();
            for published in self.node(id).publish(batch, soon()).await {
                assert!(!published.expect("committed").duplicate, "each message is sent once");
            }
        }
    }

    /// Sends until the log's beginning was given up: a snapshot that is late finds nothing behind it that could go. How
    /// many messages there are then.
    pub async fn send_until_purged(&self, id: u64, topic: &Topic) -> u64 {
        let (mut sent, deadline) = (0, soon());
        loop {
            self.send(id, topic, sent..sent + 60).await;
            sent += 60;
            let replica = self.replica(id, id, GROUP).await;
            if replica.as_ref().is_some_and(|replica| replica.first_index > 0) {
                return sent;
            }
            assert!(Instant::now() < deadline, "nothing is purged: {replica:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

pub fn body(number: u64) -> Bytes {
    let byte = (number % 251) as u8;
    let mut body = format!("message {number} ").into_bytes();
    body.resize(4096, byte);
    body.into()
}

pub fn message(topic: &Topic, number: u64) -> Publish {
    let id = format!("m{number}");
    let record = MessageRecord {
        topic: topic.name.clone(),
        message_id: id.clone(),
        body: body(number),
        ..MessageRecord::default()
    };
    Publish {
        queue: QueueKey { topic: topic.id, number: 0 },
        group: topic.queues[0],
        dedup: u128::from(hash64(id.as_bytes())) << 64 | u128::from(number),
        tag_hash: 0,
        order_hash: 0,
        extras: Extras::default(),
        record: record.encode(),
    }
}

/// A receive of up to `max` messages, leased for ten minutes.
pub fn receive_of(topic: &Topic, consumer: &ConsumerGroup, max: u16, attempt: u64) -> Receive {
    Receive {
        consumer: consumer.id,
        topic: topic.id,
        group: GROUP,
        queues: vec![0],
        max,
        invisible_ms: 600_000,
        fifo: false,
        auto_renew: false,
        client: 7,
        attempt,
        filter: Filter::All,
        max_attempts: consumer.max_attempts,
        start: consumer.start,
        dead_letters: QueueKey { topic: consumer.dead_letters, number: 0 },
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

/// Leases up to `max` messages for ten minutes.
pub async fn lease(
    node: &Node,
    topic: &Topic,
    consumer: &ConsumerGroup,
    max: u16,
    attempt: u64,
) -> Vec<Delivered> {
    let wait = Instant::now() + Duration::from_millis(100);
    node.receive(receive_of(topic, consumer, max, attempt), wait, soon()).await.expect("a batch")
}

/// Reads and settles messages until there are no more, and checks every body.
pub async fn read_all(node: &Node, topic: &Topic, consumer: &ConsumerGroup, numbers: std::ops::Range<u64>) {
    let mut due = numbers;
    let mut attempt = 1_000;
    while !due.is_empty() {
        attempt += 1;
        let batch = lease(node, topic, consumer, 32, attempt).await;
        assert!(!batch.is_empty(), "messages are missing from {} on", due.start);
        for delivered in &batch {
            let record = MessageRecord::decode(&delivered.record).expect("a record");
            let number = due.next().expect("no more messages than were sent");
            assert_eq!(record.message_id, format!("m{number}"));
            assert_eq!(record.body, body(number), "the body of message {number}");
        }
        let receipts = batch.iter().map(|delivered| delivered.receipt).collect();
        for settled in node.acknowledge(receipts, soon()).await {
            settled.expect("the lease is live");
        }
    }
}
