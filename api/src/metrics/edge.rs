//! Clients of this node, and what they have under way.

use std::fmt;

use proto::v2::ClientType;
use raft::measure::{Counted, Distribution};

use super::page::Page;
use super::picture::Picture;
use crate::edge::EdgeState;
use crate::port::cut::{CUTS, Cut};
use crate::port::holdings::{HELD, Held};

/// One moment of the client edge.
#[derive(Debug)]
pub(super) struct EdgePicture {
    pub incoming: Counted<2>,
    pub outgoing: Counted<2>,
    pub sends_us: Distribution,
    held: [(Held, usize); HELD.len()],
    refused: [(Held, u64); HELD.len()],
    cuts: [(Cut, u64); CUTS.len()],
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
            held: HELD.map(|what| (what, edge.holdings.held(what))),
            refused: HELD.map(|what| (what, edge.holdings.refused(what))),
            cuts: CUTS.map(|why| (why, edge.cuts.get(why))),
            sessions: edge.sessions.counts(),
            spans_dropped: edge.options.traces.as_ref().map_or(0, |traces| traces.dropped()),
        }
    }
}

/// What is held, as a metric.
fn gauge(what: Held) -> (&'static str, &'static str) {
    match what {
        Held::Connections => ("ledgermq_connections", "Connections of clients."),
        Held::Requests => ("ledgermq_requests", "Requests of clients under way, streams among them."),
        Held::RequestBytes => {
            ("ledgermq_request_bytes", "Bytes of requests that are not yet read to their end.")
        }
        Held::LongPolls => ("ledgermq_long_polls", "Receives and pulls under way, most of which wait."),
        Held::SendBytes => {
            ("ledgermq_send_bytes_in_flight", "Bytes of bodies that are being sent and not yet answered.")
        }
        Held::AnswerBytes => {
            ("ledgermq_answer_bytes", "Bytes of messages that clients were given and have not yet read.")
        }
        Held::Creates => {
            ("ledgermq_creates", "Topics and consumer groups that are being made by their first use.")
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
    for (what, held) in edge.held {
        let (name, help) = gauge(what);
        page.gauge(name, help, held)?;
    }
    page.counters(
        "ledgermq_refused",
        "How often there was no room for more, in all or for one address.",
        edge.refused.map(|(what, count)| ([("what", what.name())], count)),
    )?;
    page.counters(
        "ledgermq_connections_cut",
        "Connections of clients that were cut for what they did.",
        edge.cuts.map(|(why, count)| ([("why", why.name())], count)),
    )?;
    page.counter(
        "ledgermq_spans_dropped",
        "Spans of traces that no collector got: there were too many, or it did not take them.",
        edge.spans_dropped,
    )
}
