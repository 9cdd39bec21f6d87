//! The connections to the other nodes, and who of them is alive.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
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

/// The connections to the other nodes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PeerPool {
    peers: Arc<BTreeMap<NodeId, Peer>>,
    tag: ClusterTag,
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
    pub(crate) fn new(own: NodeId, members: &[NodeInfo], fingerprint: u64) -> Result<PeerPool, String> {
        let mut peers = BTreeMap::new();
        for info in members.iter().filter(|info| info.id != own) {
            let endpoint = endpoint(info)?;
            let peer = Peer {
                info: info.clone(),
                control: seams::connect_lazy(&endpoint),
                replication: seams::connect_lazy(&endpoint),
                requests: seams::connect_lazy(&endpoint),
                bulk: seams::connect_lazy(&endpoint),
            };
            peers.insert(info.id, peer);
        }
        let tag =
            cluster_tag(fingerprint).parse().map_err(|_| "the cluster's tag is not ASCII".to_owned())?;
        Ok(PeerPool { peers: Arc::new(peers), tag: ClusterTag(tag) })
    }

    /// A client of `target` on one of its connections.
    ///
    /// # Errors
    /// If no such node is known.
    pub(crate) fn client(&self, target: NodeId, lane: Lane) -> Result<Client, String> {
        let peer = self.peers.get(&target).ok_or_else(|| format!("node {target} is not known here"))?;
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
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.keys().copied()
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
}

/// How a connection of the watch ended.
enum SessionEnd {
    /// It answered, and the connection broke.
    Lost,
    /// Nobody listens at its address.
    NobodyListens,
    /// It does not want this node, and says why.
    Refused(String),
    /// It does not answer.
    Unreachable,
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
        || error.source().is_some_and(is_refused)
}

/// Keeps an idle call open to every peer, and says what becomes of it.
pub(crate) struct PeerWatch {
    pool: PeerPool,
    hello: HelloRequest,
    events: mpsc::Sender<PeerEvent>,
    clocks: PeerClocks,
    stop: watch::Receiver<bool>,
}

impl PeerWatch {
    /// Starts a task for each peer.
    pub(crate) fn start(
        pool: &PeerPool,
        hello: HelloRequest,
        events: mpsc::Sender<PeerEvent>,
        clocks: &PeerClocks,
        stop: watch::Receiver<bool>,
    ) {
        for id in pool.ids() {
            let watch = PeerWatch {
                pool: pool.clone(),
                hello: hello.clone(),
                events: events.clone(),
                clocks: clocks.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(watch.run(id));
        }
    }

    async fn run(mut self, id: NodeId) {
        let mut refusal_told = String::new();
        // It answered once, and what became of it is not known.
        let mut in_doubt = false;
        let mut pause = REDIAL_PAUSE;
        loop {
            let mut stop = self.stop.clone();
            let end = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                end = self.session(id) => end,
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
    async fn session(&self, id: NodeId) -> SessionEnd {
        let info = &self.pool.peers.get(&id).expect("watched peers are known").info;
        let Ok(endpoint) = endpoint(info) else { return SessionEnd::Unreachable };
        let channel = match seams::connect(&endpoint).await {
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
            self.clocks.heard(id, news.clock_ms);
        }
        SessionEnd::Lost
    }

    async fn tell(&self, event: PeerEvent) {
        // The receiver ends with the node.
        let _ = self.events.send(event).await;
    }
}
