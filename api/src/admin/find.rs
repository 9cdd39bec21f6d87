//! Messages by id, key, time or offset.

use proto::admin::query_messages_request::By as Asked;
use proto::admin::{self, QueryMessagesRequest, QueryMessagesResponse};
use raft::access::{Action, Target};
use raft::catalog::{Topic, TopicType};
use raft::hash::hash64;
use raft::limits::LITE_QUEUES_FROM;
use raft::node::{FoundMessage, MessagePage, MessageQuery};
use raft::question::{By, Wait};
use raft::request::{Rejection, RequestError};
use store::record::{BodyEncoding, MessageRecord};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::convert::mark::{mark_text, read_mark};
use crate::convert::message_id::by_id;
use crate::convert::name::{DEAD_LETTERS, RETRIES};
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::{FOUND_MESSAGES_DEFAULT, FOUND_MESSAGES_MAX, SEARCHED_TOPICS_MAX};
use crate::messaging::caller::Caller;

pub(super) async fn query(
    edge: &EdgeState,
    request: QueryMessagesRequest,
    deadline: Instant,
) -> Result<QueryMessagesResponse, Fault> {
    let _room = room(edge, deadline).await?;
    let topic = known_topic(edge, &request.topic)?;
    let by = match request.by {
        None => {
            return Err(Fault::BadRequest("say what to look for: an id, a key, a time or an offset".into()));
        }
        Some(Asked::Id(id)) => by_id(&id),
        Some(Asked::Key(key)) => By::Key { hash: hash64(key.as_bytes()), key },
        Some(Asked::Time(time)) => By::Time(unix_ms(time.from_unix_ms)?, unix_ms(time.to_unix_ms)?),
        Some(Asked::Offset(at))
            if (at.queue as usize) < topic.queues.len()
                || topic.kind == TopicType::Lite && at.queue >= LITE_QUEUES_FROM =>
        {
            By::Offset { queue: at.queue, offset: at.offset }
        }
        Some(Asked::Offset(at)) => {
            let count = topic.queues.len();
            let queue = at.queue;
            return Err(Fault::BadRequest(format!(
                "the topic has the queues 0 to {}, not {queue}",
                count - 1
            )));
        }
    };
    let limit = match request.limit as usize {
        0 => FOUND_MESSAGES_DEFAULT,
        limit => limit.min(FOUND_MESSAGES_MAX),
    };
    let after = read_mark(&request.continuation)?;
    let query = MessageQuery { topic: topic.clone(), by, after, limit, from_replica: request.from_replica };
    let page = edge.node.query_messages(query, deadline).await?;
    let messages = page.messages.iter().filter_map(|found| wire_message(&topic, found)).collect();
    let continuation = page.next.map(mark_text).unwrap_or_default();
    Ok(QueryMessagesResponse { messages, continuation, cut: page.cut })
}

/// Waits for the turn of a search.
async fn room(edge: &EdgeState, deadline: Instant) -> Result<SemaphorePermit<'_>, Fault> {
    match timeout_at(deadline, edge.searches.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(RequestError::Overloaded { what: "searches on this node" }.into()),
    }
}

fn unix_ms(ms: i64) -> Result<u64, Fault> {
    u64::try_from(ms).map_err(|_| Fault::BadRequest(format!("the time {ms} lies before 1970")))
}

pub(super) fn known_topic(edge: &EdgeState, name: &str) -> Result<Topic, Fault> {
    let catalog = edge.node.catalog();
    let topic = catalog.topics.get(name).cloned();
    topic.ok_or_else(|| Rejection::TopicNotFound { name: name.to_owned() }.into())
}

/// The copies of a message: in one topic, or in all whose messages the caller may receive. Whether everything was looked
/// at.
pub(super) async fn copies(
    edge: &EdgeState,
    caller: &Caller,
    id: &str,
    topic: &str,
    deadline: Instant,
) -> Result<(Vec<(Topic, FoundMessage)>, bool), Fault> {
    let _room = room(edge, deadline).await?;
    let catalog = edge.node.catalog();
    let topics: Vec<Topic> = match topic {
        "" => {
            let may_see = |topic: &&Topic| edge.may(caller, Action::Subscribe, Target::topic(&topic.name));
            catalog.topics.values().filter(may_see).take(SEARCHED_TOPICS_MAX).cloned().collect()
        }
        name => vec![known_topic(edge, name)?],
    };
    let mut cut = topic.is_empty() && catalog.topics.len() > SEARCHED_TOPICS_MAX;
    let mut found = Vec::new();
    for topic in topics {
        let query = MessageQuery {
            topic: topic.clone(),
            by: by_id(id),
            after: None,
            limit: FOUND_MESSAGES_DEFAULT,
            from_replica: false,
        };
        let page: MessagePage = edge.node.query_messages(query, deadline).await?;
        cut |= page.cut;
        found.extend(page.messages.into_iter().map(|message| (topic.clone(), message)));
    }
    // What was sent stands before what was made of it.
    found.sort_by_key(|(topic, found)| (is_system(&topic.name), found.place.mark));
    Ok((found, cut))
}

fn is_system(topic: &str) -> bool {
    [DEAD_LETTERS, RETRIES].iter().any(|prefix| topic.starts_with(prefix))
}

/// What a message holds.
///
/// # Errors
/// [`Fault::Corrupted`] if that cannot be read.
pub(super) fn found_record(found: &FoundMessage) -> Result<MessageRecord, Fault> {
    MessageRecord::decode(&found.record).map_err(|error| Fault::Corrupted(error.to_string()))
}

/// For the wire; none if the record cannot be read.
pub(super) fn wire_message(topic: &Topic, found: &FoundMessage) -> Option<admin::FoundMessage> {
    let record = MessageRecord::decode(&found.record)
        .inspect_err(|error| tracing::error!(place = ?found.place, %error, "a message cannot be read"))
        .ok()?;
    let place = &found.place;
    let due_ms = match place.wait {
        Some(Wait::Timer { due_ms }) => Some(due_ms as i64),
        _ => None,
    };
    Some(admin::FoundMessage {
        topic: topic.name.clone(),
        sent_to: record.topic,
        message_id: record.message_id,
        tag: record.tag,
        keys: record.keys,
        message_group: record.message_group,
        properties: record.properties.into_iter().collect(),
        body: record.body,
        gzip: record.body_encoding == BodyEncoding::Gzip,
        born_host: record.born_host,
        born_unix_ms: record.born_ms as i64,
        store_host: record.store_host,
        stored_unix_ms: place.stored_ms as i64,
        broker_group: found.group.to_string(),
        queue: place.queue.number,
        offset: place.wait.is_none().then_some(place.number),
        due_unix_ms: due_ms,
        in_transaction: matches!(place.wait, Some(Wait::Transaction { .. })),
        given_up: matches!(place.wait, Some(Wait::GivenUp { .. })),
    })
}
