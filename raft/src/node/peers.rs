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

/// The header with which every call says which cluster it means.
pub(crate) const CLUSTER_HEADER: &str = "x-ledgermq-cluster";
/// The version of the peer protocol and of the frames in it.
pub(crate) const FORMAT_VERSION: u32 = 1;

const CONNECT_WAIT_MAX: Duration = Duration::from_millis(500);
const PING_INTERVAL: Duration = Duration::from_millis(1000);
const PING_WAIT_MAX: Duration = Duration::from_millis(3000);
const REDIAL_PAUSE: Duration = Duration::from_millis(100);
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
                control: endpoint.connect_lazy(),
                replication: endpoint.connect_lazy(),
                requests: endpoint.connect_lazy(),
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

/// Keeps an idle call open to every peer, and says what becomes of it.
pub(crate) struct PeerWatch {
    pool: PeerPool,
    hello: HelloRequest,
    events: mpsc::Sender<PeerEvent>,
    stop: watch::Receiver<bool>,
}

impl PeerWatch {
    /// Starts a task for each peer.
    pub(crate) fn start(
        pool: &PeerPool,
        hello: HelloRequest,
        events: mpsc::Sender<PeerEvent>,
        stop: watch::Receiver<bool>,
    ) {
        for id in pool.ids() {
            let watch = PeerWatch {
                pool: pool.clone(),
                hello: hello.clone(),
                events: events.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(watch.run(id));
        }
    }

    async fn run(mut self, id: NodeId) {
        let mut refusal_told = String::new();
        loop {
            let mut stop = self.stop.clone();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                refusal = self.session(id) => match refusal {
                    Some(refusal) if refusal != refusal_told => {
                        tracing::error!(node = %id, %refusal, "a peer refuses this node");
                        refusal_told = refusal;
                    }
                    _ => {}
                },
            }
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return,
                // Nothing tells when a process that is gone listens again: dial at a steady pace.
                () = tokio::time::sleep(REDIAL_PAUSE) => {}
            }
        }
    }

    /// One connection, from hello to its end. Answers with the peer's refusal, if it refused.
    async fn session(&self, id: NodeId) -> Option<String> {
        let info = &self.pool.peers.get(&id).expect("watched peers are known").info;
        let channel = endpoint(info).ok()?.connect().await.ok()?;
        let mut answers = self.pool.over(channel).watch(self.hello.clone()).await.ok()?.into_inner();
        let first = answers.message().await.ok()??;
        if !first.refusal.is_empty() {
            return Some(first.refusal);
        }
        if first.node != id.0 {
            return Some(format!("node {} answers at the address of node {id}", first.node));
        }
        self.tell(PeerEvent::Up(id)).await;
        while let Ok(Some(_)) = answers.message().await {}
        // Whoever listens is alive, and only this connection was lost.
        let gone = match tokio::net::TcpStream::connect(&info.peer).await {
            Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            Ok(_) => false,
        };
        self.tell(if gone { PeerEvent::Crashed(id) } else { PeerEvent::Lost(id) }).await;
        None
    }

    async fn tell(&self, event: PeerEvent) {
        // The receiver ends with the node.
        let _ = self.events.send(event).await;
    }
}
