//! The HTTP port: is it there, does it serve, how does it do; the API of the console, and the console.

pub mod api;
mod console;
mod guard;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use raft::node::Node;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::gate::AccessControl;
use crate::edge_options::{EdgeLimits, TlsOptions};
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEADER_WAIT_MAX, READY_CONNECTIONS_MAX};
use crate::metrics::{self, Exporter};
use crate::port::holdings::Holdings;
use crate::port::{Accepting, Connection};
use crate::tls::PortTls;
use api::Api;
use guard::Guard;

/// How long `/readyz` waits for leaders.
const READY_TIMEOUT: Duration = Duration::from_millis(500);

/// With more entries than this that are committed and not applied, a node is not ready.
const READY_LAG_ENTRIES_MAX: u64 = 10_000;

/// Serves what connects, once it is through its first bytes. When it is dropped, what it serves is cut off.
async fn serve_all(mut connections: mpsc::Receiver<io::Result<Connection>>, routes: Router) {
    let mut server = http1::Builder::new();
    // Who says what he wants letter by letter must not keep others out.
    server.timer(TokioTimer::new()).header_read_timeout(HTTP_HEADER_WAIT_MAX);
    let mut serving = JoinSet::new();
    loop {
        let connection = tokio::select! {
            connection = connections.recv() => connection,
            Some(_) = serving.join_next(), if !serving.is_empty() => continue,
        };
        let Some(connection) = connection else { break };
        let Ok(connection) = connection else { continue };
        let peer = ConnectInfo(connection.peer());
        let service = TowerToHyperService::new(routes.clone().layer(Extension(peer)));
        let served = server.serve_connection(TokioIo::new(connection), service);
        serving.spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection of the HTTP port ended");
            }
        });
    }
    while serving.join_next().await.is_some() {}
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

/// How it is served.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where it listens.
    pub bind: SocketAddr,
    /// TLS on the same port, with the gRPC port's certificate.
    pub tls: TlsOptions,
    /// Whether it is asked who reads the metrics.
    pub access: AccessControl,
    /// The cluster's name.
    pub cluster: String,
}

/// Listens, and answers until it is stopped.
pub async fn serve(node: Node, exporter: Arc<Exporter>, options: HttpOptions) -> anyhow::Result<HttpServer> {
    let HttpOptions { bind, tls, access, cluster } = options;
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("cannot listen on {bind} for HTTP: is another node running?"))?;
    let address = listener.local_addr().context("the address of the HTTP server")?;
    let trusts_all = !matches!(access, AccessControl::On(_)) && bind.ip().is_loopback();
    let guard = from_fn_with_state(Guard::new(node.clone(), access, cluster), Guard::admit);
    let closing = CancellationToken::new();
    let api = Api::new(exporter.clone(), trusts_all, closing.clone()).routes();
    let metrics = Router::new().route("/metrics", get(metrics::answer).with_state(exporter)).layer(guard);
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .with_state(node.clone())
        .merge(metrics)
        .merge(console::routes())
        .nest(api::ROOT, api);
    let certificate = Arc::new(PortTls::read(&tls)?);
    let (ready, connections) = mpsc::channel(READY_CONNECTIONS_MAX);
    let accepting = Accepting {
        listener,
        acceptor: certificate.acceptor(&[b"http/1.1"])?,
        tls_only: tls.only,
        ready,
        holdings: Holdings::new(&EdgeLimits { connections: HTTP_CONNECTIONS_MAX, ..EdgeLimits::default() }),
        cuts: Arc::default(),
        is_http2: false,
        closing: closing.clone(),
    };
    tokio::spawn(accepting.run());
    tokio::spawn(certificate.keep_fresh(closing.clone()));
    let task = tokio::spawn(serve_all(connections, routes));
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
