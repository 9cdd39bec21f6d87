//! `ReceiveMessage`: a lease on messages, after a wait if there are none.
//!
//! The stream: one status, the messages, one delivery timestamp, the end.

use std::cmp::Reverse;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use proto::v2::receive_message_response::Content;
use proto::v2::{Message, ReceiveMessageRequest, ReceiveMessageResponse};
use raft::catalog::{ConsumerGroup, Topic, TopicType};
use raft::clock;
use raft::hash::hash64;
use raft::request::{Delivered, Filter, Receive, RequestError, TopicRules};
use raft::spans::within;
use tokio::time::Instant;

use crate::convert::message::{self, AskedTopic, lite_group};
use crate::convert::name::full_name;
use crate::convert::status::{ClientLanguage, Fault, ok};
use crate::convert::time;
use crate::delivery::long_poll::{PollBounds, Polling, polling};
use crate::delivery::{filter, groups};
use crate::edge::EdgeState;
use crate::limits::{
    AUTO_RENEW_LEASE, INVISIBLE_MAX, INVISIBLE_MIN, RECEIVE_BATCH_MAX, RECEIVE_ERROR_PAUSE, REQUEST_TIMEOUT,
};
use crate::messaging::caller::Caller;
use crate::messaging::dead_letter_origin::{self, Attempts};
use crate::messaging::resolve;
use crate::port::holdings::{Held, Taken};
use crate::session::lite::LiteSubscription;
use crate::traces::calls::{self, Deliveries};

/// The answer's frames.
pub type ReceiveStream = Pin<Box<dyn Stream<Item = Result<ReceiveMessageResponse, tonic::Status>> + Send>>;

/// What a poll brought.
struct Batch {
    delivered: Vec<Delivered>,
    asked: AskedTopic,
    invisible: Duration,
    attempts: Attempts,
    unread: Taken,
}

/// Answers with headers at once; the wait happens inside the stream.
pub fn receive_message(
    edge: Arc<EdgeState>,
    caller: Caller,
    request: ReceiveMessageRequest,
) -> ReceiveStream {
    let answer = async move {
        let call = calls::receive(&edge, &caller, &request);
        let deliveries = Deliveries::begin(&edge, &caller, &request, &call);
        match within(call.trail(), poll(&edge, &caller, request)).await {
            Ok(batch) => {
                call.ended(None);
                batch_frames(batch, deliveries).left_stream()
            }
            Err(fault) => {
                let status = fault.status(caller.language());
                call.ended(Some(&status));
                pace(&edge, &fault, caller.language()).await;
                let mut frames = vec![frame(Content::Status(status))];
                if fault == Fault::NoMessage {
                    frames.push(delivery_frame());
                }
                stream::iter(frames).right_stream()
            }
        }
    };
    Box::pin(stream::once(answer).flatten())
}

/// Holds an error back: Go asks again 20 ms after any error but "not now", and others after that.
async fn pace(edge: &EdgeState, fault: &Fault, language: ClientLanguage) {
    let paced = match fault {
        Fault::NoMessage => false,
        Fault::Request(_) => true,
        _ => language == ClientLanguage::Go,
    };
    if paced {
        tokio::select! {
            () = tokio::time::sleep(RECEIVE_ERROR_PAUSE) => {}
            () = edge.stopping.cancelled() => {}
        }
    }
}

/// The records are read as the client takes them, so a slow reader holds records, not copies.
fn batch_frames(
    batch: Batch,
    deliveries: Option<Deliveries>,
) -> impl Stream<Item = Result<ReceiveMessageResponse, tonic::Status>> + Send {
    let Batch { delivered, asked, invisible, attempts, mut unread } = batch;
    let readable = move |delivered: Delivered| {
        unread.shrink(delivered.record.len());
        let mut message = readable(&delivered, &asked, invisible)?;
        if let Some(deliveries) = &deliveries {
            deliveries.deliver(&mut message, &delivered);
        }
        Some(message)
    };
    let messages = delivered.into_iter().filter_map(readable).map(move |mut message| {
        dead_letter_origin::mark(&mut message, &attempts);
        frame(Content::Message(message))
    });
    let head = std::iter::once_with(|| frame(Content::Status(ok())));
    let tail = std::iter::once_with(delivery_frame);
    stream::iter(head.chain(messages).chain(tail))
}

fn readable(delivered: &Delivered, asked: &AskedTopic, invisible: Duration) -> Option<Message> {
    match message::delivered(delivered, asked, invisible) {
        Ok(message) => Some(message),
        Err(error) => {
            // Its lease ends, and at last it becomes a dead letter: never dropped.
            tracing::error!(receipt = ?delivered.receipt, %error, "a message cannot be read");
            None
        }
    }
}

fn frame(content: Content) -> Result<ReceiveMessageResponse, tonic::Status> {
    Ok(ReceiveMessageResponse { content: Some(content) })
}

fn delivery_frame() -> Result<ReceiveMessageResponse, tonic::Status> {
    frame(Content::DeliveryTimestamp(time::wire_timestamp(clock::now_ms())))
}

async fn poll(edge: &EdgeState, caller: &Caller, request: ReceiveMessageRequest) -> Result<Batch, Fault> {
    let client_id = &*edge.admit_client(caller, &request)?;
    let bounds = PollBounds {
        min: Duration::from_millis(edge.options.limits.long_poll_min_ms),
        max: Duration::from_millis(edge.options.limits.long_poll_max_ms),
    };
    let wish = request.long_polling_timeout.as_ref().and_then(time::duration);
    let Polling { wait, deadline } = polling(wish, caller.timeout(), bounds)?;
    let start = Instant::now();
    let (wait_until, deadline) = (start + wait, start + deadline);
    let invisible = invisible(&request)?;
    let tags = filter::parse(request.filter_expression.as_ref())?;
    let _room = edge.hold(caller, Held::LongPolls, 1)?;
    let most = edge.messages_unread(caller)?;
    edge.client_seen(client_id, caller);

    let queue = request.message_queue.as_ref();
    let resource = queue.and_then(|queue| queue.topic.clone()).unwrap_or_default();
    let topic_name = full_name(&resource, caller.namespace()).into_owned();
    let group = request.group.clone().unwrap_or_default();
    let topic = resolve::topic(edge, caller, &topic_name, deadline).await?;
    let consumer = resolve::consumer(edge, caller, &full_name(&group, caller.namespace()), deadline).await?;

    let wanted = Wanted {
        queue: polled_queue(&request, &topic, consumer.fifo),
        max: request.batch_size.clamp(1, RECEIVE_BATCH_MAX).min(most) as u16,
        invisible,
        auto_renew: request.auto_renew,
        client: hash64(client_id.as_bytes()),
        attempt: attempt(request.attempt_id.as_deref()),
        filter: tags,
    };
    let receives = receives(edge, &topic, &consumer, &wanted, deadline).await?;
    let received = async {
        match topic.kind {
            TopicType::Lite => {
                let until = (wait_until, deadline);
                receive_lite(edge, client_id, (&topic, &consumer), &receives, until).await
            }
            _ => groups::receive(&edge.node, receives, wait_until, deadline).await,
        }
    };
    let delivered = tokio::select! {
        biased;
        delivered = edge.while_admitted(caller, &request, received) => delivered?,
        // A node that stops ends its long polls; the clients ask another.
        () = edge.stopping.cancelled() => Vec::new(),
    };
    if delivered.is_empty() {
        return Err(Fault::NoMessage);
    }
    let bytes = delivered.iter().map(|delivered| delivered.record.len()).sum();
    let unread = match edge.hold(caller, Held::AnswerBytes, bytes) {
        Ok(unread) => unread,
        Err(fault) => {
            give_back(edge, delivered);
            return Err(fault);
        }
    };
    edge.traffic.delivered(delivered.len(), bytes);
    edge.counts.delivered(topic.id, Some(consumer.id), delivered.len(), bytes);
    let attempts = dead_letter_origin::attempts(edge, &topic, &delivered, deadline).await;
    let asked = AskedTopic { resource, full_name: topic_name };
    Ok(Batch { delivered, asked, invisible, attempts, unread })
}

/// Ends the leases of messages that cannot be handed over. What is not given back now comes back when its lease ends.
fn give_back(edge: &EdgeState, delivered: Vec<Delivered>) {
    let node = edge.node.clone();
    let receipts: Vec<_> = delivered.into_iter().map(|delivered| delivered.receipt).collect();
    tokio::spawn(async move {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        for receipt in receipts {
            if let Err(error) = node.change_lease(receipt, 0, deadline).await {
                tracing::debug!(%error, "a message that could not be handed over stays leased for a while");
            }
        }
    });
}

/// What a consumer asks of each broker group.
struct Wanted {
    queue: Option<u32>,
    max: u16,
    invisible: Duration,
    auto_renew: bool,
    client: u64,
    attempt: u64,
    filter: Filter,
}

/// Only the push consumer of a FIFO group reads queue by queue. All others read all queues whatever
/// the id they send: a simple consumer goes round the queues of its route, which stand for nodes,
/// and would wait at an empty queue while another has messages.
fn polled_queue(request: &ReceiveMessageRequest, topic: &Topic, fifo: bool) -> Option<u32> {
    // Nor a priority topic's levels one by one: the highest goes first. Nor lite topics, which have queues of
    // their own.
    let fifo = fifo && !matches!(topic.kind, TopicType::Priority | TopicType::Lite);
    let id = request.message_queue.as_ref().map_or(-1, |queue| queue.id);
    let number = u32::try_from(id).ok()?;
    (fifo && request.auto_renew && (number as usize) < topic.queues.len()).then_some(number)
}

fn invisible(request: &ReceiveMessageRequest) -> Result<Duration, Fault> {
    if request.auto_renew {
        return Ok(AUTO_RENEW_LEASE);
    }
    let asked = request.invisible_duration.as_ref().and_then(time::duration).unwrap_or_default();
    if (INVISIBLE_MIN..=INVISIBLE_MAX).contains(&asked) {
        return Ok(asked);
    }
    Err(Fault::IllegalInvisibleTime(format!(
        "the invisible duration is {} s; it must lie between {} s and {} s",
        asked.as_secs(),
        INVISIBLE_MIN.as_secs(),
        INVISIBLE_MAX.as_secs()
    )))
}

/// Names this attempt; the same name gets the same batch again. Never 0.
fn attempt(attempt_id: Option<&str>) -> u64 {
    match attempt_id.filter(|id| !id.is_empty()) {
        Some(id) => hash64(id.as_bytes()),
        None => rand::random::<u64>().max(1),
    }
}

/// One receive for each broker group, the order of groups and of queues turned by the attempt: a
/// repeated attempt asks in the same order, and different ones spread.
async fn receives(
    edge: &EdgeState,
    topic: &Topic,
    consumer: &ConsumerGroup,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<Vec<Receive>, Fault> {
    let mut groups = match wanted.queue {
        Some(number) => vec![topic.queues[number as usize]],
        None => topic.groups(),
    };
    let turn = wanted.attempt as usize % groups.len().max(1);
    groups.rotate_left(turn);
    let dead_letters = resolve::dead_letter_queues(edge, consumer, &groups, deadline).await?;
    let rules = TopicRules {
        by_priority: topic.kind == TopicType::Priority,
        ttl_ms: topic.settings.ttl_ms.unwrap_or(0),
    };
    let receive = |(group, dead_letters)| {
        let mut queues: Vec<u32> = match wanted.queue {
            Some(number) => vec![number],
            None => topic.queues_of(group).map(|queue| queue.number).collect(),
        };
        if topic.kind == TopicType::Priority {
            queues.sort_unstable_by_key(|number| Reverse(*number));
        } else {
            let turn = (wanted.attempt >> 32) as usize % queues.len().max(1);
            queues.rotate_left(turn);
        }
        Receive {
            consumer: consumer.id,
            topic: topic.id,
            group,
            queues,
            max: wanted.max,
            invisible_ms: wanted.invisible.as_millis() as u64,
            fifo: consumer.fifo,
            auto_renew: wanted.auto_renew,
            client: wanted.client,
            attempt: wanted.attempt,
            filter: wanted.filter.clone(),
            max_attempts: consumer.max_attempts,
            start: consumer.start,
            dead_letters,
            in_flight_max: consumer.settings.in_flight_max,
            rules,
            lite: None,
        }
    };
    Ok(groups.into_iter().zip(dead_letters).map(receive).collect())
}

/// Receives from the lite topics that the client subscribes to; what it subscribes to meanwhile counts at once.
async fn receive_lite(
    edge: &EdgeState,
    client_id: &str,
    (topic, consumer): (&Topic, &ConsumerGroup),
    receives: &[Receive],
    until: (Instant, Instant),
) -> Result<Vec<Delivered>, RequestError> {
    loop {
        let changes = edge.lite.changes_of(client_id);
        let changed = changes.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let subscription = edge.lite.of(client_id, topic.id, consumer.id);
        let receives = of_lite_topics(topic, receives, &subscription);
        if let Some(found) = groups::receive_unless(&edge.node, &receives, until, changed).await? {
            return Ok(found);
        }
    }
}

/// The same receives, of the lite topics that the client subscribes to.
fn of_lite_topics(topic: &Topic, receives: &[Receive], subscription: &LiteSubscription) -> Vec<Receive> {
    let by_start = subscription.by_start();
    let one = |receive: &Receive| {
        let group = receive.group;
        let receive = receive.clone();
        by_start.iter().filter_map(move |(start, hashes)| {
            let here = hashes.iter().copied().filter(|hash| lite_group(topic, *hash) == group);
            let lite: Vec<u64> = here.collect();
            let (queues, start) = (Vec::new(), *start);
            (!lite.is_empty()).then(|| Receive { queues, start, lite: Some(lite), ..receive.clone() })
        })
    };
    receives.iter().flat_map(one).collect::<Vec<_>>()
}

#[cfg(test)]
mod tests {
    use proto::v2::MessageQueue;
    use raft::names::{GroupId, TopicId};

    use super::*;

    fn asking(id: i32, auto_renew: bool) -> ReceiveMessageRequest {
        let queue = MessageQueue { id, ..MessageQueue::default() };
        ReceiveMessageRequest { message_queue: Some(queue), auto_renew, ..ReceiveMessageRequest::default() }
    }

    #[test]
    fn only_a_fifo_push_consumer_reads_one_queue() {
        let queues = vec![GroupId(1); 4];
        let topic = Topic {
            id: TopicId(1),
            name: "t".into(),
            kind: TopicType::Mixed,
            queues,
            created_ms: 0,
            revision: 0,
            settings: Default::default(),
            spread: 0,
            mapping: Default::default(),
        };
        assert_eq!(polled_queue(&asking(2, true), &topic, true), Some(2));
        assert_eq!(polled_queue(&asking(-1, true), &topic, true), None);
        assert_eq!(polled_queue(&asking(2, false), &topic, true), None);
        assert_eq!(polled_queue(&asking(2, true), &topic, false), None);
        assert_eq!(polled_queue(&asking(4, true), &topic, true), None);
        let levels = Topic { kind: TopicType::Priority, ..topic };
        assert_eq!(polled_queue(&asking(2, true), &levels, true), None);
        let lite = Topic { kind: TopicType::Lite, ..levels };
        assert_eq!(polled_queue(&asking(2, true), &lite, true), None);
    }

    #[test]
    fn a_lease_lasts_10_seconds_to_12_hours_unless_the_server_renews_it() {
        let with = |seconds| ReceiveMessageRequest {
            invisible_duration: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..asking(-1, false)
        };
        assert_eq!(invisible(&with(10)), Ok(Duration::from_secs(10)));
        assert_eq!(invisible(&with(43_200)), Ok(Duration::from_secs(43_200)));
        for bad in [with(9), with(43_201), with(-1), asking(-1, false)] {
            assert!(matches!(invisible(&bad), Err(Fault::IllegalInvisibleTime(_))));
        }
        assert_eq!(invisible(&asking(-1, true)), Ok(Duration::from_secs(60)));
    }

    #[test]
    fn the_same_attempt_has_the_same_name_and_none_is_0() {
        assert_eq!(attempt(Some("a")), attempt(Some("a")));
        assert_ne!(attempt(Some("a")), attempt(Some("b")));
        assert!((0..100).all(|_| attempt(None) != 0 && attempt(Some("")) != 0));
    }
}
