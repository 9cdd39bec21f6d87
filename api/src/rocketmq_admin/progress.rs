//! How far consumer groups are.

use std::time::Duration;

use futures::future::try_join_all;
use proto::v2::describe_group_accumulation_response::GroupAccumulation;
use proto::v2::query_time_span_response::QueueTimeSpan;
use proto::v2::{
    DescribeGroupAccumulationRequest, DescribeGroupAccumulationResponse, MessageQueue, QueryTimeSpanRequest,
    QueryTimeSpanResponse, ResetGroupOffsetRequest, ResetGroupOffsetResponse, Resource,
};
use raft::catalog::{ConsumerGroup, StartFrom, Topic, TopicType};
use raft::clock;
use raft::hash::hash64;
use raft::names::{GroupId, QueueKey};
use raft::node::MessageQuery;
use raft::question::{By, Pull, QueuePlace};
use raft::request::Filter;
use tokio::time::Instant;

use super::Call;
use crate::check::message::lite_topic;
use crate::convert::name::client_name;
use crate::convert::status::Fault;
use crate::convert::time::{self, wire_duration};
use crate::limits::DESCRIBED_TOPICS_MAX;
use crate::session::remote;

/// What waits for a group and what it holds, as the leaders know it. Messages that the group's filters leave out count
/// until they are passed over.
pub(super) async fn accumulation(
    call: &Call<'_>,
    request: DescribeGroupAccumulationRequest,
) -> Result<DescribeGroupAccumulationResponse, Fault> {
    let group = call.group(request.group.as_ref())?;
    let mut response = DescribeGroupAccumulationResponse::default();
    let mut total = Accumulation::default();
    let topics = topics_of(call, group, &request.topics).await?;
    for topic in &topics {
        let places = call.edge.node.places(topic, Some(group.id), call.deadline).await?;
        let mut sum = Accumulation::default();
        for (number, place) in places.iter().enumerate() {
            let mut of_queue = Accumulation::of(place, group.start);
            if of_queue.accumulation > 0 {
                of_queue.oldest_ms = stored_at(call, place_of(topic, number), oldest(place)).await?;
            }
            sum.add(&of_queue);
        }
        total.add(&sum);
        let name = client_name(&topic.name, call.caller.namespace()).into_owned();
        response.topic_accumulation.insert(name, sum.wire());
    }
    if let Some(name) = &request.lite_topic {
        let sum = of_lite_topic(call, group, &topics, name).await?;
        total.add(&sum);
        response.lite_topic_accumulation.insert(name.clone(), sum.wire());
    }
    response.accumulation = Some(total.wire());
    Ok(response)
}

/// What waits in the lite topics of this name.
async fn of_lite_topic(
    call: &Call<'_>,
    group: &ConsumerGroup,
    topics: &[&Topic],
    name: &str,
) -> Result<Accumulation, Fault> {
    lite_topic(name)?;
    let hash = hash64(name.as_bytes());
    let mut sum = Accumulation::default();
    for topic in topics.iter().filter(|topic| topic.kind == TopicType::Lite) {
        let by = By::LiteTopic { name: name.to_owned(), hash, from_ms: 0, to_ms: u64::MAX };
        // A message of it tells which queue it is.
        let query = MessageQuery { topic: (*topic).clone(), by, after: None, limit: 1, from_replica: false };
        let page = call.edge.node.query_messages(query, call.deadline).await?;
        let Some(found) = page.messages.first() else { continue };
        let queue = (found.group, found.place.queue);
        let place = call.edge.node.place_in(queue.0, queue.1, Some(group.id), call.deadline).await?;
        let mut of_queue = Accumulation::of(&place, group.start);
        if of_queue.accumulation > 0 {
            of_queue.oldest_ms = stored_at(call, queue, oldest(&place)).await?;
        }
        sum.add(&of_queue);
    }
    Ok(sum)
}

/// The topics that are named, or all that the group reads: its clients subscribe to them, or it has read them.
async fn topics_of<'a>(
    call: &'a Call<'_>,
    group: &ConsumerGroup,
    named: &[Resource],
) -> Result<Vec<&'a Topic>, Fault> {
    if !named.is_empty() {
        return named.iter().map(|topic| call.topic(Some(topic))).collect();
    }
    let clients = remote::clients_of(call.edge, &group.name, call.deadline).await;
    let mut topics = Vec::new();
    for topic in call.catalog.topics.values().take(DESCRIBED_TOPICS_MAX) {
        let subscribed = clients.iter().any(|client| client.filters.contains_key(&topic.name));
        let places = call.edge.node.own_places(topic, Some(group.id), call.deadline).await?;
        if subscribed || places.iter().any(|place| place.begun) {
            topics.push(topic);
        }
    }
    Ok(topics)
}

/// The first offset that the group has not settled.
fn oldest(place: &QueuePlace) -> u64 {
    place.state.settled.max(place.state.first)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Accumulation {
    in_flight: u64,
    /// In flight and ready.
    accumulation: u64,
    /// When the oldest of them was stored.
    oldest_ms: Option<u64>,
}

impl Accumulation {
    fn of(place: &QueuePlace, start: StartFrom) -> Accumulation {
        let state = &place.state;
        // A group that has not begun and starts at the end has nothing to catch up with.
        if !place.begun && start == StartFrom::Last {
            return Accumulation::default();
        }
        let fresh = state.end.saturating_sub(state.next.max(state.first));
        Accumulation { in_flight: state.in_flight, accumulation: fresh + state.unsettled, oldest_ms: None }
    }

    fn add(&mut self, other: &Accumulation) {
        self.in_flight += other.in_flight;
        self.accumulation += other.accumulation;
        self.oldest_ms = self.oldest_ms.into_iter().chain(other.oldest_ms).min();
    }

    fn wire(&self) -> GroupAccumulation {
        let delay_ms = self.oldest_ms.map_or(0, |oldest_ms| clock::now_ms().saturating_sub(oldest_ms));
        GroupAccumulation {
            inflight_messages: self.in_flight as i64,
            ready_messages: self.accumulation.saturating_sub(self.in_flight) as i64,
            accumulation: self.accumulation as i64,
            deliver_delay_time: Some(wire_duration(Duration::from_millis(delay_ms))),
            last_consume_timestamp: self.oldest_ms.unwrap_or_default() as i64,
        }
    }
}

/// A queue of a topic, and the group that holds it.
fn place_of(topic: &Topic, number: usize) -> (GroupId, QueueKey) {
    (topic.queues[number], QueueKey { topic: topic.id, number: number as u32 })
}

/// When the first message at an offset or behind it was stored; `None` if there is none.
async fn stored_at(
    call: &Call<'_>,
    (group, queue): (GroupId, QueueKey),
    offset: u64,
) -> Result<Option<u64>, Fault> {
    let pull = Pull { queue, group, offset, max: 1, filter: Filter::All, from_replica: false };
    let pulled = call.edge.node.pull(pull, Instant::now(), call.deadline).await?;
    Ok(pulled.found.places.first().map(|place| place.stored_ms))
}

/// Moves a group in every queue of a topic to what was stored at a time or later; without a time, to the end.
pub(super) async fn reset(
    call: &Call<'_>,
    request: ResetGroupOffsetRequest,
) -> Result<ResetGroupOffsetResponse, Fault> {
    let (group, topic) = (call.group(request.group.as_ref())?, call.topic(request.topic.as_ref())?);
    let to = match &request.reset_timestamp {
        None => StartFrom::Last,
        Some(timestamp) => StartFrom::Time(time::unix_ms(timestamp)),
    };
    call.edge.node.reset_offset(group.id, topic, to, call.deadline).await?;
    Ok(ResetGroupOffsetResponse::default())
}

/// From when to when messages are stored, queue by queue, and how far the group lags behind in time.
pub(super) async fn time_span(
    call: &Call<'_>,
    request: QueryTimeSpanRequest,
) -> Result<QueryTimeSpanResponse, Fault> {
    let group = match &request.group {
        Some(_) => Some(call.group(request.group.as_ref())?),
        None => None,
    };
    let mut spans = Vec::new();
    let topics = match group {
        Some(group) => topics_of(call, group, &request.topics).await?,
        None => request.topics.iter().map(|topic| call.topic(Some(topic))).collect::<Result<_, _>>()?,
    };
    for topic in topics {
        let places = call.edge.node.places(topic, group.map(|group| group.id), call.deadline).await?;
        let of_queues = places.iter().enumerate().map(|(number, place)| span(call, topic, number, place));
        spans.extend(try_join_all(of_queues).await?);
    }
    Ok(QueryTimeSpanResponse { queue_time_span_list: spans, ..Default::default() })
}

async fn span(
    call: &Call<'_>,
    topic: &Topic,
    number: usize,
    place: &QueuePlace,
) -> Result<QueueTimeSpan, Fault> {
    let (state, queue) = (&place.state, place_of(topic, number));
    let min = stored_at(call, queue, state.first).await?;
    let max = match state.end.checked_sub(1).filter(|last| *last >= state.first) {
        Some(last) => stored_at(call, queue, last).await?,
        None => None,
    };
    let waits = match place.begun {
        true => stored_at(call, queue, oldest(place)).await?,
        false => min,
    };
    let namespace = call.caller.namespace();
    let resource = Resource {
        resource_namespace: namespace.to_owned(),
        name: client_name(&topic.name, namespace).into_owned(),
    };
    // Who has settled everything stands at the end.
    let consumed = waits.or(max);
    let delay_ms = waits.map_or(0, |waits| clock::now_ms().saturating_sub(waits));
    Ok(QueueTimeSpan {
        message_queue: Some(MessageQueue {
            topic: Some(resource),
            id: number as i32,
            ..MessageQueue::default()
        }),
        min_timestamp: min.unwrap_or_default() as i64,
        max_timestamp: max.unwrap_or_default() as i64,
        consume_timestamp: consumed.unwrap_or_default() as i64,
        delay_time_ms: delay_ms as i64,
    })
}
