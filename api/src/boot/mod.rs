//! One node as a process: from its options to its end.

pub mod access;
pub mod data_lock;
pub mod logging;
pub mod open_files;
pub mod panic;
pub mod peer_tls;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use raft::catalog::{NodeInfo, StartFrom};
use raft::features::FeatureLevel;
use raft::names::NodeId;
use raft::node::{Node, NodeOptions, TransactionChecks, Tuning};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::gate::AccessControl;
use crate::cli::exit::Failure;
use crate::edge::{self, Edge};
use crate::edge_options::{EdgeLimits, EdgeOptions, TlsOptions};
use crate::http::HttpOptions;
use crate::metrics::Exporter;
use crate::options::{DefaultStart, Member, Options};
use crate::traces::{TraceOptions, Traces};
use data_lock::DataLock;

/// How long a node that is told to stop may take to hand over and to finish what is in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a certificate is kept that was made here, within the data directory.
const TLS_DIRECTORY: &str = "tls";

/// Runs a node until it is told to stop (SIGTERM, SIGINT) or must (a disk failed). `announce` is
/// called once, when it listens.
pub async fn run(options: Options, announce: impl FnOnce(&Options)) -> Result<(), Failure> {
    open_files::raise_limit();
    let _lock = DataLock::take(&options.node.data)?;
    let mut stop = StopSignals::listen()?;
    let access = access::prepare(&options)?;
    let node = tokio::select! {
        node = start(&options) => node.map_err(|error| Failure::of_chain(&error))?,
        _ = stop.next() => return Ok(()),
    };
    let stopping = CancellationToken::new();
    let traces = traces(&options)?;
    let ports = async {
        let exporter = Exporter::new(node.clone(), &options.cluster.name, &options.node_name());
        let shutdown = stopping.clone().cancelled_owned();
        let control = access.as_ref().map_or_else(Default::default, |access| access.control.clone());
        let http_options = http_options(&options, control.clone())?;
        let http = crate::http::serve(node.clone(), exporter.clone(), http_options).await?;
        let edge_options = EdgeOptions { traces: traces.clone(), access: control, ..edge_options(&options)? };
        let edge = edge::serve(node.clone(), edge_options, shutdown).await?;
        exporter.watch(&edge);
        anyhow::Ok((http, edge))
    };
    let (http, mut edge) = ports.await.map_err(|error| Failure::of_chain(&error))?;
    tracing::info!(node = %node.id(), name = options.node_name(), grpc = %edge.address, "listening");
    announce(&options);
    if let Some(access) = access {
        access::begin(access, node.clone(), stopping.clone());
    }

    let result = tokio::select! {
        reason = node.failed() => Err(match node.is_removed() {
            true => {
                // Its clients are to go to others, without an error.
                stopping.cancel();
                drain(&node, edge, traces).await;
                Failure::Failed(format!(
                    "the node stopped: {reason}. Its data is needed no more. Started again with cluster.seeds it joins \
                     as a new node"
                ))
            }
            false if node.is_outdated() => Failure::Failed(format!("the node stopped: {reason}")),
            false => Failure::Disk(format!(
                "the node stopped: {reason}. Nothing acknowledged is lost; look at the disk, then start the node again"
            )),
        }),
        ended = &mut edge.task => Err(Failure::Failed(format!("the gRPC server ended: {ended:?}"))),
        name = stop.next() => {
            tracing::info!(signal = name, "stopping: finishes what is in flight, hands leaderships on");
            stopping.cancel();
            tokio::select! {
                () = drain(&node, edge, traces) => tracing::info!("stopped"),
                _ = stop.next() => tracing::warn!("stopped at once, by a second signal"),
            }
            Ok(())
        }
    };
    http.stop();
    result
}

async fn start(options: &Options) -> anyhow::Result<Node> {
    let node_options = node_options(options)?;
    let tls = node_options.tls.clone();
    let node = Node::start(node_options).await.context("cannot start the node")?;
    peer_tls::keep_fresh(tls);
    Ok(node)
}

/// Lets the edge finish first: its requests need the node.
async fn drain(node: &Node, edge: Edge, traces: Option<Arc<Traces>>) {
    match tokio::time::timeout(DRAIN_TIMEOUT, edge.task).await {
        Ok(Ok(Ok(()))) => {}
        Ok(ended) => tracing::warn!(?ended, "the gRPC server ended with an error"),
        Err(_) => tracing::warn!("requests in flight were cut off"),
    }
    node.drain(Instant::now() + DRAIN_TIMEOUT).await;
    if let Some(traces) = traces {
        traces.close().await;
    }
}

/// What traces calls, if there is a collector.
fn traces(options: &Options) -> Result<Option<Arc<Traces>>, Failure> {
    let section = &options.tracing;
    if section.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let options = TraceOptions {
        endpoint: section.otlp_endpoint.clone(),
        sample_ratio: section.sample_ratio.0,
        service: section.service_name.clone(),
        node: options.node_name(),
        cluster: options.cluster.name.clone(),
    };
    Traces::start(&options).map(Some).map_err(Failure::Usage)
}

/// The certificate of the ports for clients and for HTTP.
fn certificate(options: &Options) -> TlsOptions {
    let file = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
    TlsOptions {
        cert: file(&options.grpc.tls_cert),
        key: file(&options.grpc.tls_key),
        client_authority: file(&options.access.client_authority),
        directory: options.node.data.join(TLS_DIRECTORY),
        only: false,
    }
}

fn http_options(options: &Options, access: AccessControl) -> anyhow::Result<HttpOptions> {
    Ok(HttpOptions {
        bind: address("http.bind", &options.http.bind)?,
        tls: TlsOptions { only: options.http.tls_only, ..certificate(options) },
        access,
        cluster: options.cluster.name.clone(),
    })
}

fn edge_options(options: &Options) -> anyhow::Result<EdgeOptions> {
    let messaging = &options.messaging;
    Ok(EdgeOptions {
        bind: address("grpc.bind", &options.grpc.bind)?,
        stand_in_for: options
            .grpc
            .stand_in_for
            .iter()
            .map(|neighbour| address("grpc.stand_in_for", neighbour))
            .collect::<anyhow::Result<_>>()?,
        tls: TlsOptions { only: options.grpc.tls_only, ..certificate(options) },
        auto_create_topics: messaging.auto_create_topics,
        auto_create_groups: messaging.auto_create_groups,
        default_queues: messaging.default_queues,
        default_max_attempts: messaging.default_max_attempts,
        default_start: match messaging.default_start {
            DefaultStart::First => StartFrom::First,
            DefaultStart::Last => StartFrom::Last,
        },
        max_delay_days: messaging.max_delay_days,
        limits: EdgeLimits {
            connections: open_files::room_for_connections(options.limits.connections),
            ..options.limits.over(EdgeLimits {
                client_messages_per_s: messaging.client_messages_per_second,
                client_bytes_per_s: messaging.client_bytes_per_second.0,
                ..EdgeLimits::default()
            })
        },
        transaction_check_after: options.transactions.check_after_ms.duration(),
        cluster: options.cluster.name.clone(),
        ..EdgeOptions::default()
    })
}

fn node_options(options: &Options) -> anyhow::Result<NodeOptions> {
    let info = |member: Member| NodeInfo {
        id: NodeId(member.id),
        name: member.name,
        grpc: member.grpc,
        http: member.http,
        peer: member.peer,
        incarnation: 0,
    };
    Ok(NodeOptions {
        cluster: options.cluster.name.clone(),
        id: NodeId(options.node_id()),
        members: options.members().into_iter().map(info).collect(),
        seeds: options.cluster.seeds.clone(),
        peer_bind: address("peer.bind", &options.peer.bind)?,
        data: options.node.data.clone(),
        broker_groups: options.cluster.broker_groups,
        tuning: Tuning {
            heartbeat: options.raft.heartbeat_ms.duration(),
            election_timeout: options.raft.election_timeout_ms.duration(),
            segment_bytes: options.log.segment_bytes.0,
            tail_cache_bytes: usize::try_from(options.log.tail_cache_bytes.0)?,
            table_memory_bytes: usize::try_from(options.tables.memory_bytes.0)?,
            snapshot_log_bytes: options.raft.snapshot_log_bytes.0,
            snapshot_entries_kept: options.raft.snapshot_entries_kept,
            snapshot_bytes_per_s: options.raft.snapshot_bytes_per_second.0,
            retention: options.retention.tuning(),
            disk: options.disk.tuning(),
        },
        transaction_checks: TransactionChecks {
            interval: options.transactions.check_interval_ms.duration(),
            limit: options.transactions.check_limit,
            open_max: Duration::from_secs(3600 * u64::from(options.transactions.open_max_hours)),
        },
        reads_up_to: FeatureLevel::NEWEST,
        tls: peer_tls::read(options)?,
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
