//! Messages by id, key, time, lite topic or consumer group.

use proto::v2::list_message_request::SearchKey;
use proto::v2::{FilterExpression, ListMessageRequest, ListMessageResponse, Message, Resource};
use raft::catalog::{Topic, TopicType};
use raft::clock;
use raft::hash::hash64;
use raft::node::{FoundMessage, MessageQuery};
use raft::question::{By, Mark, MessagePlace};

use super::Call;
use crate::check::message::lite_topic;
use crate::convert::mark::{mark_text, read_mark};
use crate::convert::message::AskedTopic;
use crate::convert::message_id::by_id;
use crate::convert::pulled::pulled;
use crate::convert::status::Fault;
use crate::convert::time::unix_ms;
use crate::delivery::filter;
use crate::limits::{FOUND_MESSAGES_DEFAULT, FOUND_MESSAGES_MAX};
use crate::session::remote;

/// Pages that a request may ask to skip; beyond, it goes on from where the page before ended.
const PAGES_SKIPPED_MAX: i32 = 100;

/// One page, by ascending time of storage.
pub(super) async fn query(
    call: &Call<'_>,
    request: ListMessageRequest,
) -> Result<ListMessageResponse, Fault> {
    let topic = call.topic(request.topic.as_ref())?;
    let asked =
        AskedTopic { resource: request.topic.clone().unwrap_or_default(), full_name: topic.name.clone() };
    let by = by(topic, &request)?;
    let filters = match &request.search_key {
        Some(SearchKey::Subscription(group)) => filters_of(call, group, topic).await?,
        _ => Vec::new(),
    };
    let limit = [request.page_size.unwrap_or_default(), request.max_message_nums]
        .into_iter()
        .find_map(|limit| usize::try_from(limit).ok().filter(|limit| *limit > 0))
        .unwrap_or(FOUND_MESSAGES_DEFAULT)
        .min(FOUND_MESSAGES_MAX);
    let mut after = read_mark(request.scroll_id.as_deref().unwrap_or_default())?;
    let skipped = request.page_num.unwrap_or(1).saturating_sub(1);
    if skipped > PAGES_SKIPPED_MAX {
        return Err(Fault::BadRequest(format!(
            "at most {PAGES_SKIPPED_MAX} pages are skipped: go on with the scroll id of the page before"
        )));
    }
    for _ in 0..skipped.max(0) {
        let page = search(call, topic, (by.clone(), after), limit).await?;
        let Some(next) = page.1 else { return Ok(ListMessageResponse::default()) };
        after = Some(next);
    }
    let (found, next) = search(call, topic, (by, after), limit).await?;
    let of_queue =
        |found: &&FoundMessage| request.queue_id.is_none_or(|queue| found.place.queue.number as i32 == queue);
    let subscribed = |found: &&FoundMessage| {
        let wants = |filter| filter::lets_through(filter, found.place.tag_hash, &found.record);
        filters.is_empty() || filters.iter().any(wants)
    };
    let wanted = found.iter().filter(of_queue).filter(subscribed);
    let messages = wanted.filter_map(|found| wire(found, &asked)).collect();
    Ok(ListMessageResponse {
        messages,
        scroll_id: next.map(mark_text).unwrap_or_default(),
        ..Default::default()
    })
}

fn by(topic: &Topic, request: &ListMessageRequest) -> Result<By, Fault> {
    let from_ms = request.begin_timestamp.as_ref().map_or(0, unix_ms);
    let to_ms = request.end_timestamp.as_ref().map_or_else(clock::now_ms, unix_ms);
    match &request.search_key {
        Some(SearchKey::MessageId(id)) => Ok(by_id(id)),
        Some(SearchKey::MessageKey(key)) => Ok(By::Key { hash: hash64(key.as_bytes()), key: key.clone() }),
        Some(SearchKey::LiteTopic(_)) if topic.kind != TopicType::Lite => {
            Err(Fault::IllegalTopic(format!("topic {} has no lite topics", topic.name)))
        }
        Some(SearchKey::LiteTopic(name)) => {
            lite_topic(name)?;
            Ok(By::LiteTopic { hash: hash64(name.as_bytes()), name: name.clone(), from_ms, to_ms })
        }
        Some(SearchKey::Subscription(_)) | None => Ok(By::Time(from_ms, to_ms)),
    }
}

/// What the connected members of a consumer group want of a topic: a message of its subscription is one that a filter lets
/// through. Nothing if nobody says: then all are.
async fn filters_of(call: &Call<'_>, group: &str, topic: &Topic) -> Result<Vec<FilterExpression>, Fault> {
    let resource = Resource { resource_namespace: String::new(), name: group.to_owned() };
    let group = call.group(Some(&resource))?;
    let clients = remote::clients_of(call.edge, &group.name, call.deadline).await;
    Ok(clients.iter().filter_map(|client| client.filter(&topic.name)).collect())
}

async fn search(
    call: &Call<'_>,
    topic: &Topic,
    (by, after): (By, Option<Mark>),
    limit: usize,
) -> Result<(Vec<FoundMessage>, Option<Mark>), Fault> {
    let query = MessageQuery { topic: topic.clone(), by, after, limit, from_replica: false };
    let page = call.edge.node.query_messages(query, call.deadline).await?;
    Ok((page.messages, page.next))
}

/// The message with this id.
pub(super) async fn by_its_id(
    call: &Call<'_>,
    topic: &Topic,
    resource: &Resource,
    message_id: &str,
) -> Result<Message, Fault> {
    let (found, _) = search(call, topic, (by_id(message_id), None), 1).await?;
    let asked = AskedTopic { resource: resource.clone(), full_name: topic.name.clone() };
    let message = found.first().and_then(|found| wire(found, &asked));
    message
        .ok_or_else(|| Fault::NotFound(format!("there is no message {message_id} in topic {}", topic.name)))
}

/// For the wire; none if the record cannot be read.
fn wire(found: &FoundMessage, asked: &AskedTopic) -> Option<Message> {
    let place = MessagePlace {
        offset: found.place.number,
        stored_ms: found.place.stored_ms,
        position: found.place.position,
        length: found.place.length,
    };
    pulled(found.place.queue, &place, found.record.clone(), asked)
        .inspect_err(|error| tracing::error!(place = ?found.place, %error, "a message cannot be read"))
        .ok()
}
