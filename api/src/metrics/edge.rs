//! Clients of this node, and what they have under way.

use std::fmt;

use proto::v2::ClientType;
use raft::measure::{Counted, Distribution};

use super::page::Page;
use super::picture::Picture;
use crate::edge::EdgeState;

/// One moment of the client edge.
#[derive(Debug)]
pub(super) struct EdgePicture {
    pub incoming: Counted<2>,
    pub outgoing: Counted<2>,
    pub sends_us: Distribution,
    connections: usize,
    long_polls: usize,
    send_kib_free: usize,
    send_kib_max: usize,
    sessions: Vec<(ClientType, u64)>,
    spans_dropped: u64,
}

impl EdgePicture {
    pub(super) fn of(edge: &EdgeState) -> EdgePicture {
        let (incoming, outgoing, sends_us) = edge.counts.read();
        EdgePicture {
            incoming,
            outgoing,
            sends_us,
            connections: edge.connections(),
            long_polls: edge.long_polls_waiting(),
            send_kib_free: edge.send_kib.available_permits(),
            send_kib_max: edge.options.limits.send_bytes_in_flight / 1024,
            sessions: edge.sessions.counts(),
            spans_dropped: edge.options.traces.as_ref().map_or(0, |traces| traces.dropped()),
        }
    }
}

/// The label's value.
fn name(kind: ClientType) -> &'static str {
    match kind {
        ClientType::Producer => "producer",
        ClientType::PushConsumer | ClientType::LitePushConsumer => "push_consumer",
        ClientType::SimpleConsumer => "simple_consumer",
        ClientType::PullConsumer => "pull_consumer",
        _ => "unknown",
    }
}

pub(super) fn write(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let Some(edge) = &picture.edge else { return Ok(()) };
    let mut sessions = std::collections::BTreeMap::from(
        ["producer", "push_consumer", "simple_consumer", "pull_consumer", "unknown"].map(|kind| (kind, 0)),
    );
    edge.sessions.iter().for_each(|(kind, count)| *sessions.entry(name(*kind)).or_default() += count);
    page.gauges(
        "ledgermq_sessions",
        "Clients that this node has heard of lately.",
        sessions.into_iter().map(|(kind, count)| ([("client_type", kind)], count)),
    )?;
    page.gauge("ledgermq_connections", "Connections of clients.", edge.connections)?;
    page.gauge("ledgermq_long_polls", "Receives and pulls under way, most of which wait.", edge.long_polls)?;
    page.gauge(
        "ledgermq_send_bytes_in_flight",
        "Bytes of bodies that are being sent and not yet answered, to the next KiB.",
        edge.send_kib_max.saturating_sub(edge.send_kib_free) * 1024,
    )?;
    page.counter(
        "ledgermq_spans_dropped",
        "Spans of traces that no collector got: there were too many, or it did not take them.",
        edge.spans_dropped,
    )
}
