//! Consumer groups.

use proto::admin::{
    CreateGroupRequest, DeleteGroupRequest, DeleteGroupResponse, DescribeGroupRequest, DescribeGroupResponse,
    GroupClient, GroupResponse, ListGroupsResponse, UpdateGroupRequest,
};
use raft::access::{Action, Target};
use raft::catalog::{ConsumerGroup, Topic};
use raft::request::{NewConsumer, Rejection};
use raft::settings::{GroupChange, GroupSettings};
use tokio::time::Instant;

use super::convert::{start_from, wire_group};
use super::offsets::queue_statuses;
use super::settings::retry_policy;
use crate::check;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::{ATTEMPTS_MAX, DESCRIBED_TOPICS_MAX};
use crate::messaging::caller::Caller;
use crate::session::remote;

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

/// Those that the caller may list.
pub(super) fn list(edge: &EdgeState, caller: &Caller) -> ListGroupsResponse {
    let catalog = edge.node.catalog();
    let listed = |group: &&ConsumerGroup| edge.may(caller, Action::List, Target::group(&group.name));
    ListGroupsResponse { groups: catalog.consumers.values().filter(listed).map(wire_group).collect() }
}

/// Which topics a group reads is nowhere written: they are those that its clients, on any node,
/// subscribe to, and those where it has left a trace.
pub(super) async fn describe(
    edge: &EdgeState,
    request: &DescribeGroupRequest,
    deadline: Instant,
) -> Result<DescribeGroupResponse, Fault> {
    let catalog = edge.node.catalog();
    let group = known(catalog.consumers.get(&request.name), &request.name)?;
    let clients = remote::clients_of(edge, &group.name, deadline).await;
    let subscribes = |topic: &Topic| clients.iter().any(|client| client.topics.contains(&topic.name));
    let mut queues = Vec::new();
    for topic in catalog.topics.values().take(DESCRIBED_TOPICS_MAX) {
        let places = edge.node.own_places(topic, Some(group.id), deadline).await?;
        if places.iter().any(|place| place.begun) || subscribes(topic) {
            queues.extend(queue_statuses(topic, &places));
        }
    }
    let client = |client: remote::ClientReport| GroupClient {
        client_id: client.client_id,
        language: client.language,
        version: client.version,
        address: client.address,
    };
    let clients = clients.into_iter().map(client).collect();
    Ok(DescribeGroupResponse { group: Some(wire_group(group)), queues, clients })
}

pub(super) fn known<'a>(group: Option<&'a ConsumerGroup>, name: &str) -> Result<&'a ConsumerGroup, Fault> {
    group.ok_or_else(|| Rejection::ConsumerNotFound { name: name.to_owned() }.into())
}
