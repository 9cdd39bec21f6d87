//! Dead letters: what there is, and sending it again.

use proto::admin::{
    DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse, ResendDeadLettersRequest,
    ResendDeadLettersResponse, ResendResult, resend_result,
};
use raft::catalog::{Catalog, Topic};
use raft::limits::{DEAD_LETTERS_PAGE_MAX, RESEND_MAX};
use raft::names::QueueKey;
use raft::request::{self, DeadLettersWanted, Rejection};
use store::record::MessageRecord;
use tokio::time::Instant;

use crate::convert::name::DEAD_LETTERS;
use crate::convert::status::Fault;
use crate::edge::EdgeState;

/// The topic of a consumer group's dead letters; it outlives the group.
fn dead_letters_of<'a>(catalog: &'a Catalog, group: &str) -> Result<&'a Topic, Fault> {
    let topic = catalog.topics.get(&format!("{DEAD_LETTERS}{group}"));
    topic.ok_or_else(|| Rejection::ConsumerNotFound { name: group.to_owned() }.into())
}

/// One page: from the cursor on, until there are enough or so many were looked at.
pub(super) async fn list(
    edge: &EdgeState,
    request: ListDeadLettersRequest,
    deadline: Instant,
) -> Result<ListDeadLettersResponse, Fault> {
    let catalog = edge.node.catalog();
    let topic = dead_letters_of(&catalog, &request.group)?;
    let (mut queue, mut from) = read_cursor(&request.cursor)?;
    let limit = match request.limit as usize {
        0 => DEAD_LETTERS_PAGE_MAX,
        limit => limit.min(DEAD_LETTERS_PAGE_MAX),
    };
    let by_record = !request.message_ids.is_empty();
    let mut letters = Vec::new();
    let mut looked = 0;
    while letters.len() < limit && looked < DEAD_LETTERS_PAGE_MAX {
        let Some(group) = topic.queues.get(queue as usize) else { break };
        let wanted = DeadLettersWanted {
            group: *group,
            queue: QueueKey { topic: topic.id, number: queue },
            from,
            max: if by_record { DEAD_LETTERS_PAGE_MAX } else { limit - letters.len() },
            with_records: by_record || !request.places_only,
        };
        let page = edge.node.dead_letters(&wanted, deadline).await?;
        let Some(last) = page.last() else {
            (queue, from) = (queue + 1, 0);
            continue;
        };
        looked += page.len();
        from = last.offset.0 + 1;
        for letter in page {
            if let Some(wire) = asked_for(&request, &catalog, &letter) {
                letters.push(wire);
                if letters.len() == limit {
                    from = letter.offset.0 + 1;
                    break;
                }
            }
        }
    }
    let cursor = match (queue as usize) < topic.queues.len() {
        true => format!("{queue}:{from}"),
        false => String::new(),
    };
    Ok(ListDeadLettersResponse { letters, cursor })
}

/// As the service shows it, if it is among those that the request is about.
fn asked_for(
    request: &ListDeadLettersRequest,
    catalog: &Catalog,
    letter: &request::DeadLetter,
) -> Option<DeadLetter> {
    let buried_ms = letter.buried_ms as i64;
    let in_time = (request.from_unix_ms == 0 || buried_ms >= request.from_unix_ms)
        && (request.to_unix_ms == 0 || buried_ms < request.to_unix_ms);
    if !in_time || (letter.resent.is_some() && !request.resent) {
        return None;
    }
    let record = match letter.record.is_empty() {
        true => None,
        false => MessageRecord::decode(&letter.record).ok(),
    };
    let message_id = record.as_ref().map(|record| record.message_id.clone()).unwrap_or_default();
    if !request.message_ids.is_empty() && !request.message_ids.contains(&message_id) {
        return None;
    }
    let from = catalog.topic_by_id(letter.from.topic);
    let record_topic = record.as_ref().map(|record| record.topic.clone());
    Some(DeadLetter {
        queue: letter.queue.number,
        offset: letter.offset.0,
        message_id,
        topic: from.map(|topic| topic.name.clone()).or(record_topic).unwrap_or_default(),
        topic_queue: letter.from.number,
        topic_offset: letter.from_offset.0,
        attempts: u32::from(letter.attempts),
        buried_unix_ms: buried_ms,
        resent_offset: letter.resent.map(|(offset, _)| offset.0),
        resent_unix_ms: letter.resent.map_or(0, |(_, resent_ms)| resent_ms as i64),
        tag: record.as_ref().and_then(|record| record.tag.clone()).unwrap_or_default(),
        keys: record.as_ref().map(|record| record.keys.clone()).unwrap_or_default(),
        body: record.map(|record| record.body).unwrap_or_default(),
    })
}

/// `queue:offset`; empty is the beginning.
fn read_cursor(cursor: &str) -> Result<(u32, u64), Fault> {
    if cursor.is_empty() {
        return Ok((0, 0));
    }
    let place =
        cursor.split_once(':').and_then(|(queue, from)| Some((queue.parse().ok()?, from.parse().ok()?)));
    place.ok_or_else(|| Fault::BadRequest(format!("{cursor:?} is not a cursor of an earlier answer")))
}

/// Sends dead letters again, each once however often it is asked for.
pub(super) async fn resend(
    edge: &EdgeState,
    request: ResendDeadLettersRequest,
    deadline: Instant,
) -> Result<ResendDeadLettersResponse, Fault> {
    let catalog = edge.node.catalog();
    let topic = dead_letters_of(&catalog, &request.group)?;
    if request.places.len() > RESEND_MAX {
        let count = request.places.len();
        return Err(Fault::BadRequest(format!(
            "at most {RESEND_MAX} dead letters are sent again at once, not {count}"
        )));
    }
    let mut results = vec![wire_result(request::ResendResult::Unknown); request.places.len()];
    for (number, group) in topic.queues.iter().enumerate() {
        let places = request.places.iter().enumerate().filter(|(_, place)| place.queue as usize == number);
        let (at, offsets): (Vec<usize>, Vec<u64>) = places.map(|(at, place)| (at, place.offset)).unzip();
        if offsets.is_empty() {
            continue;
        }
        let queue = QueueKey { topic: topic.id, number: number as u32 };
        let outcomes = edge.node.resend_dead_letters(*group, queue, &offsets, deadline).await?;
        for (at, outcome) in at.into_iter().zip(outcomes) {
            results[at] = wire_result(outcome);
        }
    }
    Ok(ResendDeadLettersResponse { results })
}

fn wire_result(result: request::ResendResult) -> ResendResult {
    use request::ResendResult as Known;
    let (kind, place) = match result {
        Known::Resent { queue, offset } => (resend_result::Kind::Resent, Some((queue, offset))),
        Known::Already { queue, offset } => (resend_result::Kind::Already, Some((queue, offset))),
        Known::Unknown => (resend_result::Kind::Unknown, None),
        Known::TopicGone => (resend_result::Kind::TopicGone, None),
    };
    ResendResult {
        kind: kind as i32,
        queue: place.map_or(0, |(queue, _)| queue.number),
        offset: place.map_or(0, |(_, offset)| offset.0),
    }
}
