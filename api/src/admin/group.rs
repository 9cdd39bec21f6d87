//! Consumer groups.

use proto::admin::{
    CreateGroupRequest, DeleteGroupRequest, DeleteGroupResponse, DescribeGroupRequest, DescribeGroupResponse,
    GroupClient, GroupQueueStatus, GroupResponse, ListGroupsResponse, ResetOffsetRequest,
    ResetOffsetResponse, UpdateGroupRequest,
};
use raft::catalog::{ConsumerGroup, Topic};
use raft::request::{NewConsumer, QueueState, Rejection};
use raft::settings::{GroupChange, GroupSettings};
use tokio::time::Instant;

use super::convert::{start_from, wire_group};
use super::settings::retry_policy;
use crate::check;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::{ATTEMPTS_MAX, DESCRIBED_TOPICS_MAX};

pub(super) async fn create(
    edge: &EdgeState,
    request: CreateGroupRequest,
    deadline: Instant,
) -> Result<GroupResponse, Fault> {
    check::name::group(&request.name)?;
    let max_attempts = match request.max_attempts {
        0 => edge.options.default_max_attempts,
        attempts => check_attempts(attempts)?,
    };
    let settings = GroupSettings {
        retry: request.retry.map(retry_policy).transpose()?.unwrap_or_default(),
        paused: false,
        in_flight_max: (request.in_flight_max > 0).then_some(request.in_flight_max),
    };
    let new = NewConsumer {
        name: request.name,
        fifo: request.fifo,
        max_attempts,
        start: start_from(request.start_from, request.start_unix_ms)?.unwrap_or(edge.options.default_start),
        if_not_exists: request.if_not_exists,
        settings,
    };
    let group = edge.node.create_consumer(new, deadline).await?;
    Ok(GroupResponse { group: Some(wire_group(&group)) })
}

/// What is unset stays as it is.
pub(super) async fn update(
    edge: &EdgeState,
    request: UpdateGroupRequest,
    deadline: Instant,
) -> Result<GroupResponse, Fault> {
    let change = GroupChange {
        max_attempts: request.max_attempts.map(check_attempts).transpose()?,
        retry: request.retry.map(retry_policy).transpose()?,
        paused: request.paused,
        in_flight_max: request.in_flight_max,
    };
    let group = edge.node.update_consumer(&request.name, change, deadline).await?;
    Ok(GroupResponse { group: Some(wire_group(&group)) })
}

fn check_attempts(attempts: u32) -> Result<u16, Fault> {
    match u16::try_from(attempts) {
        Ok(number) if (1..=ATTEMPTS_MAX).contains(&attempts) => Ok(number),
        _ => Err(Fault::BadRequest(format!("a message has 1 to {ATTEMPTS_MAX} attempts, not {attempts}"))),
    }
}

pub(super) async fn delete(
    edge: &EdgeState,
    request: DeleteGroupRequest,
    deadline: Instant,
) -> Result<DeleteGroupResponse, Fault> {
    edge.node.delete_consumer(&request.name, deadline).await?;
    Ok(DeleteGroupResponse {})
}

pub(super) fn list(edge: &EdgeState) -> ListGroupsResponse {
    let catalog = edge.node.catalog();
    ListGroupsResponse { groups: catalog.consumers.values().map(wire_group).collect() }
}

/// Which topics a group reads is nowhere written: they are those that its clients on this node
/// subscribe to, and those where it has left a trace.
pub(super) async fn describe(
    edge: &EdgeState,
    request: DescribeGroupRequest,
    deadline: Instant,
) -> Result<DescribeGroupResponse, Fault> {
    let catalog = edge.node.catalog();
    let group = known(catalog.consumers.get(&request.name), &request.name)?;
    let subscribed = edge.sessions.topics_of(&group.name);
    let mut queues = Vec::new();
    for topic in catalog.topics.values().take(DESCRIBED_TOPICS_MAX) {
        let states = edge.node.queue_states(topic, Some(group.id), deadline).await?;
        let traces = states.iter().any(|state| state.settled > 0 || state.next > 0 || state.in_flight > 0);
        if traces || subscribed.contains(&topic.name) {
            queues.extend(queue_statuses(topic, &states));
        }
    }
    let client = |(client_id, facts): (String, crate::session::registry::ClientFacts)| GroupClient {
        client_id,
        language: facts.language.name().to_owned(),
        version: facts.version,
        address: facts.address,
    };
    let clients = edge.sessions.clients_of(&group.name).into_iter().map(client).collect();
    Ok(DescribeGroupResponse { group: Some(wire_group(group)), queues, clients })
}

pub(super) async fn reset_offset(
    edge: &EdgeState,
    request: ResetOffsetRequest,
    deadline: Instant,
) -> Result<ResetOffsetResponse, Fault> {
    let catalog = edge.node.catalog();
    let group = known(catalog.consumers.get(&request.group), &request.group)?;
    let Some(topic) = catalog.topics.get(&request.topic) else {
        return Err(Rejection::TopicNotFound { name: request.topic }.into());
    };
    let Some(to) = start_from(request.to, request.unix_ms)? else {
        return Err(Fault::BadRequest("say where to: first, last or a time".into()));
    };
    edge.node.reset_offset(group.id, topic, to, deadline).await?;
    let states = edge.node.queue_states(topic, Some(group.id), deadline).await?;
    Ok(ResetOffsetResponse { queues: queue_statuses(topic, &states).collect() })
}

fn known<'a>(group: Option<&'a ConsumerGroup>, name: &str) -> Result<&'a ConsumerGroup, Fault> {
    group.ok_or_else(|| Rejection::ConsumerNotFound { name: name.to_owned() }.into())
}

fn queue_statuses(topic: &Topic, states: &[QueueState]) -> impl Iterator<Item = GroupQueueStatus> {
    states.iter().enumerate().map(|(queue, state)| GroupQueueStatus {
        topic: topic.name.clone(),
        queue: queue as u32,
        settled_offset: state.settled,
        next_offset: state.next,
        end_offset: state.end,
        in_flight: state.in_flight,
        lag: state.end.saturating_sub(state.settled.max(state.first)),
    })
}
