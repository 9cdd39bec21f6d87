//! Where consumer groups stand, and moves to other places.

use proto::admin::{
    GroupOffsetsRequest, GroupOffsetsResponse, GroupQueueStatus, ResetOffsetRequest, ResetOffsetResponse,
};
use raft::catalog::{ConsumerGroup, StartFrom, Topic};
use raft::command::OffsetTarget;
use raft::question::QueuePlace;
use raft::request::Rejection;
use tokio::time::Instant;

use super::convert::start_from;
use super::group::known;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::messaging::offset::{committed, within};

pub(super) async fn group_offsets(
    edge: &EdgeState,
    request: GroupOffsetsRequest,
    deadline: Instant,
) -> Result<GroupOffsetsResponse, Fault> {
    let (group, topic) = named(edge, &request.group, request.topic)?;
    let places = edge.node.places(&topic, Some(group.id), deadline).await?;
    Ok(GroupOffsetsResponse { queues: queue_statuses(&topic, &places).collect() })
}

pub(super) async fn reset_offset(
    edge: &EdgeState,
    request: ResetOffsetRequest,
    deadline: Instant,
) -> Result<ResetOffsetResponse, Fault> {
    let to = start_from(request.to, request.unix_ms)?;
    let (group, topic) = named(edge, &request.group, request.topic)?;
    if request.preview {
        let target = match (to, request.queue, request.offset) {
            (Some(to), _, None) => OffsetTarget::Start(to),
            (None, Some(_), Some(offset)) => OffsetTarget::Offset(offset),
            _ => return Err(nowhere()),
        };
        return preview(edge, &group, &topic, (request.queue, target), deadline).await;
    }
    match (to, request.queue, request.offset) {
        (Some(to), queue, None) => move_all(edge, &group, &topic, queue, to, deadline).await?,
        (None, Some(queue), Some(offset)) => {
            let end = edge.node.place(&topic, queue, None, deadline).await?.state.end;
            within(offset, queue, end)?;
            let to = OffsetTarget::Offset(offset);
            edge.node.move_to(group.id, &topic, queue, to, deadline).await?;
        }
        _ => return Err(nowhere()),
    }
    let places = edge.node.places(&topic, Some(group.id), deadline).await?;
    Ok(ResetOffsetResponse { queues: queue_statuses(&topic, &places).collect() })
}

fn nowhere() -> Fault {
    Fault::BadRequest("say where to: first, last, a time, or an offset of one queue".into())
}

/// Where the consumer group would be in each queue, if it was moved now. Nothing is moved.
async fn preview(
    edge: &EdgeState,
    group: &ConsumerGroup,
    topic: &Topic,
    (only, target): (Option<u32>, OffsetTarget),
    deadline: Instant,
) -> Result<ResetOffsetResponse, Fault> {
    let mut places = edge.node.places(topic, Some(group.id), deadline).await?;
    if let Some(queue) = only.filter(|queue| *queue as usize >= places.len()) {
        let (name, last) = (&topic.name, places.len().saturating_sub(1));
        return Err(Fault::BadRequest(format!("topic {name} has the queues 0 to {last}, not {queue}")));
    }
    for (number, place) in (0u32..).zip(&mut places) {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let state = &mut place.state;
        let to = match target {
            OffsetTarget::Start(StartFrom::First) => state.first,
            OffsetTarget::Start(StartFrom::Last) => state.end,
            OffsetTarget::Start(StartFrom::Time(time_ms)) => {
                edge.node.offset_at(topic, number, time_ms, deadline).await?
            }
            OffsetTarget::Offset(offset) => {
                within(offset, number, state.end)?;
                offset.max(state.first)
            }
        };
        (state.settled, state.next, state.in_flight) = (to, to, 0);
    }
    Ok(ResetOffsetResponse { queues: queue_statuses(topic, &places).collect() })
}

/// In one queue, or in every one.
async fn move_all(
    edge: &EdgeState,
    group: &ConsumerGroup,
    topic: &Topic,
    queue: Option<u32>,
    to: StartFrom,
    deadline: Instant,
) -> Result<(), Fault> {
    match queue {
        Some(queue) => {
            edge.node.move_to(group.id, topic, queue, OffsetTarget::Start(to), deadline).await?;
        }
        None => edge.node.reset_offset(group.id, topic, to, deadline).await?,
    }
    Ok(())
}

fn named(edge: &EdgeState, group: &str, topic: String) -> Result<(ConsumerGroup, Topic), Fault> {
    let catalog = edge.node.catalog();
    let group = known(catalog.consumers.get(group), group)?;
    let Some(topic) = catalog.topics.get(&topic) else {
        return Err(Rejection::TopicNotFound { name: topic }.into());
    };
    Ok((group.clone(), topic.clone()))
}

/// For the wire, in the order of the queues.
pub(super) fn queue_statuses(topic: &Topic, places: &[QueuePlace]) -> impl Iterator<Item = GroupQueueStatus> {
    places.iter().enumerate().map(|(queue, place)| GroupQueueStatus {
        topic: topic.name.clone(),
        queue: queue as u32,
        settled_offset: place.state.settled,
        next_offset: place.state.next,
        end_offset: place.state.end,
        in_flight: place.state.in_flight,
        lag: place.state.end.saturating_sub(committed(&place.state)),
        first_offset: place.state.first,
        begun: place.begun,
    })
}
