//! One node: a replica of `meta` and of broker groups, and the way to whoever leads each.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::{Catalog, ConsumerGroup, NodeInfo, StartFrom, Topic, TopicType};
use crate::names::{ConsumerId, GroupId, NodeId, QueueKey};
use crate::request::{
    Delivered, NewConsumer, NewTopic, Publish, Published, QueueState, Receipt, Receive, RequestError,
};

/// What a node is told at start.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The cluster's name; a peer of another cluster is refused.
    pub cluster: String,
    /// This node.
    pub id: NodeId,
    /// Every node of the cluster at its first start, this one included.
    pub members: Vec<NodeInfo>,
    /// Where this node's peer port listens.
    pub peer_bind: SocketAddr,
    /// Where everything is kept.
    pub data: PathBuf,
    /// How many broker groups the cluster begins with.
    pub broker_groups: u32,
    /// Raft's timing and the log's sizes.
    pub tuning: Tuning,
}

/// Timing and sizes. The defaults aim at a healthy local network.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// A follower campaigns after a silence between this and twice this.
    pub election_timeout: Duration,
    /// Size of a log segment.
    pub segment_bytes: u64,
    /// How many of the last bytes of a log stay in memory.
    pub tail_cache_bytes: usize,
    /// Memory of a group's tables: cache and memtables together.
    pub table_memory_bytes: usize,
}

/// Where one replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The node that holds it.
    pub node: NodeId,
    /// `leader`, `follower`, `candidate` or `learner`.
    pub role: &'static str,
    /// Index of the last entry of its log.
    pub last_index: u64,
    /// Index of the last entry applied.
    pub applied_index: u64,
    /// Index of the last entry that is fsynced.
    pub durable_index: u64,
}

/// Where one group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// Its leader, if it has one.
    pub leader: Option<NodeId>,
    /// The newest term seen.
    pub term: u64,
    /// The newest index known to be committed.
    pub committed: u64,
    /// The replicas that answered.
    pub replicas: Vec<ReplicaStatus>,
}

/// Where the cluster stands, as far as this node can reach it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Every node, whether it answered, and its process id if it did.
    pub nodes: Vec<(NodeInfo, bool, u32)>,
    /// Every group.
    pub groups: Vec<GroupStatus>,
}

/// A handle to this node. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    // Skeleton: the real fields come with the node's own commit.
}

impl Node {
    /// Opens the data, joins the peers, and returns when this node's groups are running (not
    /// necessarily led). The receiver inside [`Node::failed`] fires when the node must stop.
    pub async fn start(_options: NodeOptions) -> anyhow::Result<Node> {
        todo!()
    }
    /// This node's id.
    pub fn id(&self) -> NodeId {
        todo!()
    }
    /// What `meta` holds, as far as this node has applied it.
    pub fn catalog(&self) -> Arc<Catalog> {
        todo!()
    }
    /// Fires after every change of the catalog, with its version.
    pub fn catalog_changes(&self) -> watch::Receiver<u64> {
        todo!()
    }
    /// The nodes that are reachable now, this one included, ascending by id. Changes fire the receiver.
    pub fn live_nodes(&self) -> watch::Receiver<Arc<Vec<NodeInfo>>> {
        todo!()
    }
    /// The leader of a group as this node sees it.
    pub fn leader_of(&self, _group: GroupId) -> Option<NodeId> {
        todo!()
    }
    /// Waits until every group has a leader that serves, as this node sees it.
    pub async fn ready(&self, _deadline: Instant) -> Result<(), RequestError> {
        todo!()
    }
    /// Resolves with a sentence when a disk failed or a group stopped: the process must exit.
    pub async fn failed(&self) -> String {
        todo!()
    }

    /// Makes a topic.
    pub async fn create_topic(&self, _topic: NewTopic, _deadline: Instant) -> Result<Topic, RequestError> {
        todo!()
    }
    /// Changes a topic's type, or widens it.
    pub async fn update_topic(
        &self,
        _name: &str,
        _kind: Option<TopicType>,
        _queues: Option<u32>,
        _deadline: Instant,
    ) -> Result<Topic, RequestError> {
        todo!()
    }
    /// Deletes a topic and its queues.
    pub async fn delete_topic(&self, _name: &str, _deadline: Instant) -> Result<(), RequestError> {
        todo!()
    }
    /// Makes a consumer group and its dead-letter topic.
    pub async fn create_consumer(
        &self,
        _consumer: NewConsumer,
        _deadline: Instant,
    ) -> Result<ConsumerGroup, RequestError> {
        todo!()
    }
    /// Deletes a consumer group and what it has read.
    pub async fn delete_consumer(&self, _name: &str, _deadline: Instant) -> Result<(), RequestError> {
        todo!()
    }

    /// Puts messages into the log, one answer for each, in order. Waits out elections until the
    /// deadline; a repeated proposal is told apart by its message id.
    pub async fn publish(
        &self,
        _messages: Vec<Publish>,
        _deadline: Instant,
    ) -> Vec<Result<Published, RequestError>> {
        todo!()
    }
    /// Leases messages. Answers at once if there are some, else waits for one until `wait_until`;
    /// then the answer is empty.
    pub async fn receive(
        &self,
        _receive: Receive,
        _wait_until: Instant,
        _deadline: Instant,
    ) -> Result<Vec<Delivered>, RequestError> {
        todo!()
    }
    /// Waits until a receive would find something, or until `wait_until`. Leases nothing.
    pub async fn wait_ready(&self, _receive: &Receive, _wait_until: Instant) -> Result<bool, RequestError> {
        todo!()
    }
    /// Settles leases: one answer for each, in order.
    pub async fn acknowledge(
        &self,
        _receipts: Vec<Receipt>,
        _deadline: Instant,
    ) -> Vec<Result<(), RequestError>> {
        todo!()
    }
    /// Ends a lease `invisible_ms` from now and answers with the receipt that is valid from now on.
    pub async fn change_lease(
        &self,
        _receipt: Receipt,
        _invisible_ms: u64,
        _deadline: Instant,
    ) -> Result<Receipt, RequestError> {
        todo!()
    }
    /// Moves a leased message to the dead letters.
    pub async fn dead_letter(
        &self,
        _receipt: Receipt,
        _dead_letters: QueueKey,
        _deadline: Instant,
    ) -> Result<(), RequestError> {
        todo!()
    }
    /// Ends every lease that a client holds: its messages are visible at once.
    pub async fn release_client(&self, _client: u64, _deadline: Instant) -> Result<(), RequestError> {
        todo!()
    }
    /// Says that a client is online on this node; leases with `auto_renew` live on that. Soft state.
    pub fn client_seen(&self, _client: u64) {
        todo!()
    }
    /// Says that a client is gone.
    pub fn client_gone(&self, _client: u64) {
        todo!()
    }
    /// Moves a consumer group in every queue of a topic.
    pub async fn reset_offset(
        &self,
        _consumer: ConsumerId,
        _topic: &Topic,
        _to: StartFrom,
        _deadline: Instant,
    ) -> Result<(), RequestError> {
        todo!()
    }
    /// How the queues of a topic stand, by queue number, and how the consumer group stands in them.
    pub async fn queue_states(
        &self,
        _topic: &Topic,
        _consumer: Option<ConsumerId>,
        _deadline: Instant,
    ) -> Result<Vec<QueueState>, RequestError> {
        todo!()
    }

    /// Where the cluster stands: asks every node.
    pub async fn status(&self) -> ClusterStatus {
        todo!()
    }
    /// Hands the leadership of a group on, from wherever it is, and waits until that is seen.
    pub async fn transfer_leader(
        &self,
        _group: GroupId,
        _to: Option<NodeId>,
        _deadline: Instant,
    ) -> Result<NodeId, RequestError> {
        todo!()
    }
    /// Hands every leadership on, finishes what is in flight, and stops. For SIGTERM.
    pub async fn drain(&self, _deadline: Instant) {
        todo!()
    }
}
