//! The HTTP port: is it there, does it serve, how does it do.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use raft::node::Node;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long `/readyz` waits for leaders.
const READY_TIMEOUT: Duration = Duration::from_millis(500);

/// With more entries than this that are committed and not applied, a node is not ready.
const READY_LAG_ENTRIES_MAX: u64 = 10_000;

/// The running server.
#[derive(Debug)]
pub struct HttpServer {
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Stops listening; answers under way are cut off.
    pub fn stop(self) {
        self.task.abort();
    }
}

/// Listens, and answers until it is stopped.
pub async fn serve(node: Node, bind: SocketAddr) -> anyhow::Result<HttpServer> {
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("cannot listen on {bind} for HTTP: is another node running?"))?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(node);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(HttpServer { task })
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

async fn metrics(State(node): State<Node>) -> impl IntoResponse {
    let catalog = node.catalog();
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    gauge("ledgermq_topics", "Topics, dead-letter topics included.", catalog.topics.len() as u64);
    gauge("ledgermq_consumer_groups", "Consumer groups.", catalog.consumers.len() as u64);
    gauge("ledgermq_live_nodes", "Nodes that this one can reach, itself included.", {
        node.live_nodes().borrow().len() as u64
    });
    let disk = node.disk();
    gauge("ledgermq_disk_total_bytes", "What the disk holds when it is full.", disk.total_bytes);
    gauge("ledgermq_disk_free_bytes", "What is free of it.", disk.free_bytes);
    gauge(
        "ledgermq_disk_level",
        "0 normal, 1 warn, 2 clean: the oldest messages go, 3 refuse: no messages are taken.",
        disk.level as u64,
    );
    gauge("process_resident_memory_bytes", "Memory of the process.", resident_memory_bytes());
    let mut counter = |name: &str, help: &str, value: u64| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n"));
    };
    counter(
        "ledgermq_messages_skipped_total",
        "Messages that went by retention before a consumer group got them.",
        node.messages_skipped(),
    );
    counter(
        "ledgermq_messages_expired_total",
        "Messages that a consumer group did not get because their time to live was over.",
        node.messages_expired(),
    );
    counter(
        "ledgermq_leaderships_left_total",
        "Leaderships that this node gave away because its disk stood still.",
        node.stalls(),
    );
    text.push_str(
        "# HELP ledgermq_leader Whether this node leads the group.\n# TYPE ledgermq_leader gauge\n",
    );
    for group in &catalog.groups {
        let leads = u8::from(node.leader_of(*group) == Some(node.id()));
        text.push_str(&format!("ledgermq_leader{{group=\"{group}\"}} {leads}\n"));
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// 0 where the operating system does not tell.
fn resident_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
