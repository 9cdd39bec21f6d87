//! The story of one message: sent, stored, committed, and what became of it in each consumer group.

use proto::admin::{DeliveryEvent, TraceMessageRequest, TraceMessageResponse, TracedMessage};
use raft::catalog::{Catalog, Topic};
use raft::names::ConsumerId;
use raft::node::FoundMessage;
use raft::question::{Happening, JournalEvent};
use tokio::time::Instant;

use super::find::{copies, wire_message};
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;

pub(super) async fn trace(
    edge: &EdgeState,
    caller: &Caller,
    request: TraceMessageRequest,
    deadline: Instant,
) -> Result<TraceMessageResponse, Fault> {
    let (found, mut cut) = copies(edge, caller, &request.id, &request.topic, deadline).await?;
    let mut messages = Vec::with_capacity(found.len());
    for (topic, message) in found {
        let (traced, events_cut) = trace_copy(edge, &topic, &message, deadline).await?;
        cut |= events_cut;
        messages.push(traced);
    }
    Ok(TraceMessageResponse { messages, cut })
}

async fn trace_copy(
    edge: &EdgeState,
    topic: &Topic,
    found: &FoundMessage,
    deadline: Instant,
) -> Result<(TracedMessage, bool), Fault> {
    let place = &found.place;
    let frame = edge.node.frame_of(found.group, place.position, deadline).await?;
    let mut traced = TracedMessage {
        message: wire_message(topic, found),
        term: frame.map(|frame| frame.term),
        index: frame.map(|frame| frame.index),
        leader_node: frame.map(|frame| frame.leader),
        committed_unix_ms: frame.map(|frame| frame.stamp_ms as i64),
        ..TracedMessage::default()
    };
    if place.wait.is_some() {
        return Ok((traced, false));
    }
    let at = (place.queue, place.number);
    let journal = edge.node.deliveries(found.group, at, None, place.stored_ms, deadline).await?;
    let catalog = edge.node.catalog();
    traced.events = journal.events.iter().map(|event| wire_event(edge, &catalog, event)).collect();
    traced.events_since_unix_ms = journal.since_ms.map(|ms| ms as i64);
    Ok((traced, journal.cut))
}

fn wire_event(edge: &EdgeState, catalog: &Catalog, event: &JournalEvent) -> DeliveryEvent {
    let what = match event.what {
        Happening::Leased => "leased",
        Happening::Settled => "settled",
        Happening::DeadLettered => "dead_lettered",
        Happening::Changed => "changed",
        Happening::GivenBack => "given_back",
        Happening::Released => "released",
    };
    let holds = matches!(event.what, Happening::Leased | Happening::Changed);
    DeliveryEvent {
        unix_ms: event.at_ms as i64,
        what: what.to_owned(),
        group: group_name(catalog, event.consumer),
        attempt: u32::from(event.attempt),
        client: client_name(edge, event.client),
        until_unix_ms: holds.then_some(event.until_ms as i64),
    }
}

fn group_name(catalog: &Catalog, id: ConsumerId) -> String {
    let group = catalog.consumers.values().find(|group| group.id == id);
    group.map_or_else(|| format!("number {} (deleted)", id.0), |group| group.name.clone())
}

/// The client's id if this node knows it, else the hash of it; empty for none.
pub(super) fn client_name(edge: &EdgeState, hash: u64) -> String {
    match hash {
        0 => String::new(),
        hash => edge.sessions.name_of(hash).unwrap_or_else(|| format!("{hash:016x}")),
    }
}
