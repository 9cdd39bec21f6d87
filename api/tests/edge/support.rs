//! A node with its edge, and a client that speaks the public protocol by hand.

use std::net::SocketAddr;
use std::time::Duration;

use api::{Edge, EdgeOptions, TlsOptions};
use raft::catalog::{NodeInfo, TopicType};
use raft::features::FeatureLevel;
use raft::names::NodeId;
use raft::node::{DiskMarks, Node, NodeOptions, TransactionChecks, Tuning};
use raft::request::NewTopic;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::transport::Channel;

pub use crate::client::*;
use crate::ports::free_base_port;

/// Long enough for a slow machine; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn member(id: u64) -> NodeInfo {
    let port = free_base_port(1);
    NodeInfo {
        id: NodeId(id),
        name: format!("node{id}"),
        grpc: format!("127.0.0.1:{port}"),
        http: String::new(),
        peer: format!("127.0.0.1:{}", port + 2),
        incarnation: 0,
    }
}

/// A node that serves clients, in a directory of its own.
pub struct Server {
    pub node: Node,
    pub address: SocketAddr,
    pub data: TempDir,
    pub edge: Option<Edge>,
    pub stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with(1, |_| {}).await
    }

    pub async fn start_with(broker_groups: u32, change: impl FnOnce(&mut EdgeOptions)) -> Server {
        let members = vec![member(1)];
        Server::start_member(&members, 1, broker_groups, change).await
    }

    /// Several nodes that are a cluster, and know that all of them live.
    pub async fn cluster(size: u64) -> Vec<Server> {
        let members: Vec<NodeInfo> = (1..=size).map(member).collect();
        let starting = (1..=size).map(|id| Server::start_member(&members, id, 1, |_| {}));
        let servers = futures::future::join_all(starting).await;
        for server in &servers {
            let mut live = server.node.live_nodes();
            let all = live.wait_for(|nodes| nodes.len() as u64 == size);
            tokio::time::timeout(PATIENCE, all).await.expect("in time").expect("the node runs");
        }
        servers
    }

    async fn start_member(
        members: &[NodeInfo],
        id: u64,
        broker_groups: u32,
        change: impl FnOnce(&mut EdgeOptions),
    ) -> Server {
        let data = tempfile::tempdir().expect("a directory");
        let node_options = NodeOptions {
            cluster: "test".into(),
            id: NodeId(id),
            members: members.to_vec(),
            seeds: Vec::new(),
            peer_bind: members[id as usize - 1].peer.parse().expect("an address"),
            data: data.path().join("node"),
            broker_groups,
            tuning: Tuning {
                segment_bytes: store::limits::SEGMENT_BYTES_MIN,
                // Dozens of servers side by side fill a small disk; that is not what is tested here.
                disk: DiskMarks::never(),
                ..Tuning::default()
            },
            transaction_checks: TransactionChecks {
                interval: Duration::from_millis(300),
                limit: 2,
                ..TransactionChecks::default()
            },
            reads_up_to: FeatureLevel::NEWEST,
            tls: Default::default(),
        };
        let node = Node::start(node_options).await.expect("the node starts");
        node.ready(soon()).await.expect("a leader for each group");
        let mut options = EdgeOptions {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: TlsOptions { directory: data.path().join("tls"), ..TlsOptions::default() },
            cluster: "test".into(),
            ..EdgeOptions::default()
        };
        options.limits.long_poll_min_ms = 100;
        change(&mut options);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let edge = api::serve(node.clone(), options, shutdown).await.expect("the edge starts");
        Server { node, address: edge.address, data, edge: Some(edge), stop: Some(stop) }
    }

    pub async fn client(&self, id: &str) -> Client {
        let channel = Channel::from_shared(format!("http://{}", self.address)).expect("an address");
        Client::over(channel.connect().await.expect("a connection"), id)
    }

    pub async fn topic(&self, name: &str, kind: TopicType, queues: u32) {
        let topic =
            NewTopic { name: name.into(), kind, queues, if_not_exists: false, settings: Default::default() };
        self.node.create_topic(topic, soon()).await.expect("the topic is made");
    }
}
