//! One node: a replica of `meta` and of broker groups, and the way to whoever leads each.

mod access;
mod ask;
mod backup;
mod clearing;
mod clients;
mod counters;
mod data_lock;
mod dead_letters;
mod digest;
mod doubt;
mod edges;
mod elsewhere;
mod entrance;
mod failover;
pub(crate) mod failure;
mod find;
mod find_dead;
mod flow;
mod forward;
mod founding;
mod groups;
mod held;
mod identity;
mod lag;
mod lasting;
mod lifecycle;
mod lite_idle;
mod measures;
mod members;
mod metadata;
mod moves;
mod nodes;
mod options;
pub(crate) mod peers;
mod places;
mod presence;
mod publish;
mod pull;
mod receive;
mod rejoin;
mod releases;
mod replicas;
mod respread;
mod retention;
mod route;
mod server;
mod settle;
mod sizes;
mod space;
mod spans;
mod stall;
mod status;
mod story;
mod tick;
mod timekeeping;
mod timers;
mod transactions;
mod upgrade;
mod voters;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use backup::{CopyError, LogStretch, ReplicaCopy};
pub use clients::Clients;
pub(crate) use data_lock::lock as lock_data;
pub use digest::ReplicaDigest;
pub use edges::EdgeHandler;
pub use find::{FoundMessage, MessagePage, MessageQuery};
pub use lag::{Lag, LagReport};
pub use lifecycle::StartError;
pub use measures::{BrokerMeasures, GroupMeasures, Measures, Routed, TransactionMeasures};
pub use moves::Move;
pub use nodes::Removal;
pub use options::{DiskMarks, NodeOptions, Retention, Tuning};
pub use space::{DiskLevel, DiskStatus};
pub use status::{ClusterStatus, GroupStatus, NodeStatus, ProgramStatus, ReplicaStatus};
pub use timers::{Waiting, WaitingMessage};
pub use transactions::{HalfMessage, TransactionChecks};
pub use voters::VoterChange;

use crate::catalog::{Catalog, ConsumerGroup, NodeInfo, Topic, TopicType};
use crate::command;
use crate::consensus::snapshot::pace::Pace;
use crate::group::Group;
use crate::names::{GroupId, NodeId, QueueKey};
use crate::node::failure::Failure;
use crate::node::forward::Forwarder;
use crate::node::groups::Groups;
use crate::node::members::Members;
use crate::node::peers::PeerPool;
use crate::node::presence::Presence;
use crate::node::space::Space;
use crate::node::timekeeping::PeerClocks;
use crate::outcome::Outcome;
use crate::request::{
    DeadLetter, DeadLettersWanted, Delivered, NewConsumer, NewTopic, Receipt, Receive, Rejection,
    RequestError, ResendResult,
};
use crate::settings::{GroupChange, TopicSettings};
use crate::spans::SpanSink;

/// A handle to this node. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<NodeInner>,
}

pub(crate) struct NodeInner {
    pub(crate) id: NodeId,
    pub(crate) options: NodeOptions,
    pub(crate) groups: Groups,
    pub(crate) members: Members,
    pub(crate) peers: PeerPool,
    pub(crate) snapshot_pace: Arc<Pace>,
    pub(crate) forwarder: Forwarder,
    pub(crate) presence: Presence,
    pub(crate) paused: flow::Paused,
    pub(crate) edges: edges::Edges,
    /// The clocks of peers.
    pub(crate) clocks: PeerClocks,
    /// The clients of this node, once its client edge runs.
    pub(crate) clients: OnceLock<Weak<dyn Clients>>,
    /// Who takes the spans of traced requests, if anybody does.
    pub(crate) spans: OnceLock<Arc<dyn SpanSink>>,
    pub(crate) space: Space,
    /// Room for records that are being read and that nobody counts yet, in KiB.
    pub(crate) reading: tokio::sync::Semaphore,
    /// Held while a replica's rows are read for a digest: one at a time.
    pub(crate) digesting: Arc<tokio::sync::Mutex<()>>,
    /// Messages that went by retention before a consumer group got them, as this node proposed.
    pub(crate) messages_skipped: AtomicU64,
    pub(crate) counters: counters::NodeCounters,
    pub(crate) catalog: watch::Receiver<Arc<Catalog>>,
    pub(crate) failure: Failure,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) stopping: AtomicBool,
    // A mutex, because tasks are added from several places; never held over an await.
    pub(crate) tasks: Mutex<JoinSet<()>>,
    // Held for as long as the node lives: nobody else may open this data.
    pub(crate) _lock: data_lock::DataLock,
}

impl NodeInner {
    pub(crate) fn group(&self, id: GroupId) -> Result<&Group, RequestError> {
        self.groups.get(id).ok_or_else(|| no_such_group(id))
    }

    /// Starts a task that ends when the node stops; [`Node::drain`] waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Resolves when the node stops.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            // The sender lives as long as the node: if it is gone, the node has stopped.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn no_such_group(id: GroupId) -> RequestError {
    RequestError::Rejected(Rejection::Invalid(format!("there is no broker group {id} in this cluster")))
}

/// What a command was answered, if that is not what its kind is answered with.
fn unexpected(outcome: Outcome) -> RequestError {
    match outcome {
        Outcome::Rejected(rejection) => RequestError::Rejected(rejection),
        other => RequestError::Unknown { reason: format!("the state machine answered {other:?}") },
    }
}

impl Node {
    /// Opens the data, joins the peers, and returns when this node's groups are running (not
    /// necessarily led).
    ///
    /// # Errors
    /// If the data is damaged, of another node, or in use, or an address cannot be had.
    pub async fn start(options: NodeOptions) -> Result<Node, StartError> {
        lifecycle::start(options).await
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.inner.id
    }

    /// The groups of the cluster, `meta` first, whether this node holds them or not.
    pub fn groups(&self) -> Vec<GroupId> {
        self.inner.all_groups()
    }

    /// What `meta` holds, as far as this node has applied it.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog.borrow().clone()
    }

    /// Fires after every change of the catalog.
    pub fn catalog_changes(&self) -> watch::Receiver<Arc<Catalog>> {
        self.inner.catalog.clone()
    }

    /// The nodes that answer, this one included, ascending by id; and its changes.
    pub fn live_nodes(&self) -> watch::Receiver<Arc<Vec<NodeInfo>>> {
        self.inner.presence.live()
    }

    /// Says how to reach the clients that are connected to this node, as long as somebody keeps that. The first call
    /// counts.
    pub fn set_clients(&self, clients: Weak<dyn Clients>) {
        let _ = self.inner.clients.set(clients);
    }

    /// The leader of a group as this node sees it.
    pub fn leader_of(&self, group: GroupId) -> Option<NodeId> {
        match self.inner.groups.get(group) {
            Some(group) => group.leader(),
            None => self.inner.groups.elsewhere.leader(group),
        }
    }

    /// Waits until every group has a leader that serves, as this node sees it.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] names the first group that has none at the deadline.
    pub async fn ready(&self, deadline: Instant) -> Result<(), RequestError> {
        self.inner.until_ready_to_serve(deadline).await
    }

    /// Resolves with a sentence when a disk failed or a group stopped: the process must exit.
    pub async fn failed(&self) -> String {
        self.inner.failure.told().await
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// [`Rejection::AlreadyExists`], unless `if_not_exists` is set.
    pub async fn create_topic(&self, topic: NewTopic, deadline: Instant) -> Result<Topic, RequestError> {
        self.inner.create_topic(topic, deadline).await
    }

    /// Changes a topic's type, widens it, or changes its other settings.
    ///
    /// # Errors
    /// [`Rejection::TopicNotFound`], or [`Rejection::Invalid`] for fewer queues than there are.
    pub async fn update_topic(
        &self,
        name: &str,
        kind: Option<TopicType>,
        queues: Option<u32>,
        settings: TopicSettings,
        deadline: Instant,
    ) -> Result<Topic, RequestError> {
        self.inner.update_topic(name, kind, queues, settings, deadline).await
    }

    /// Deletes a topic and its queues.
    ///
    /// # Errors
    /// [`Rejection::TopicNotFound`].
    pub async fn delete_topic(&self, name: &str, deadline: Instant) -> Result<(), RequestError> {
        self.inner.delete_topic(name, deadline).await
    }

    /// Makes a consumer group and its dead-letter topic.
    ///
    /// # Errors
    /// [`Rejection::AlreadyExists`], unless `if_not_exists` is set.
    pub async fn create_consumer(
        &self,
        consumer: NewConsumer,
        deadline: Instant,
    ) -> Result<ConsumerGroup, RequestError> {
        self.inner.create_consumer(consumer, deadline).await
    }

    /// Changes a consumer group.
    ///
    /// # Errors
    /// [`Rejection::ConsumerNotFound`], or [`Rejection::Invalid`] for settings that make no sense.
    pub async fn update_consumer(
        &self,
        name: &str,
        change: GroupChange,
        deadline: Instant,
    ) -> Result<ConsumerGroup, RequestError> {
        self.inner.update_consumer(name, change, deadline).await
    }

    /// Deletes a consumer group and what it has read.
    ///
    /// # Errors
    /// [`Rejection::ConsumerNotFound`].
    pub async fn delete_consumer(&self, name: &str, deadline: Instant) -> Result<(), RequestError> {
        self.inner.delete_consumer(name, deadline).await
    }

    /// Leases messages. Answers at once if there are some, else waits for one until `wait_until`;
    /// then the answer is empty.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if the group had no leader until the deadline.
    pub async fn receive(
        &self,
        receive: Receive,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Vec<Delivered>, RequestError> {
        self.inner.receive(receive, wait_until, deadline).await
    }

    /// Waits until a receive would find something, or until `wait_until`. Leases nothing.
    ///
    /// # Errors
    /// [`RequestError::Stopping`].
    pub async fn wait_ready(&self, receive: &Receive, wait_until: Instant) -> Result<bool, RequestError> {
        self.inner.wait_ready(receive, wait_until).await
    }

    /// Settles leases: one answer for each, in order.
    pub async fn acknowledge(
        &self,
        receipts: Vec<Receipt>,
        deadline: Instant,
    ) -> Vec<Result<(), RequestError>> {
        let by_group = receipts
            .iter()
            .map(|receipt| (receipt.group, command::encode_acknowledge(std::slice::from_ref(receipt))));
        let outcomes = self.inner.submit_by_group(by_group.collect(), deadline).await;
        outcomes
            .into_iter()
            .map(|outcome| match outcome? {
                Outcome::Acknowledged(mut settled) if settled.len() == 1 => {
                    settled.remove(0).map_err(RequestError::Rejected)
                }
                other => Err(unexpected(other)),
            })
            .collect()
    }

    /// Ends a lease `invisible_ms` from now and answers with the receipt that is valid from now on.
    ///
    /// # Errors
    /// [`Rejection::InvalidReceipt`].
    pub async fn change_lease(
        &self,
        receipt: Receipt,
        invisible_ms: u64,
        deadline: Instant,
    ) -> Result<Receipt, RequestError> {
        let command = command::encode_change_lease(&receipt, invisible_ms);
        match self.inner.submit(receipt.group, command, deadline).await? {
            Outcome::Changed { revision } => Ok(Receipt { revision, ..receipt }),
            other => Err(unexpected(other)),
        }
    }

    /// Moves a leased message to the dead letters.
    ///
    /// # Errors
    /// [`Rejection::InvalidReceipt`].
    pub async fn dead_letter(
        &self,
        receipt: Receipt,
        dead_letters: QueueKey,
        deadline: Instant,
    ) -> Result<(), RequestError> {
        let command = command::encode_dead_letter(&receipt, dead_letters);
        self.inner.submit_done(receipt.group, command, deadline).await
    }

    /// Dead letters in the order in which they came, as their leader knows them.
    ///
    /// # Errors
    /// If the group had no leader until the deadline.
    pub async fn dead_letters(
        &self,
        wanted: &DeadLettersWanted,
        deadline: Instant,
    ) -> Result<Vec<DeadLetter>, RequestError> {
        self.inner.dead_letters(wanted, deadline).await
    }

    /// Puts dead letters back into the queues that they came from, each once however often it is asked for: one
    /// answer for each, in order. At most [`crate::limits::RESEND_MAX`].
    ///
    /// # Errors
    /// If the group had no leader until the deadline.
    pub async fn resend_dead_letters(
        &self,
        group: GroupId,
        queue: QueueKey,
        offsets: &[u64],
        deadline: Instant,
    ) -> Result<Vec<ResendResult>, RequestError> {
        self.inner.resend_dead_letters(group, queue, offsets, deadline).await
    }

    /// Has the questions of other nodes' client edges answered here.
    pub fn answer_edges(&self, handler: EdgeHandler) {
        self.inner.answer_edges(handler);
    }

    /// Asks the client edge of a node, this one included.
    ///
    /// # Errors
    /// [`RequestError::Unknown`] if it does not answer.
    pub async fn ask_edge(
        &self,
        target: NodeId,
        question: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, RequestError> {
        self.inner.ask_edge(target, question, deadline).await
    }

    /// Ends every lease that a client holds, in every group: its messages are visible at once.
    ///
    /// # Errors
    /// If a group had no leader until the deadline.
    pub async fn release_client(&self, client: u64, deadline: Instant) -> Result<(), RequestError> {
        let command = command::encode_release_client(client);
        self.inner.submit_to_brokers(command, deadline).await
    }

    /// Says that a client is online on this node; leases with `auto_renew` live on that. Soft state.
    pub fn client_seen(&self, client: u64) {
        self.inner.presence.client_seen(client);
    }

    /// Says that a client is gone.
    pub fn client_gone(&self, client: u64) {
        self.inner.presence.client_gone(client);
    }

    /// How full this node's disk was at the last look.
    pub fn disk(&self) -> DiskStatus {
        self.inner.space.own()
    }

    /// Where the cluster stands: asks every node.
    pub async fn status(&self) -> ClusterStatus {
        self.inner.cluster_status().await
    }

    /// Hands the leadership of a group on, from wherever it is, and waits until that is seen.
    ///
    /// # Errors
    /// If there is no leader, or the target does not take over before the deadline.
    pub async fn transfer_leader(
        &self,
        group: GroupId,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<NodeId, RequestError> {
        self.inner.hand_over(group, to, deadline).await
    }

    /// Hands every leadership on, finishes what is in flight, and stops. For SIGTERM.
    pub async fn drain(&self, deadline: Instant) {
        self.inner.drain(deadline).await;
    }
}
