//! `SendMessage`: one message or a batch of one topic, answered when fsynced on a quorum.

use proto::v2::{Message, MessageType, SendMessageRequest, SendMessageResponse, SendResultEntry};
use raft::catalog::Topic;
use raft::names::{GroupId, TopicId};
use raft::request::{Place, Publish, Published, RequestError, Timer, Transaction};
use tokio::time::Instant;

use crate::check;
use crate::check::message::MessageLimits;
use crate::convert;
use crate::convert::name::full_name;
use crate::convert::status::{ClientLanguage, Fault, of_entries, ok};
use crate::convert::waiting::{recall_handle, transaction_id};
use crate::edge::EdgeState;
use crate::limits::SEND_BATCH_MAX;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;
use crate::metrics::counts::{Batch, MessageKind};
use crate::port::holdings::{Held, Taken};
use crate::quota::{ClientQuota, Load};

/// Publishes all messages, or none if one of them breaks a limit.
pub async fn send_message(
    edge: &EdgeState,
    caller: &Caller,
    request: SendMessageRequest,
) -> SendMessageResponse {
    let _timed = edge.counts.send_begins();
    let language = caller.language();
    let count = request.messages.len();
    match publish(edge, caller, request).await {
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
            edge.traffic.failed(count);
            let status = fault.status(language);
            let entry = SendResultEntry { status: Some(status.clone()), ..SendResultEntry::default() };
            // Python asserts one entry for its one message, also in a refusal.
            let entries = vec![entry; count.min(SEND_BATCH_MAX)];
            SendMessageResponse { status: Some(status), entries }
        }
    }
}

/// As [`send_message`], with what it is for each message.
///
/// # Errors
/// Why none was published.
pub(crate) async fn publish(
    edge: &EdgeState,
    caller: &Caller,
    request: SendMessageRequest,
) -> Result<Vec<SendResultEntry>, Fault> {
    let client_id = &*edge.admit_client(caller, &request)?;
    let messages = request.messages;
    let topic_name = one_topic(&messages, caller)?;
    let _room = admit(edge, caller, &messages)?;
    let deadline = caller.deadline();
    let catalog = edge.node.catalog();
    let made;
    let topic = match catalog.topics.get(&topic_name) {
        Some(topic) => topic,
        None => {
            made = resolve::missing_topic(edge, caller, &topic_name, deadline).await?;
            &made
        }
    };
    check_all(edge, topic, &messages)?;
    take_quota(edge, client_id, topic, &messages)?;
    let ids: Vec<String> = messages.iter().map(message_id).collect();
    let bodies: Vec<usize> = messages.iter().map(|message| message.body.len()).collect();
    let (store_host, check_after) = (edge.store_host(), edge.options.transaction_check_after);
    let publish = |message| convert::message::publish(message, topic, store_host, check_after);
    let mut publishes: Vec<Publish> = messages.into_iter().map(publish).collect();
    let results = edge.node.publish_in(topic, &mut publishes, deadline).await;
    assert_eq!(results.len(), publishes.len(), "publish answers each message");
    // Afterwards: where they went may have changed meanwhile.
    let named: Vec<Named> =
        ids.into_iter().zip(&publishes).map(|(id, publish)| Named::of(id, publish, topic)).collect();
    count_traffic(edge, &bodies, &results);
    count(edge, topic, &named, &results);
    let language = caller.language();
    let entry = |(named, result)| entry(named, result, topic, language);
    Ok(named.into_iter().zip(results).map(entry).collect())
}

/// What names a message in the answer to its sender.
struct Named {
    message_id: String,
    group: GroupId,
    id: u128,
    due_ms: Option<u64>,
    half: bool,
    kind: MessageKind,
    bytes: u64,
}

impl Named {
    fn of(message_id: String, publish: &Publish, topic: &Topic) -> Named {
        let Publish { group, dedup: id, extras, record, .. } = publish;
        let (half, bytes) = (extras.check_after_ms.is_some(), record.len() as u64);
        let kind = MessageKind::of(publish, topic);
        Named { message_id, group: *group, id: *id, due_ms: extras.due_ms, half, kind, bytes }
    }

    /// The transaction id and the recall handle of a message that waits under `number`. Where there is
    /// no transaction, clients expect the message id for its id.
    fn handles(&self, topic: TopicId, number: u64) -> (String, String) {
        let Named { group, id, .. } = *self;
        match (self.half, self.due_ms) {
            (true, _) => (transaction_id(&Transaction { group, topic, number, id }), String::new()),
            (false, Some(due_ms)) => {
                let timer = Timer { group, topic, due_ms, number, id };
                (self.message_id.clone(), recall_handle(&timer, &self.message_id))
            }
            (false, None) => (self.message_id.clone(), String::new()),
        }
    }
}

/// What was taken, and what was not.
fn count_traffic(edge: &EdgeState, bodies: &[usize], results: &[Result<Published, RequestError>]) {
    let taken = bodies.iter().zip(results).filter(|(_, result)| result.is_ok());
    let (messages, bytes) = taken.fold((0, 0), |(messages, sum), (bytes, _)| (messages + 1, sum + bytes));
    edge.traffic.took(messages, bytes);
    if messages < results.len() {
        edge.traffic.failed(results.len() - messages);
    }
}

/// Those that are in the log now, each once however often it is sent.
fn count(edge: &EdgeState, topic: &Topic, named: &[Named], results: &[Result<Published, RequestError>]) {
    let mut taken = Batch::default();
    let is_new = |result: &Result<Published, RequestError>| result.as_ref().is_ok_and(|it| !it.duplicate);
    for (named, _) in named.iter().zip(results).filter(|(_, result)| is_new(result)) {
        taken.add(named.kind, named.bytes);
    }
    edge.counts.took(topic.id, &taken);
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
fn admit(edge: &EdgeState, caller: &Caller, messages: &[Message]) -> Result<Taken, Fault> {
    let bytes = messages.iter().map(|message| message.body.len()).sum();
    edge.hold(caller, Held::SendBytes, bytes)
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
            MessageType::Normal
            | MessageType::Fifo
            | MessageType::Delay
            | MessageType::Transaction
            | MessageType::Priority
            | MessageType::Lite
            | MessageType::Unspecified => {}
        }
    }
    Ok(())
}

fn message_id(message: &Message) -> String {
    message.system_properties.as_ref().map(|system| system.message_id.clone()).unwrap_or_default()
}

fn entry(
    named: Named,
    result: Result<Published, RequestError>,
    topic: &Topic,
    language: ClientLanguage,
) -> SendResultEntry {
    let mut entry = SendResultEntry::default();
    let status = match result {
        // An id that another topic has taken: answering with that message would hide a loss.
        Ok(published) if published.queue.topic != topic.id => {
            let why = "the message id was used in another topic a moment ago";
            Fault::IllegalMessageId(why.into()).status(language)
        }
        Ok(published) => {
            match published.place {
                Place::Queued(offset) => {
                    entry.offset = i64::try_from(offset.0).unwrap_or(i64::MAX);
                    entry.transaction_id.clone_from(&named.message_id);
                }
                Place::Waiting(number) => {
                    (entry.transaction_id, entry.recall_handle) = named.handles(topic.id, number);
                }
            }
            ok()
        }
        Err(error) => Fault::from(error).status(language),
    };
    SendResultEntry { status: Some(status), message_id: named.message_id, ..entry }
}
