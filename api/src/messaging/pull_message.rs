//! `PullMessage`: messages of one queue from an offset on, without a lease. Who pulls keeps the offset.
//!
//! The stream: one status, the messages, the next offset, the end. The next offset comes without
//! messages too: what was filtered out need not be looked at again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use proto::v2::pull_message_response::Content;
use proto::v2::{PullMessageRequest, PullMessageResponse, Status};
use raft::names::QueueKey;
use raft::question::{MessagePlace, Pull, Pulled};
use raft::request::RequestError;
use tokio::time::Instant;

use crate::convert::message::AskedTopic;
use crate::convert::name::full_name;
use crate::convert::pulled::pulled;
use crate::convert::status::{Fault, ok};
use crate::convert::time;
use crate::delivery::filter;
use crate::delivery::long_poll::{PollBounds, Polling, polling};
use crate::edge::EdgeState;
use crate::limits::RECEIVE_BATCH_MAX;
use crate::messaging::caller::Caller;
use crate::messaging::offset::{asked_offset, asked_queue, wire_offset, within};
use crate::port::holdings::{Held, Taken};

/// The answer's frames.
pub type PullStream = Pin<Box<dyn Stream<Item = Result<PullMessageResponse, tonic::Status>> + Send>>;

/// What a pull brought.
struct Batch {
    asked_offset: u64,
    queue: QueueKey,
    pulled: Pulled,
    asked: AskedTopic,
    unread: Taken,
}

/// Answers with headers at once; the wait happens inside the stream.
pub fn pull_message(edge: Arc<EdgeState>, caller: Caller, request: PullMessageRequest) -> PullStream {
    let answer = async move {
        match pull(&edge, &caller, request).await {
            Ok(batch) => {
                let status = status(&batch).unwrap_or_else(|fault| fault.status(caller.language()));
                batch_frames(status, batch).left_stream()
            }
            Err(fault) => {
                let status = fault.status(caller.language());
                stream::iter([frame(Content::Status(status))]).right_stream()
            }
        }
    };
    Box::pin(stream::once(answer).flatten())
}

/// Whether something came, and from where, if not from where it was asked for.
fn status(batch: &Batch) -> Result<Status, Fault> {
    let (asked, first) = (batch.asked_offset, batch.pulled.found.first);
    if batch.pulled.found.places.is_empty() {
        return Err(Fault::NoMessage);
    }
    match asked < first {
        false => Ok(ok()),
        true => {
            let message = format!("OK, but the offset {asked} is gone: from the first offset {first} on");
            Ok(Status { message, ..ok() })
        }
    }
}

/// The records are read as the client takes them, so a slow reader holds records, not copies.
fn batch_frames(
    status: Status,
    batch: Batch,
) -> impl Stream<Item = Result<PullMessageResponse, tonic::Status>> + Send {
    let Batch { queue, pulled: Pulled { found, records }, asked, mut unread, .. } = batch;
    let next = wire_offset(found.next);
    let messages = found.places.into_iter().zip(records).filter_map(move |(place, record)| {
        unread.shrink(record.len());
        match pulled(queue, &place, record, &asked) {
            Ok(message) => Some(frame(Content::Message(message))),
            Err(error) => {
                tracing::error!(?queue, offset = place.offset, %error, "a message cannot be read");
                None
            }
        }
    });
    let head = std::iter::once_with(move || frame(Content::Status(status)));
    let tail = std::iter::once_with(move || frame(Content::NextOffset(next)));
    stream::iter(head.chain(messages).chain(tail))
}

fn frame(content: Content) -> Result<PullMessageResponse, tonic::Status> {
    Ok(PullMessageResponse { content: Some(content) })
}

/// Without what is beyond the topic's time to live.
fn living(pulled: Pulled, ttl_ms: Option<u64>) -> Pulled {
    let Some(ttl_ms) = ttl_ms else { return pulled };
    let now_ms = raft::clock::now_ms();
    let Pulled { mut found, records } = pulled;
    let lives = |place: &MessagePlace| place.stored_ms.saturating_add(ttl_ms) > now_ms;
    let records = found
        .places
        .iter()
        .zip(records)
        .filter(|(place, _)| lives(place))
        .map(|(_, record)| record)
        .collect();
    found.places.retain(lives);
    Pulled { found, records }
}

async fn pull(edge: &EdgeState, caller: &Caller, request: PullMessageRequest) -> Result<Batch, Fault> {
    let client_id = &*edge.admit_client(caller, &request)?;
    // Nothing is leased, so asking often costs little: there is no shortest wait.
    let max = Duration::from_millis(edge.options.limits.long_poll_max_ms);
    let bounds = PollBounds { min: Duration::ZERO, max };
    let wish = request.long_polling_timeout.as_ref().and_then(time::duration);
    let Polling { wait, deadline } = polling(wish, caller.timeout(), bounds)?;
    let start = Instant::now();
    let (wait_until, deadline) = (start + wait, start + deadline);
    let asked_offset = asked_offset(request.offset)?;
    let filter = filter::parse(request.filter_expression.as_ref())?;
    let _room = edge.hold(caller, Held::LongPolls, 1)?;
    let most = edge.messages_unread(caller)?;
    edge.client_seen(client_id, caller);

    let (topic, number) = asked_queue(edge, caller, request.message_queue.as_ref(), deadline).await?;
    let queue = QueueKey { topic: topic.id, number };
    let wanted = Pull {
        queue,
        group: topic.queues[number as usize],
        offset: asked_offset,
        max: request.batch_size.clamp(1, RECEIVE_BATCH_MAX).min(most) as u16,
        filter,
        from_replica: caller.reads_replica(),
    };
    let from_replica = wanted.from_replica;
    let pulled = tokio::select! {
        biased;
        pulled = edge.while_admitted(caller, &request, edge.node.pull(wanted, wait_until, deadline)) => pulled?,
        // A node that stops ends its long polls; the clients ask another.
        () = edge.stopping.cancelled() => return Err(RequestError::Stopping.into()),
    };
    let pulled = living(pulled, topic.settings.ttl_ms);
    // A replica may not have it yet; the leader has everything that there is.
    if !from_replica {
        within(asked_offset, number, pulled.found.end)?;
    }
    if !pulled.records.is_empty() {
        let group = full_name(&request.group.unwrap_or_default(), caller.namespace()).into_owned();
        let consumer = edge.node.catalog().consumers.get(&group).map(|consumer| consumer.id);
        let bytes = pulled.records.iter().map(|record| record.len()).sum();
        edge.counts.delivered(topic.id, consumer, pulled.records.len(), bytes);
    }
    let resource = request.message_queue.and_then(|queue| queue.topic).unwrap_or_default();
    let full_name = full_name(&resource, caller.namespace()).into_owned();
    let bytes = pulled.records.iter().map(|record| record.len()).sum();
    let unread = edge.hold(caller, Held::AnswerBytes, bytes)?;
    Ok(Batch { asked_offset, queue, pulled, asked: AskedTopic { resource, full_name }, unread })
}

#[cfg(test)]
mod tests {
    use proto::v2::Resource;
    use raft::names::TopicId;
    use raft::question::{MessagePlace, PulledPlaces};
    use store::position::LogPosition;

    use super::*;
    use crate::edge_options::EdgeLimits;
    use crate::port::holdings::Holdings;

    fn batch(asked_offset: u64, first: u64, offsets: std::ops::Range<u64>) -> Batch {
        let holdings = Holdings::new(&EdgeLimits::default());
        let place = |offset| MessagePlace { offset, stored_ms: 0, position: LogPosition(0), length: 0 };
        let places = offsets.map(place).collect();
        Batch {
            asked_offset,
            queue: QueueKey { topic: TopicId(1), number: 0 },
            pulled: Pulled { found: PulledPlaces { places, next: 9, first, end: 9 }, records: Vec::new() },
            asked: AskedTopic { resource: Resource::default(), full_name: String::new() },
            unread: holdings.keep(&Default::default(), Held::AnswerBytes, 0),
        }
    }

    #[test]
    fn an_offset_that_is_gone_is_said_to_be_and_is_no_error() {
        assert_eq!(status(&batch(5, 5, 5..7)), Ok(ok()));
        let gone = status(&batch(3, 5, 5..7)).unwrap();
        assert_eq!(
            (gone.code, gone.message.as_str()),
            (ok().code, "OK, but the offset 3 is gone: from the first offset 5 on")
        );
        assert_eq!(status(&batch(9, 5, 9..9)), Err(Fault::NoMessage));
    }
}
