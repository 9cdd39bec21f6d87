//! The connections to the other nodes, and who of them is alive.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use proto::peer::HelloRequest;
use proto::peer::peer_client::PeerClient;
use tokio::sync::{mpsc, watch};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::catalog::NodeInfo;
use crate::limits::PEER_MESSAGE_BYTES_MAX;
use crate::names::NodeId;
use crate::node::timekeeping::PeerClocks;
use crate::seams;
use crate::tls::PeerTls;

/// The header with which every call says which cluster it means.
pub(crate) const CLUSTER_HEADER: &str = "x-ledgermq-cluster";
/// The version of the peer protocol and of the frames in it.
pub(crate) const FORMAT_VERSION: u32 = 1;

const CONNECT_WAIT_MAX: Duration = Duration::from_millis(500);
const PING_INTERVAL: Duration = Duration::from_millis(1000);
const PING_WAIT_MAX: Duration = Duration::from_millis(3000);
const REDIAL_PAUSE: Duration = Duration::from_millis(100);
/// The first pause after a loss; it doubles. The sockets of a killed process close one by one.
const REDIAL_PAUSE_IN_DOUBT: Duration = Duration::from_millis(2);
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Which of the connections to a node a call takes: what is urgent never waits behind what is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Heartbeats, votes, status.
    Control,
    /// Appends.
    Replication,
    /// Forwarded commands and long polls of clients.
    Requests,
    /// Snapshots.
    Bulk,
}

/// Says in every call which cluster it means.
#[derive(Clone)]
pub(crate) struct ClusterTag(MetadataValue<Ascii>);

impl Interceptor for ClusterTag {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        request.metadata_mut().insert(CLUSTER_HEADER, self.0.clone());
        Ok(request)
    }
}

/// A client of a peer.
pub(crate) type Client = PeerClient<InterceptedService<Channel, ClusterTag>>;

struct Peer {
    info: NodeInfo,
    control: Channel,
    replication: Channel,
    requests: Channel,
    bulk: Channel,
}

impl Peer {
    fn new(info: &NodeInfo, tls: &PeerTls) -> Result<Peer, String> {
        let endpoint = endpoint(info)?;
        Ok(Peer {
            info: info.clone(),
            control: seams::connect_lazy(&endpoint, tls),
            replication: seams::connect_lazy(&endpoint, tls),
            requests: seams::connect_lazy(&endpoint, tls),
            bulk: seams::connect_lazy(&endpoint, tls),
        })
    }
}

/// The connections to the other nodes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PeerPool {
    // A lock, because nodes come and go; never held over an await.
    peers: Arc<RwLock<BTreeMap<NodeId, Peer>>>,
    tag: ClusterTag,
    tls: PeerTls,
}

/// The text with which nodes of one cluster know each other.
pub(crate) fn cluster_tag(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

fn endpoint(info: &NodeInfo) -> Result<Endpoint, String> {
    Endpoint::from_shared(format!("http://{}", info.peer))
        .map_err(|error| format!("the peer address {} of node {} is not one: {error}", info.peer, info.id))
        .map(|endpoint| {
            endpoint
                .connect_timeout(CONNECT_WAIT_MAX)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_WAIT_MAX)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
        })
}

impl PeerPool {
    /// Connections to everybody but `own`; each is dialled when it is first used.
    ///
    /// # Errors
    /// If an address is malformed.
    pub(crate) fn new(own: NodeId, members: &[NodeInfo], tag: u64, tls: PeerTls) -> Result<PeerPool, String> {
        let mut peers = BTreeMap::new();
        for info in members.iter().filter(|info| info.id != own) {
            peers.insert(info.id, Peer::new(info, &tls)?);
        }
        let tag = cluster_tag(tag).parse().map_err(|_| "the cluster's tag is not ASCII".to_owned())?;
        Ok(PeerPool { peers: Arc::new(RwLock::new(peers)), tag: ClusterTag(tag), tls })
    }

    /// From now on these are there. Who stayed at its address keeps its connections. Those that are new.
    pub(crate) fn set(&self, own: NodeId, members: &[NodeInfo]) -> Vec<NodeId> {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|id, _| members.iter().any(|info| info.id == *id));
        let mut new = Vec::new();
        for info in members.iter().filter(|info| info.id != own) {
            let known = peers.get(&info.id);
            if known.is_some_and(|peer| peer.info.peer == info.peer) {
                continue;
            }
            let is_new = known.is_none();
            match Peer::new(info, &self.tls) {
                Ok(peer) => {
                    peers.insert(info.id, peer);
                    new.extend(is_new.then_some(info.id));
                }
                Err(error) => tracing::error!(%error, "a node cannot be reached"),
            }
        }
        new
    }

    fn info(&self, id: NodeId) -> Option<NodeInfo> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.get(&id).map(|peer| peer.info.clone())
    }

    /// A client of `target` on one of its connections.
    ///
    /// # Errors
    /// If no such node is known.
    pub(crate) fn client(&self, target: NodeId, lane: Lane) -> Result<Client, String> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.get(&target).ok_or_else(|| format!("node {target} is not known here"))?;
        let channel = match lane {
            Lane::Control => &peer.control,
            Lane::Replication => &peer.replication,
            Lane::Requests => &peer.requests,
            Lane::Bulk => &peer.bulk,
        };
        Ok(self.over(channel.clone()))
    }

    fn over(&self, channel: Channel) -> Client {
        PeerClient::with_interceptor(channel, self.tag.clone())
            .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
    }

    /// Everybody else.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// What the watch over a peer saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    /// It answered.
    Up(NodeId),
    /// The connection ended; nobody knows why.
    Lost(NodeId),
    /// The connection was reset and nobody listens there any more: its process is gone.
    Crashed(NodeId),
    /// It says that the cluster has removed this node.
    Removed,
}

/// How a connection of the watch ended.
enum SessionEnd {
    /// It answered, and the connection broke.
    Lost,
    /// Nobody listens at its address.
    NobodyListens,
    /// It does not want this node, and says why.
    Refused(String),
    /// It says that the cluster has removed this node.
    Removed,
    /// It does not answer.
    Unreachable,
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
        || error.source().is_some_and(is_refused)
}

/// Keeps an idle call open to every peer, and says what becomes of it.
#[derive(Clone)]
pub(crate) struct PeerWatch {
    pool: PeerPool,
    hello: HelloRequest,
    events: mpsc::Sender<PeerEvent>,
    clocks: PeerClocks,
    stop: watch::Receiver<bool>,
}

impl PeerWatch {
    /// Watches nobody yet.
    pub(crate) fn new(
        pool: &PeerPool,
        hello: HelloRequest,
        events: mpsc::Sender<PeerEvent>,
        clocks: &PeerClocks,
        stop: watch::Receiver<bool>,
    ) -> PeerWatch {
        PeerWatch { pool: pool.clone(), hello, events, clocks: clocks.clone(), stop }
    }

    /// Starts a task for each of these. It ends when the peer is in the cluster no more.
    pub(crate) fn begin(&self, peers: impl IntoIterator<Item = NodeId>) {
        for id in peers {
            tokio::spawn(self.clone().run(id));
        }
    }

    async fn run(mut self, id: NodeId) {
        let mut refusal_told = String::new();
        // It answered once, and what became of it is not known.
        let mut in_doubt = false;
        let mut pause = REDIAL_PAUSE;
        loop {
            let mut stop = self.stop.clone();
            let Some(info) = self.pool.info(id) else {
                // It was removed while it was there.
                return self.tell(PeerEvent::Lost(id)).await;
            };
            let end = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                end = self.session(&info) => end,
            };
            match end {
                SessionEnd::Lost => {
                    self.tell(PeerEvent::Lost(id)).await;
                    (in_doubt, pause) = (true, REDIAL_PAUSE_IN_DOUBT);
                }
                SessionEnd::NobodyListens if in_doubt => {
                    self.tell(PeerEvent::Crashed(id)).await;
                    (in_doubt, pause) = (false, REDIAL_PAUSE);
                }
                SessionEnd::Refused(refusal) if refusal != refusal_told => {
                    tracing::error!(node = %id, %refusal, "a peer refuses this node");
                    refusal_told = refusal;
                }
                SessionEnd::Removed => self.tell(PeerEvent::Removed).await,
                SessionEnd::NobodyListens | SessionEnd::Refused(_) | SessionEnd::Unreachable => {}
            }
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return,
                // Nothing tells when a process that is gone listens again: dial at a steady pace.
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(REDIAL_PAUSE);
        }
    }

    /// One connection, from hello to its end.
    async fn session(&self, info: &NodeInfo) -> SessionEnd {
        let id = info.id;
        let Ok(endpoint) = endpoint(info) else { return SessionEnd::Unreachable };
        let channel = match seams::connect(&endpoint, &self.pool.tls).await {
            Ok(channel) => channel,
            Err(error) if is_refused(&error) => return SessionEnd::NobodyListens,
            Err(_) => return SessionEnd::Unreachable,
        };
        // A process that is being killed takes connections until its sockets are closed: only an
        // answer says that it lives.
        let Ok(answers) = self.pool.over(channel).watch(self.hello.clone()).await else {
            return SessionEnd::Unreachable;
        };
        let mut answers = answers.into_inner();
        let Ok(Some(first)) = answers.message().await else { return SessionEnd::Unreachable };
        if first.removed {
            return SessionEnd::Removed;
        }
        if !first.refusal.is_empty() {
            return SessionEnd::Refused(first.refusal);
        }
        if first.node != id.0 {
            let refusal = format!("node {} answers at the address of node {id}", first.node);
            return SessionEnd::Refused(refusal);
        }
        self.clocks.heard(id, first.clock_ms);
        self.tell(PeerEvent::Up(id)).await;
        while let Ok(Some(news)) = answers.message().await {
            if news.removed {
                return SessionEnd::Removed;
            }
            self.clocks.heard(id, news.clock_ms);
        }
        SessionEnd::Lost
    }

    async fn tell(&self, event: PeerEvent) {
        // The receiver ends with the node.
        let _ = self.events.send(event).await;
    }
}
