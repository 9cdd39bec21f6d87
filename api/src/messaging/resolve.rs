//! From names to topics and consumer groups, made on first use where that is allowed.

use std::sync::Arc;

use raft::access::{Action, Target};
use raft::catalog::{Catalog, ConsumerGroup, Topic};
use raft::names::{GroupId, QueueKey};
use raft::request::{NewConsumer, NewTopic, Rejection};
use tokio::time::{Instant, timeout_at};

use crate::check;
use crate::convert::name::DEAD_LETTERS;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::CATALOG_CATCH_UP;
use crate::messaging::caller::Caller;
use crate::port::holdings::Held;

/// The topic of this name.
///
/// # Errors
/// [`Fault::IllegalTopic`], [`Rejection::TopicNotFound`], or what the cluster says when it makes one.
pub async fn topic(edge: &EdgeState, caller: &Caller, name: &str, deadline: Instant) -> Result<Topic, Fault> {
    match edge.node.catalog().topics.get(name) {
        Some(topic) => Ok(topic.clone()),
        None => missing_topic(edge, caller, name, deadline).await,
    }
}

/// The topic of this name, which the catalog did not have a moment ago. Names are checked only
/// here: what is in the catalog was checked when it was made.
///
/// # Errors
/// As [`topic`].
pub async fn missing_topic(
    edge: &EdgeState,
    caller: &Caller,
    name: &str,
    deadline: Instant,
) -> Result<Topic, Fault> {
    check::name::topic(name)?;
    let may_be_made = edge.options.auto_create_topics && !check::name::is_system_topic(name);
    if may_be_made && edge.may(caller, Action::Create, Target::topic(name)) {
        let new = NewTopic {
            name: name.to_owned(),
            kind: edge.options.default_topic_type,
            queues: edge.options.default_queues,
            if_not_exists: true,
            settings: Default::default(),
        };
        let _room = edge.hold(caller, Held::Creates, 1)?;
        return Ok(edge.node.create_topic(new, deadline).await?);
    }
    let found = catch_up(edge, deadline, |catalog| catalog.topics.get(name).cloned()).await;
    found.ok_or_else(|| Rejection::TopicNotFound { name: name.to_owned() }.into())
}

/// The topic of this name, never made here.
///
/// # Errors
/// [`Fault::IllegalTopic`], or [`Rejection::TopicNotFound`].
pub async fn known_topic(edge: &EdgeState, name: &str, deadline: Instant) -> Result<Topic, Fault> {
    if let Some(topic) = edge.node.catalog().topics.get(name) {
        return Ok(topic.clone());
    }
    check::name::topic(name)?;
    let found = catch_up(edge, deadline, |catalog| catalog.topics.get(name).cloned()).await;
    found.ok_or_else(|| Rejection::TopicNotFound { name: name.to_owned() }.into())
}

/// The consumer group of this name.
///
/// # Errors
/// [`Fault::IllegalGroup`], [`Rejection::ConsumerNotFound`], or what the cluster says when it makes one.
pub async fn consumer(
    edge: &EdgeState,
    caller: &Caller,
    name: &str,
    deadline: Instant,
) -> Result<ConsumerGroup, Fault> {
    if let Some(consumer) = edge.node.catalog().consumers.get(name) {
        return Ok(consumer.clone());
    }
    check::name::group(name)?;
    if edge.options.auto_create_groups && edge.may(caller, Action::Create, Target::group(name)) {
        let new = NewConsumer {
            name: name.to_owned(),
            fifo: false,
            max_attempts: edge.options.default_max_attempts,
            start: edge.options.default_start,
            if_not_exists: true,
            settings: Default::default(),
        };
        let _room = edge.hold(caller, Held::Creates, 1)?;
        return Ok(edge.node.create_consumer(new, deadline).await?);
    }
    known_consumer(edge, name, deadline).await
}

/// The consumer group of this name, never made here.
///
/// # Errors
/// [`Rejection::ConsumerNotFound`].
pub async fn known_consumer(edge: &EdgeState, name: &str, deadline: Instant) -> Result<ConsumerGroup, Fault> {
    if let Some(consumer) = edge.node.catalog().consumers.get(name) {
        return Ok(consumer.clone());
    }
    check::name::group(name)?;
    let found = catch_up(edge, deadline, |catalog| catalog.consumers.get(name).cloned()).await;
    found.ok_or_else(|| Rejection::ConsumerNotFound { name: name.to_owned() }.into())
}

/// The queue of a consumer group's dead letters in each of these broker groups, in their order.
///
/// # Errors
/// [`Rejection::TopicNotFound`] when one has none.
pub async fn dead_letter_queues(
    edge: &EdgeState,
    consumer: &ConsumerGroup,
    groups: &[GroupId],
    deadline: Instant,
) -> Result<Vec<QueueKey>, Fault> {
    let name = format!("{DEAD_LETTERS}{}", consumer.name);
    let find = |catalog: &Catalog| {
        let topic = match catalog.topics.get(&name).filter(|topic| topic.id == consumer.dead_letters) {
            Some(topic) => topic,
            None => catalog.topic_by_id(consumer.dead_letters)?,
        };
        groups.iter().map(|group| topic.queues_of(*group).next()).collect()
    };
    if let Some(queues) = find(&edge.node.catalog()) {
        return Ok(queues);
    }
    let found = catch_up(edge, deadline, find).await;
    found.ok_or_else(|| Rejection::TopicNotFound { name: name.clone() }.into())
}

/// Looks again after each change of the catalog, for a short while: what was made on another node
/// a moment ago may not have come here yet.
async fn catch_up<T>(edge: &EdgeState, deadline: Instant, find: impl Fn(&Catalog) -> Option<T>) -> Option<T> {
    let until = deadline.min(Instant::now() + CATALOG_CATCH_UP);
    let mut changes = edge.node.catalog_changes();
    loop {
        let catalog: Arc<Catalog> = edge.node.catalog();
        if let Some(found) = find(&catalog) {
            return Some(found);
        }
        match timeout_at(until, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}
