//! One node as a process: from its options to its end.

pub mod data_lock;
pub mod logging;
pub mod panic;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use raft::catalog::NodeInfo;
use raft::names::NodeId;
use raft::node::{Node, NodeOptions, Tuning};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::cli::exit::Failure;
use crate::options::{Member, Options};
use data_lock::DataLock;

/// How long a node that is told to stop may take to hand over and to finish what is in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a node until it is told to stop (SIGTERM, SIGINT) or must (a disk failed). `announce` is
/// called once, when it listens.
pub async fn run(options: Options, announce: impl FnOnce(&Options)) -> Result<(), Failure> {
    let _lock = DataLock::take(&options.node.data)?;
    let mut stop = StopSignals::listen()?;
    let failed = |error: anyhow::Error| Failure::of_chain(&error);
    let node = tokio::select! {
        node = Node::start(node_options(&options).map_err(failed)?) => {
            node.context("cannot start the node").map_err(failed)?
        }
        _ = stop.next() => return Ok(()),
    };
    let http = crate::http::serve(node.clone(), address("http.bind", &options.http.bind).map_err(failed)?)
        .await
        .map_err(failed)?;
    announce(&options);
    tracing::info!(node = %node.id(), name = options.node_name(), grpc = options.advertised(), "listening");

    let result = tokio::select! {
        reason = node.failed() => Err(Failure::Disk(format!(
            "the node stopped: {reason}. Nothing acknowledged is lost; look at the disk, then start the node again"
        ))),
        name = stop.next() => {
            tracing::info!(signal = name, "stopping: leaderships are handed on");
            Ok(())
        }
    };
    if result.is_ok() {
        let drained = tokio::select! {
            () = node.drain(Instant::now() + DRAIN_TIMEOUT) => true,
            _ = stop.next() => false,
        };
        tracing::info!(drained, "stopped");
    }
    http.stop();
    result
}

fn node_options(options: &Options) -> anyhow::Result<NodeOptions> {
    let info = |member: Member| NodeInfo {
        id: NodeId(member.id),
        name: member.name,
        grpc: member.grpc,
        http: member.http,
        peer: member.peer,
    };
    Ok(NodeOptions {
        cluster: options.cluster.name.clone(),
        id: NodeId(options.node.id),
        members: options.members().into_iter().map(info).collect(),
        peer_bind: address("peer.bind", &options.peer.bind)?,
        data: options.node.data.clone(),
        broker_groups: options.cluster.broker_groups,
        tuning: Tuning {
            heartbeat: options.raft.heartbeat_ms.duration(),
            election_timeout: options.raft.election_timeout_ms.duration(),
            segment_bytes: options.log.segment_bytes.0,
            tail_cache_bytes: usize::try_from(options.log.tail_cache_bytes.0)?,
            table_memory_bytes: usize::try_from(options.tables.memory_bytes.0)?,
        },
    })
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| format!("{key} is `{text}`"))
}

/// The signals that ask a node to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignals {
    fn listen() -> Result<StopSignals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::io("listen for signals", &error));
        Ok(StopSignals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The name of the next one. A hangup counts only where there is a terminal to hang up.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => if std::io::stdin().is_terminal() { return "SIGHUP" },
            }
        }
    }
}
