//! What goes through the cluster.

use proto::admin::{NodeTraffic, TrafficRequest, TrafficResponse, TrafficSample};
use tokio::time::Instant;

use crate::edge::EdgeState;
use crate::session::remote::{self, TrafficTold};
use crate::traffic::Sample;

/// Of every node that answers.
pub(super) async fn traffic(edge: &EdgeState, request: TrafficRequest, deadline: Instant) -> TrafficResponse {
    let since_ms = u64::try_from(request.since_unix_ms).unwrap_or(0);
    let told = remote::traffic(edge, since_ms, deadline).await;
    let nodes = told.into_iter().map(|(node, told)| wire(node.0, &told)).collect();
    TrafficResponse { nodes }
}

fn wire(node: u64, told: &TrafficTold) -> NodeTraffic {
    NodeTraffic {
        node,
        samples: told.history.iter().map(sample).collect(),
        now: Some(sample(&told.now)),
        sync_p50_us: told.sync_p50_us,
        sync_p99_us: told.sync_p99_us,
        clients: told.clients,
        connections: told.connections,
    }
}

fn sample(sample: &Sample) -> TrafficSample {
    let rates = &sample.per_second;
    TrafficSample {
        unix_ms: sample.unix_ms as i64,
        messages_in_per_s: rates.messages_in,
        bytes_in_per_s: rates.bytes_in,
        messages_out_per_s: rates.messages_out,
        bytes_out_per_s: rates.bytes_out,
        failed_per_s: rates.failed,
    }
}
