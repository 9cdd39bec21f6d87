//! How a node begins, hands over, and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openraft::BasicNode;
use openraft::async_runtime::WatchReceiver;
use proto::peer::{HandOverRequest, HelloRequest};
use store::disk::Disk;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use crate::catalog::{Catalog, NodeInfo};
use crate::consensus::snapshot::pace::Pace;
use crate::group::{Group, GroupOpenError, GroupSetup};
use crate::limits::READING_KIB_MAX;
use crate::names::{GroupId, NodeId};
use crate::node::data_lock;
use crate::node::failure::Failure;
use crate::node::forward::Forwarder;
use crate::node::groups::Groups;
use crate::node::members::Members;
use crate::node::options::NodeOptions;
use crate::node::peers::{FORMAT_VERSION, Lane, PeerEvent, PeerPool, PeerWatch};
use crate::node::presence::Presence;
use crate::node::route::{Leader, NotDone, invalid};
use crate::node::space::Space;
use crate::node::timekeeping::PeerClocks;
use crate::node::{Node, NodeInner, identity, rejoin, server, tick};
use crate::request::RequestError;
use crate::seams::{self, TcpListener};

/// A peer that listens is dialled within this: see [`crate::node::peers`].
pub(super) const HEARD_OF_WITHIN: Duration = Duration::from_secs(3);
/// A peer that ended may run again, and is dialled again within this: see [`crate::node::peers`].
const BACK_WITHIN: Duration = Duration::from_millis(500);
/// A group that its first leader has not begun after so long is begun by another member.
const BOOTSTRAP_PATIENCE: Duration = Duration::from_secs(2);

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("the data directory {path}: {source}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has the data open.
    #[error("the data directory {path} is in use by another process{holder}")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it, if that is known.
        holder: String,
    },
    /// The peer port cannot be had.
    #[error("the peer port {address}: {source}")]
    PeerPort {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
    /// A group cannot be opened.
    #[error(transparent)]
    Group(#[from] GroupOpenError),
}

/// See [`Node::start`].
pub(crate) async fn start(mut options: NodeOptions) -> Result<Node, StartError> {
    if options.broker_groups == 0 {
        return Err(StartError::Options("a cluster needs at least one broker group".to_owned()));
    }
    if !options.members.iter().any(|info| info.id == options.id) {
        return Err(StartError::Options(format!("node {} is not among the members", options.id)));
    }
    let data_lock = data_lock::lock(&options.data)?;
    let configured = if options.seeds.is_empty() { options.members.clone() } else { Vec::new() };
    let identity = identity::establish(&mut options).await?;
    let listener = TcpListener::bind(options.peer_bind)
        .await
        .map_err(|source| StartError::PeerPort { address: options.peer_bind, source })?;
    let peers = PeerPool::new(options.id, &options.members, identity.tag, options.tls.clone())
        .map_err(StartError::Options)?;
    let failure = Failure::new();
    let (catalog_sender, catalog) = watch::channel(Arc::new(Catalog::default()));
    let disk: Arc<dyn Disk> = seams::disk();
    let groups = Groups::new();
    let snapshot_pace = Arc::new(Pace::new(options.tuning.snapshot_bytes_per_s));
    let identity = identity::delete_what_left(&options, identity)?;
    for id in identity::groups(&options, &identity) {
        let setup = GroupSetup {
            id,
            node: options.id,
            alone: options.members.len() == 1,
            cluster: options.cluster.clone(),
            data: options.data.clone(),
            disk: disk.clone(),
            tuning: options.tuning.clone(),
            peers: peers.clone(),
            snapshot_pace: snapshot_pace.clone(),
            failure: failure.clone(),
            catalog: (id == GroupId::META).then(|| catalog_sender.clone()),
        };
        groups.add(Group::open(setup).await?);
    }
    let level = catalog.borrow().feature_level;
    if let Some(why) = options.reads_up_to.falls_short_of(level) {
        return Err(StartError::Options(why));
    }
    let inner = Arc::new(NodeInner {
        reading: tokio::sync::Semaphore::new(READING_KIB_MAX as usize),
        id: options.id,
        forwarder: Forwarder::new(peers.clone()),
        presence: Presence::new(options.own(), options.members.clone()),
        paused: Default::default(),
        edges: Default::default(),
        clocks: PeerClocks::default(),
        clients: OnceLock::new(),
        spans: OnceLock::new(),
        space: Space::new(disk, &options.data),
        digesting: Arc::default(),
        messages_skipped: AtomicU64::new(0),
        counters: Default::default(),
        groups,
        members: Members::new(identity, options.members.clone(), configured),
        peers,
        snapshot_pace,
        catalog,
        failure,
        stop: watch::Sender::new(false),
        stopping: AtomicBool::new(false),
        tasks: Mutex::default(),
        _lock: data_lock,
        options,
    });
    inner.clone().run(listener);
    Ok(Node { inner })
}

impl NodeInner {
    /// Starts everything that goes on by itself.
    fn run(self: Arc<Self>, listener: TcpListener) {
        self.spawn(server::serve(self.clone(), listener));
        let (events, receiver) = mpsc::channel(64);
        let hello = HelloRequest {
            cluster: self.options.cluster.clone(),
            options_fingerprint: self.members.tag(),
            node: self.id.0,
            format_version: FORMAT_VERSION,
        };
        let watch = PeerWatch::new(&self.peers, hello, events, &self.clocks, self.stop.subscribe());
        self.spawn(self.clone().heed_peers(receiver));
        self.spawn(self.clone().keep_up(watch));
        for group in self.groups.values() {
            self.run_group(group);
        }
        self.spawn(self.clone().register());
        self.spawn(self.clone().heed_feature_level());
        self.spawn(self.clone().settle());
        self.spawn(self.clone().follow_elsewhere());
        tick::start(&self);
    }

    /// Starts everything that goes on by itself in one group.
    pub(crate) fn run_group(self: &Arc<Self>, group: &Group) {
        self.spawn(self.clone().begin(group.clone()));
        self.spawn(self.clone().watch_group(group.clone()));
        tick::start_group(self, group);
    }

    async fn heed_peers(self: Arc<Self>, mut events: mpsc::Receiver<PeerEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                PeerEvent::Up(id) => {
                    tracing::info!(node = %id, "a peer answers");
                    self.presence.up(id);
                }
                PeerEvent::Lost(id) => {
                    tracing::warn!(node = %id, "the connection to a peer is lost");
                    self.presence.down(id, false);
                    self.doubt_deliveries(id);
                }
                PeerEvent::Removed => self.was_removed(),
                PeerEvent::Crashed(id) => {
                    tracing::warn!(node = %id, "the process of a peer is gone");
                    self.presence.down(id, true);
                    self.leader_crashed(id);
                }
            }
        }
    }

    /// Who begins a group, and has a vote in it then: whom `meta` names, else everybody who was there.
    pub(crate) fn founders(&self, group: GroupId) -> Vec<NodeInfo> {
        let mut founders = self.members.known().to_vec();
        match self.catalog.borrow().founders.get(&group) {
            Some(named) => founders.retain(|info| named.contains(&info.id)),
            None => founders.retain(|info| self.options.members.iter().any(|member| member.id == info.id)),
        }
        founders
    }

    /// Begins a group at its first start. The first leaders are spread over the founders: who is first in line for a
    /// group begins it, another one only if that does not happen.
    async fn begin(self: Arc<Self>, group: Group) {
        // What rejoins was begun long ago.
        if !rejoin::has_voice(&self, &group).await {
            return;
        }
        // Whom `meta` names begins with the same voters on all nodes, whatever they know of each other.
        let founders = self.founders(group.id);
        if !founders.iter().any(|info| info.id == self.id) {
            return self.become_replica(&group).await;
        }
        let first = founders[(group.id.0.saturating_sub(1)) as usize % founders.len()].id;
        if first != self.id {
            let metrics = group.raft.server_metrics();
            let begun = async {
                let mut metrics = metrics;
                while metrics.borrow_watched().membership_config.membership().voter_ids().next().is_none() {
                    if metrics.changed().await.is_err() {
                        return;
                    }
                }
            };
            if tokio::time::timeout(BOOTSTRAP_PATIENCE, begun).await.is_ok() {
                return;
            }
        } else {
            // Asked before they know that the cluster is new they would refuse their votes.
            let _ = tokio::time::timeout(BOOTSTRAP_PATIENCE, rejoin::quorum_has_voice(&self, &group)).await;
        }
        let nodes: BTreeMap<u64, BasicNode> =
            founders.iter().map(|info| (info.id.0, BasicNode { addr: info.peer.clone() })).collect();
        match group.raft.is_initialized().await {
            // Alone there is nobody to wait for.
            Ok(true) if founders.len() == 1 => {
                let _ = group.raft.trigger().elect(false).await;
            }
            Ok(true) | Err(_) => {}
            Ok(false) => {
                if let Err(error) = group.raft.initialize(nodes).await {
                    tracing::debug!(group = %group.id, %error, "somebody else has begun this group");
                }
            }
        }
    }

    /// A group that stops takes the node with it; a change of leader wakes the polls.
    async fn watch_group(self: Arc<Self>, group: Group) {
        let mut metrics = group.raft.metrics();
        let mut leader = None;
        loop {
            let (state, now) = {
                let metrics = metrics.borrow_watched();
                (metrics.running_state.clone(), metrics.current_leader)
            };
            if let Err(fatal) = state {
                if !self.is_stopping() {
                    self.failure.tell(format!("{} stopped: {fatal}", group.id));
                }
                return;
            }
            if now != leader {
                leader = now;
                tracing::info!(group = %group.id, leader = ?leader, "leader");
                group.wakers.wake_all();
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) async fn until_ready_to_serve(&self, deadline: Instant) -> Result<(), RequestError> {
        for id in self.all_groups() {
            loop {
                match self.leader(id) {
                    Leader::Here if self.group(id)?.serves(self.id) => break,
                    Leader::At(id) if self.presence.is_up(id) => break,
                    _ if Instant::now() >= deadline => return Err(RequestError::NoLeader { group: id }),
                    _ => self.leader_may_change(id, deadline).await,
                }
            }
        }
        let mut catalog = self.catalog.clone();
        let known = catalog.wait_for(|catalog| !catalog.groups.is_empty());
        match timeout_at(deadline, known).await {
            Ok(_) => Ok(()),
            Err(_) => Err(RequestError::NoLeader { group: GroupId::META }),
        }
    }

    /// See [`Node::transfer_leader`].
    pub(crate) async fn hand_over(
        &self,
        group: GroupId,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<NodeId, RequestError> {
        loop {
            match self.leader(group) {
                Leader::Here => match self.hand_over_here(self.group(group)?, to, deadline).await {
                    Ok(leader) => return Ok(leader),
                    Err(NotDone::Refused(why)) => return Err(invalid(why)),
                    Err(NotDone::LeadsNoMore) => {}
                },
                Leader::At(leader) => {
                    let client = self.peers.client(leader, Lane::Control);
                    let mut client = client.map_err(|_| RequestError::NoLeader { group })?;
                    let request = HandOverRequest {
                        group: group.0,
                        to: to.map_or(0, |id| id.0),
                        timeout_ms: deadline.saturating_duration_since(Instant::now()).as_millis() as u32,
                        target: leader.0,
                    };
                    match client.hand_over(request).await.map(tonic::Response::into_inner) {
                        Ok(answer) if !answer.refusal.is_empty() => return Err(invalid(answer.refusal)),
                        Ok(answer) if answer.leader != 0 => return Ok(NodeId(answer.leader)),
                        // It leads no more, or does not yet.
                        Ok(_) => {}
                        Err(status) => {
                            return Err(RequestError::Unknown { reason: status.message().to_owned() });
                        }
                    }
                }
                Leader::Nobody => {}
            }
            if Instant::now() >= deadline {
                return Err(RequestError::NoLeader { group });
            }
            self.leader_may_change(group, deadline).await;
        }
    }

    /// Hands the leadership of a group that this node leads to `to`, or to the most caught-up voter
    /// that answers, and waits until that is seen.
    pub(crate) async fn hand_over_here(
        &self,
        group: &Group,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<NodeId, NotDone> {
        if to == Some(self.id) && group.leader() == to {
            return Ok(self.id);
        }
        let voters: BTreeSet<u64> = group.raft.voter_ids().collect();
        let to = match to {
            Some(to) if !voters.contains(&to.0) => {
                return Err(NotDone::Refused(format!("node {to} is not a voter of {}", group.id)));
            }
            Some(to) if !self.comes_up(to, deadline).await => {
                return Err(NotDone::Refused(format!("node {to} does not answer")));
            }
            Some(to) => to,
            None => self.successor(group, &voters, deadline).await?,
        };
        group
            .raft
            .trigger()
            .transfer_leader(to.0)
            .await
            .map_err(|fatal| NotDone::Refused(fatal.to_string()))?;
        loop {
            match group.leader() {
                Some(leader) if leader != self.id => return Ok(leader),
                _ if !self.presence.is_up(to) => {
                    return Err(NotDone::Refused(format!("node {to} went away meanwhile")));
                }
                _ if Instant::now() >= deadline => {
                    let why = format!("node {to} did not take over {} in time", group.id);
                    return Err(NotDone::Refused(why));
                }
                _ => self.leader_may_change(group.id, deadline).await,
            }
        }
    }

    /// Whether a node answers; one that was only just started gets the time to be heard of.
    pub(crate) async fn comes_up(&self, id: NodeId, deadline: Instant) -> bool {
        let until = deadline.min(Instant::now() + HEARD_OF_WITHIN);
        let mut live = self.presence.live();
        let up = live.wait_for(|live| live.iter().any(|node| node.id == id));
        timeout_at(until, up).await.is_ok_and(|up| up.is_ok())
    }

    /// The most caught-up voter. A node that was only just started or elected has not heard from the others yet, and the
    /// others may all have been started again just now.
    async fn successor(
        &self,
        group: &Group,
        voters: &BTreeSet<u64>,
        deadline: Instant,
    ) -> Result<NodeId, NotDone> {
        let others = || voters.iter().any(|id| *id != self.id.0 && !self.presence.is_gone(NodeId(*id)));
        let back_by = deadline.min(Instant::now() + BACK_WITHIN);
        let until = || if others() { deadline } else { back_by };
        while group.leader() == Some(self.id) && Instant::now() < until() {
            if let Some(successor) = self.most_caught_up(group, voters) {
                return Ok(successor);
            }
            self.leader_may_change(group.id, deadline).await;
        }
        match group.leader() {
            Some(leader) if leader != self.id => Ok(leader),
            Some(_) => Err(NotDone::Refused(format!("no other voter of {} answers", group.id))),
            None => Err(NotDone::LeadsNoMore),
        }
    }

    pub(crate) fn most_caught_up(&self, group: &Group, voters: &BTreeSet<u64>) -> Option<NodeId> {
        let metrics = group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let replication = metrics.replication.as_ref()?;
        replication
            .iter()
            .filter(|(id, _)| voters.contains(id) && self.presence.is_up(NodeId(**id)) && **id != self.id.0)
            .max_by_key(|(_, matched)| matched.as_ref().map(|id| id.index))
            .map(|(id, _)| NodeId(*id))
    }

    /// See [`Node::drain`].
    pub(crate) async fn drain(&self, deadline: Instant) {
        // What cannot be handed over leaves time to close what is open.
        let now = Instant::now();
        let hand_over_by = now + deadline.saturating_duration_since(now) / 2;
        for group in self.groups.values() {
            if group.leader() == Some(self.id) && group.raft.voter_ids().count() > 1 {
                match self.hand_over_here(group, None, hand_over_by).await {
                    Ok(leader) => tracing::info!(group = %group.id, to = %leader, "leadership handed over"),
                    Err(error) => tracing::warn!(group = %group.id, %error, "leadership not handed over"),
                }
            }
        }
        self.stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        for group in self.groups.open() {
            let _ = timeout_at(deadline, group.raft.shutdown()).await;
            if let Err(error) = group.replica().durability().flush() {
                tracing::warn!(group = %group.id, %error, "the tables could not be flushed");
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout_at(deadline, ended).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
    }
}
