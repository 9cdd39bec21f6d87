//! A cluster, and what its tests send and receive.

use std::time::Duration;

use bytes::Bytes;
use raft::catalog::{ConsumerGroup, NodeInfo, StartFrom, Topic, TopicType};
use raft::features::FeatureLevel;
use raft::hash::hash64;
use raft::names::{GroupId, NodeId, QueueKey};
use raft::node::{DiskMarks, Node, NodeOptions, Tuning};
use raft::request::{
    Delivered, Extras, Filter, NewConsumer, NewTopic, Publish, Receive, RequestError, TopicRules,
};
use raft::tls::PeerTls;
use store::record::MessageRecord;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::own_address::members;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

pub struct Cluster {
    pub dir: TempDir,
    members: Vec<NodeInfo>,
    pub nodes: Vec<Option<Node>>,
    broker_groups: u32,
    /// By node; none: plaintext.
    pub tls: Vec<PeerTls>,
}

impl Cluster {
    pub async fn start(size: u64, broker_groups: u32) -> Cluster {
        let mut cluster = Cluster::of(size, broker_groups);
        for id in 1..=size {
            cluster.start_node(id).await;
        }
        for node in cluster.nodes.iter().flatten() {
            node.ready(soon()).await.expect("a leader for each group");
        }
        cluster
    }

    /// Of which no node runs yet.
    pub fn of(size: u64, broker_groups: u32) -> Cluster {
        // `RUST_LOG=debug` shows what the nodes do.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let members = members(size);
        let dir = tempfile::tempdir().expect("a directory");
        Cluster { dir, members, nodes: vec![None; size as usize], broker_groups, tls: Vec::new() }
    }

    pub fn options(&self, id: u64) -> NodeOptions {
        NodeOptions {
            cluster: "test".to_owned(),
            id: NodeId(id),
            members: self.members.clone(),
            seeds: Vec::new(),
            peer_bind: self.members[id as usize - 1].peer.parse().expect("an address"),
            data: self.dir.path().join(id.to_string()),
            broker_groups: self.broker_groups,
            tuning: Tuning { segment_bytes: 8 << 20, disk: DiskMarks::never(), ..Tuning::default() },
            transaction_checks: Default::default(),
            reads_up_to: FeatureLevel::NEWEST,
            tls: self.tls.get(id as usize - 1).cloned().unwrap_or_default(),
        }
    }

    /// `host:port` of a node's peer port.
    pub fn peer_address(&self, id: u64) -> String {
        self.members[id as usize - 1].peer.clone()
    }

    pub async fn start_node(&mut self, id: u64) {
        self.nodes[id as usize - 1] = Some(Node::start(self.options(id)).await.expect("the node starts"));
    }

    pub fn node(&self, id: u64) -> &Node {
        self.nodes[id as usize - 1].as_ref().expect("the node runs")
    }

    pub fn any(&self) -> &Node {
        self.nodes.iter().flatten().next().expect("a node runs")
    }

    pub async fn stop(&mut self, id: u64) {
        let node = self.nodes[id as usize - 1].take().expect("the node runs");
        node.drain(soon()).await;
    }

    pub async fn topic(&self, name: &str, kind: TopicType, queues: u32) -> Topic {
        let topic = NewTopic {
            name: name.to_owned(),
            kind,
            queues,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.any().create_topic(topic, soon()).await.expect("the topic is made")
    }

    pub async fn consumer(&self, name: &str, fifo: bool) -> ConsumerGroup {
        let consumer = NewConsumer {
            name: name.to_owned(),
            fifo,
            max_attempts: 16,
            start: StartFrom::First,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.any().create_consumer(consumer, soon()).await.expect("the consumer group is made")
    }
}

pub fn message(topic: &Topic, number: u32, id: &str, order: Option<&str>) -> Publish {
    let record = MessageRecord {
        topic: topic.name.clone(),
        message_id: id.to_owned(),
        message_group: order.map(str::to_owned),
        body: Bytes::from(format!("body of {id}")),
        ..MessageRecord::default()
    };
    Publish {
        queue: QueueKey { topic: topic.id, number },
        group: topic.queues[number as usize],
        dedup: (u128::from(hash64(id.as_bytes())) << 64) | u128::from(hash64(id.to_uppercase().as_bytes())),
        tag_hash: 0,
        order_hash: order.map_or(0, |order| hash64(order.as_bytes())),
        extras: Extras::default(),
        record: record.encode(),
    }
}

pub fn receive(topic: &Topic, consumer: &ConsumerGroup, group: GroupId, attempt: u64) -> Receive {
    Receive {
        consumer: consumer.id,
        topic: topic.id,
        group,
        queues: topic.queues_of(group).map(|queue| queue.number).collect(),
        max: 32,
        invisible_ms: 30_000,
        fifo: consumer.fifo,
        auto_renew: false,
        client: 7,
        attempt,
        filter: Filter::All,
        max_attempts: consumer.max_attempts,
        start: consumer.start,
        dead_letters: QueueKey { topic: consumer.dead_letters, number: group.0 - 1 },
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

pub fn id_of(delivered: &Delivered) -> String {
    MessageRecord::decode(&delivered.record).expect("a record").message_id
}

/// Receives and settles until `count` messages have come.
pub async fn drain(node: &Node, topic: &Topic, consumer: &ConsumerGroup, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let deadline = soon();
    let mut attempt = 1;
    while ids.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} messages came", ids.len());
        for group in topic.groups() {
            attempt += 1;
            let request = receive(topic, consumer, group, attempt);
            let wait = Instant::now() + Duration::from_millis(50);
            let batch = node.receive(request, wait, deadline).await.expect("a batch");
            ids.extend(batch.iter().map(id_of));
            let receipts = batch.iter().map(|delivered| delivered.receipt).collect();
            for settled in node.acknowledge(receipts, deadline).await {
                settled.expect("the lease is live");
            }
        }
    }
    ids
}

/// Publishes one message: its offset.
pub async fn publish(node: &Node, topic: &Topic, id: &str, deadline: Instant) -> Result<u64, RequestError> {
    let answers = node.publish(vec![message(topic, 0, id, None)], deadline).await;
    answers
        .into_iter()
        .next()
        .expect("an answer for each message")
        .map(|published| published.offset().expect("it is visible at once").0)
}
