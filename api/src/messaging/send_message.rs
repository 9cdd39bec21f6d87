//! `SendMessage`: one message or a batch of one topic, answered when fsynced on a quorum.

use proto::v2::{Message, MessageType, SendMessageRequest, SendMessageResponse, SendResultEntry, Status};
use raft::catalog::Topic;
use raft::request::{Publish, Published, RequestError};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::check;
use crate::check::message::MessageLimits;
use crate::convert;
use crate::convert::name::full_name;
use crate::convert::status::{ClientLanguage, Fault, of_entries, ok};
use crate::edge::EdgeState;
use crate::limits::SEND_BATCH_MAX;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;
use crate::quota::{ClientQuota, Load};

/// Publishes all messages, or none if one of them breaks a limit.
pub async fn send_message(
    edge: &EdgeState,
    caller: &Caller,
    request: SendMessageRequest,
) -> SendMessageResponse {
    let language = caller.language();
    let count = request.messages.len();
    match publish(edge, caller, request.messages).await {
        Ok(entries) => {
            let status = match entries.as_slice() {
                [only] => only.status.clone(),
                several => {
                    Some(of_entries(several.iter().filter_map(|entry| entry.status.as_ref()), language))
                }
            };
            SendMessageResponse { status, entries }
        }
        Err(fault) => {
            let status = fault.status(language);
            let entry = SendResultEntry { status: Some(status.clone()), ..SendResultEntry::default() };
            // Python asserts one entry for its one message, also in a refusal.
            let entries = vec![entry; count.min(SEND_BATCH_MAX)];
            SendMessageResponse { status: Some(status), entries }
        }
    }
}

async fn publish(
    edge: &EdgeState,
    caller: &Caller,
    messages: Vec<Message>,
) -> Result<Vec<SendResultEntry>, Fault> {
    let client_id = caller.client_id()?;
    let topic_name = one_topic(&messages, caller)?;
    let _room = admit(edge, &messages)?;
    let deadline = caller.deadline();
    let catalog = edge.node.catalog();
    let made;
    let topic = match catalog.topics.get(&topic_name) {
        Some(topic) => topic,
        None => {
            made = resolve::missing_topic(edge, &topic_name, deadline).await?;
            &made
        }
    };
    check_all(edge, topic, &messages)?;
    take_quota(edge, client_id, topic, &messages)?;
    let ids: Vec<String> = messages.iter().map(message_id).collect();
    let store_host = edge.store_host();
    let publishes: Vec<Publish> =
        messages.into_iter().map(|message| convert::message::publish(message, topic, store_host)).collect();
    let results = edge.node.publish(publishes, deadline).await;
    assert_eq!(results.len(), ids.len(), "publish answers each message");
    let language = caller.language();
    let entry = |(message_id, result)| entry(message_id, result, topic, language);
    Ok(ids.into_iter().zip(results).map(entry).collect())
}

/// The name in the catalog of the one topic that all messages are for.
fn one_topic(messages: &[Message], caller: &Caller) -> Result<String, Fault> {
    let Some(first) = messages.first() else {
        return Err(Fault::Corrupted("the request has no message".into()));
    };
    if messages.len() > SEND_BATCH_MAX {
        let count = messages.len();
        return Err(Fault::Corrupted(format!(
            "the request has {count} messages; at most {SEND_BATCH_MAX} are allowed"
        )));
    }
    if messages.iter().any(|message| message.topic != first.topic) {
        return Err(Fault::Corrupted("the messages of one request must have the same topic".into()));
    }
    let Some(topic) = &first.topic else {
        return Err(Fault::IllegalTopic("the message has no topic".into()));
    };
    Ok(full_name(topic, caller.namespace()).into_owned())
}

/// Room for the bodies until they are answered (rule R9).
fn admit<'a>(edge: &'a EdgeState, messages: &[Message]) -> Result<SemaphorePermit<'a>, Fault> {
    let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
    let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
    edge.send_kib
        .try_acquire_many(kib)
        .map_err(|_| RequestError::Overloaded { what: "bytes of sends in flight on this node" }.into())
}

fn take_quota(edge: &EdgeState, client_id: &str, topic: &Topic, messages: &[Message]) -> Result<(), Fault> {
    let limits = &edge.options.limits;
    let client =
        ClientQuota { messages_per_s: limits.client_messages_per_s, bytes_per_s: limits.client_bytes_per_s };
    let load = Load {
        messages: messages.len() as u64,
        bytes: messages.iter().map(|message| message.body.len() as u64).sum(),
    };
    edge.quotas.take(topic, edge.live_nodes().len(), (client_id, client), load, Instant::now())
}

fn check_all(edge: &EdgeState, topic: &Topic, messages: &[Message]) -> Result<(), Fault> {
    let limits =
        MessageLimits { body_bytes: edge.options.limits.body_bytes, max_delay: edge.options.max_delay() };
    for message in messages {
        let kind = check::message::message(message, limits)?;
        check::message::fits(kind, topic.kind, &topic.name)?;
        match kind {
            MessageType::Normal | MessageType::Fifo | MessageType::Unspecified => {}
            MessageType::Delay => return Err(Fault::NotImplemented("a delayed message")),
            MessageType::Transaction => return Err(Fault::NotImplemented("a transactional message")),
            MessageType::Priority => return Err(Fault::NotImplemented("a message with a priority")),
            MessageType::Lite => return Err(Fault::NotImplemented("a message of a lite topic")),
        }
    }
    Ok(())
}

fn message_id(message: &Message) -> String {
    message.system_properties.as_ref().map(|system| system.message_id.clone()).unwrap_or_default()
}

fn entry(
    message_id: String,
    result: Result<Published, RequestError>,
    topic: &Topic,
    language: ClientLanguage,
) -> SendResultEntry {
    let (status, offset) = outcome(result, topic, language);
    SendResultEntry { status: Some(status), message_id, offset, ..SendResultEntry::default() }
}

fn outcome(
    result: Result<Published, RequestError>,
    topic: &Topic,
    language: ClientLanguage,
) -> (Status, i64) {
    match result {
        // An id that another topic has taken: answering with that message would hide a loss.
        Ok(published) if published.queue.topic != topic.id => {
            let fault =
                Fault::IllegalMessageId("the message id was used in another topic a moment ago".into());
            (fault.status(language), 0)
        }
        Ok(published) => {
            let offset = published.offset().map_or(0, |offset| i64::try_from(offset.0).unwrap_or(i64::MAX));
            (ok(), offset)
        }
        Err(error) => (Fault::from(error).status(language), 0),
    }
}
