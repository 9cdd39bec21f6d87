//! Topics.

use std::time::Duration;

use proto::admin::{
    CreateTopicRequest, DeleteTopicRequest, DeleteTopicResponse, DescribeTopicRequest, DescribeTopicResponse,
    GroupBehindSpread, ListTopicsRequest, ListTopicsResponse, QueueStatus, SpreadTopicRequest, TopicResponse,
    UpdateTopicRequest,
};
use raft::access::{Action, Target};
use raft::catalog::TopicType;
use raft::request::{NewTopic, Rejection};
use raft::settings::TopicSettings;
use tokio::time::Instant;

use super::convert::{topic_type, wire_topic};
use super::settings::topic_settings;
use crate::check;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::{QUEUES_MAX, SPREAD_WITHIN};
use crate::messaging::caller::Caller;

pub(super) async fn create(
    edge: &EdgeState,
    request: CreateTopicRequest,
    deadline: Instant,
) -> Result<TopicResponse, Fault> {
    check::name::topic(&request.name)?;
    let queues = match request.queues {
        0 => edge.options.default_queues,
        queues => check_queues(queues)?,
    };
    let kind = topic_type(request.r#type)?.unwrap_or(edge.options.default_topic_type);
    let settings = topic_settings(request.settings)?;
    check_lite(&request.name, kind, &settings)?;
    let if_not_exists = request.if_not_exists;
    let new = NewTopic { name: request.name, kind, queues, if_not_exists, settings };
    let topic = edge.node.create_topic(new, deadline).await?;
    Ok(TopicResponse { topic: Some(wire_topic(&topic)) })
}

pub(super) async fn update(
    edge: &EdgeState,
    request: UpdateTopicRequest,
    deadline: Instant,
) -> Result<TopicResponse, Fault> {
    let kind = request.r#type.map(topic_type).transpose()?.flatten();
    let queues = request.queues.map(check_queues).transpose()?;
    let settings = topic_settings(request.settings)?;
    let known = edge.node.catalog().topics.get(&request.name).map(|topic| topic.kind);
    if let Some(kind) = kind.or(known) {
        check_lite(&request.name, kind, &settings)?;
    }
    let topic = edge.node.update_topic(&request.name, kind, queues, settings, deadline).await?;
    Ok(TopicResponse { topic: Some(wire_topic(&topic)) })
}

pub(super) async fn spread(
    edge: &EdgeState,
    request: SpreadTopicRequest,
    deadline: Instant,
) -> Result<TopicResponse, Fault> {
    let within = match request.within_ms {
        0 => SPREAD_WITHIN,
        within_ms => Duration::from_millis(within_ms),
    };
    let topic = match request.give_up {
        false => edge.node.spread_topic(&request.name, within, deadline).await?,
        true => edge.node.give_spread_up(&request.name, deadline).await?,
    };
    Ok(TopicResponse { topic: Some(wire_topic(&topic)) })
}

/// Only lite topics are ever idle.
fn check_lite(name: &str, kind: TopicType, settings: &TopicSettings) -> Result<(), Fault> {
    match settings.lite_idle_ms.filter(|idle_ms| *idle_ms > 0) {
        Some(_) if kind != TopicType::Lite => {
            Err(Fault::BadRequest(format!("topic {name} has no lite topics that could be idle")))
        }
        _ => Ok(()),
    }
}

fn check_queues(queues: u32) -> Result<u32, Fault> {
    if (1..=QUEUES_MAX).contains(&queues) {
        return Ok(queues);
    }
    Err(Fault::BadRequest(format!("a topic has 1 to {QUEUES_MAX} queues, not {queues}")))
}

pub(super) async fn delete(
    edge: &EdgeState,
    request: DeleteTopicRequest,
    deadline: Instant,
) -> Result<DeleteTopicResponse, Fault> {
    edge.node.delete_topic(&request.name, deadline).await?;
    Ok(DeleteTopicResponse {})
}

pub(super) async fn describe(
    edge: &EdgeState,
    request: DescribeTopicRequest,
    deadline: Instant,
) -> Result<DescribeTopicResponse, Fault> {
    let catalog = edge.node.catalog();
    let Some(topic) = catalog.topics.get(&request.name) else {
        return Err(Rejection::TopicNotFound { name: request.name }.into());
    };
    let places = edge.node.places(topic, None, deadline).await?;
    let status =
        |(queue, (group, place)): (usize, (&raft::names::GroupId, raft::question::QueuePlace))| QueueStatus {
            queue: queue as u32,
            broker_group: group.to_string(),
            leader_node: edge.node.leader_of(*group).map_or(0, |leader| leader.0),
            first_offset: place.state.first,
            next_offset: place.state.end,
        };
    let queues = topic.queues.iter().zip(places).enumerate().map(status).collect();
    let behind = edge.node.behind_spread(topic, deadline).await?.into_iter();
    let behind_spread = behind.map(|(group, messages)| GroupBehindSpread { group, messages }).collect();
    Ok(DescribeTopicResponse { topic: Some(wire_topic(topic)), queues, behind_spread })
}

/// Those that the caller may list.
pub(super) fn list(edge: &EdgeState, caller: &Caller, request: &ListTopicsRequest) -> ListTopicsResponse {
    let catalog = edge.node.catalog();
    let listed = |name: &str| {
        (request.all || !check::name::is_system_topic(name))
            && edge.may(caller, Action::List, Target::topic(name))
    };
    let topics = catalog.topics.values().filter(|topic| listed(&topic.name)).map(wire_topic).collect();
    ListTopicsResponse { topics }
}
