//! Where a local cluster stands, also when some of its nodes are dead.

use std::io;
use std::time::Duration;

use proto::admin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::state::{LocalCluster, LocalNode};
use crate::client::access::{Broker, Headers, HostPort};
use crate::client::cluster_view::{ClusterView, NodeView};
use crate::client::credentials::Credentials;

/// A live node answers at once; one that does not must not hold up the others.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the living nodes, one after the other, until one answers; the processes are looked at here.
pub async fn view(cluster: &LocalCluster, credentials: Option<&Credentials>) -> ClusterView {
    let (mut groups, mut answered): (_, Vec<NodeView>) = (Vec::new(), Vec::new());
    for node in cluster.nodes.iter().filter(|node| node.is_alive()) {
        if let Some(view) = ask(&node.grpc, credentials).await {
            groups = view.groups;
            answered = view.nodes;
            break;
        }
    }
    let nodes = cluster.nodes.iter().map(|node| NodeView {
        id: node.id,
        name: node.name.clone(),
        grpc: node.grpc.clone(),
        http: node.http.clone(),
        peer: node.peer.clone(),
        pid: node.process.map_or(0, |process| process.pid),
        alive: node.is_alive(),
        joining: answered.iter().any(|it| it.id == node.id && it.joining),
        draining: answered.iter().any(|it| it.id == node.id && it.draining),
        disk: answered.iter().find(|it| it.id == node.id).and_then(|it| it.disk.clone()),
        version: answered.iter().find(|it| it.id == node.id).and_then(|it| it.version.clone()),
    });
    ClusterView { nodes: nodes.collect(), groups }
}

/// Whether a node serves. Its HTTP port tells: neighbours answer on its client port while it does not.
pub async fn listens(node: &LocalNode) -> bool {
    let connecting = TcpStream::connect(&node.http);
    matches!(tokio::time::timeout(ASK_TIMEOUT, connecting).await, Ok(Ok(_)))
}

/// Whether a node is ready for clients, as its `/readyz` says.
pub async fn is_ready(node: &LocalNode) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(&node.http).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut head = *b"HTTP/1.1 ...";
        stream.read_exact(&mut head).await?;
        io::Result::Ok(head == *b"HTTP/1.1 200")
    };
    matches!(tokio::time::timeout(ASK_TIMEOUT, asked).await, Ok(Ok(true)))
}

/// What one node says; `None` if it does not answer.
pub async fn ask(grpc: &str, credentials: Option<&Credentials>) -> Option<ClusterView> {
    let endpoint: HostPort = grpc.parse().ok()?;
    let asked = async {
        let broker = Broker::connect(endpoint, Headers::new(credentials)?).await?;
        let request = broker.headers.request(admin::ClusterStatusRequest {}, ASK_TIMEOUT);
        broker.answer(broker.admin().cluster_status(request).await)
    };
    match tokio::time::timeout(ASK_TIMEOUT, asked).await {
        Ok(Ok(status)) => Some(status.into()),
        Ok(Err(error)) => {
            tracing::debug!(grpc, %error, "no status");
            None
        }
        Err(_) => None,
    }
}
