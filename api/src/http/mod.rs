//! The HTTP port: is it there, does it serve, how does it do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::Listener;
use raft::node::Node;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::edge_options::TlsOptions;
use crate::limits::{HTTP_CONNECTIONS_MAX, READY_CONNECTIONS_MAX};
use crate::metrics::{self, Exporter};
use crate::port::{Accepting, Connection};
use crate::tls::PortTls;

/// How long `/readyz` waits for leaders.
const READY_TIMEOUT: Duration = Duration::from_millis(500);

/// With more entries than this that are committed and not applied, a node is not ready.
const READY_LAG_ENTRIES_MAX: u64 = 10_000;

/// What connects, once it is through its first bytes.
struct Ready {
    connections: mpsc::Receiver<io::Result<Connection>>,
    address: SocketAddr,
}

impl Listener for Ready {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.connections.recv().await {
                Some(Ok(connection)) => return (connection, self.address),
                Some(Err(_)) => {}
                // Nobody accepts any more: the server is about to end.
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The running server.
#[derive(Debug)]
pub struct HttpServer {
    /// Where it listens; the real port if port 0 was asked for.
    pub address: SocketAddr,
    task: JoinHandle<()>,
    closing: CancellationToken,
}

impl HttpServer {
    /// Stops listening; answers under way are cut off.
    pub fn stop(self) {
        self.closing.cancel();
        self.task.abort();
    }
}

/// Listens, and answers until it is stopped: with TLS and without, as the gRPC port and with its certificate.
pub async fn serve(
    node: Node,
    exporter: Arc<Exporter>,
    bind: SocketAddr,
    tls: &TlsOptions,
) -> anyhow::Result<HttpServer> {
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("cannot listen on {bind} for HTTP: is another node running?"))?;
    let address = listener.local_addr().context("the address of the HTTP server")?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::answer).with_state(exporter))
        .with_state(node);
    let certificate = Arc::new(PortTls::read(tls)?);
    let closing = CancellationToken::new();
    let (ready, connections) = mpsc::channel(READY_CONNECTIONS_MAX);
    let accepting = Accepting {
        listener,
        acceptor: certificate.acceptor(&[b"h2", b"http/1.1"])?,
        tls_only: tls.only,
        ready,
        room: Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX)),
        closing: closing.clone(),
    };
    tokio::spawn(accepting.run());
    tokio::spawn(certificate.keep_fresh(closing.clone()));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(Ready { connections, address }, routes).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(HttpServer { address, task, closing })
}

/// Whether it has read its data (else nobody listens here), and joined.
async fn started(State(node): State<Node>) -> (StatusCode, String) {
    match node.has_settled() {
        true => (StatusCode::OK, "started\n".to_owned()),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, "this node joins: it gets its replicas and votes\n".to_owned())
        }
    }
}

/// Whether every group has a leader, and this node has applied nearly everything that it knows to be committed.
async fn ready(State(node): State<Node>) -> (StatusCode, String) {
    let refused = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"));
    if let Err(error) = node.ready(Instant::now() + READY_TIMEOUT).await {
        return refused(error.to_string());
    }
    match node.lag() {
        (group, entries) if entries > READY_LAG_ENTRIES_MAX => {
            refused(format!("{entries} committed entries of {group} are not applied yet"))
        }
        _ => (StatusCode::OK, "ready\n".to_owned()),
    }
}
