//! Messages: from a producer into a record, from a record to a consumer.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use proto::v2::{
    DeadLetterQueue, Digest, DigestType, Encoding, Message, MessageType, Resource, SystemProperties,
};
use raft::catalog::{Topic, TopicType};
use raft::clock;
use raft::hash::hash64;
use raft::names::{GroupId, QueueKey};
use raft::request::{Delivered, Extras, Publish};
use store::record::{BodyEncoding, MessageRecord, RecordError};

use crate::convert::message_id::{business_key, dedup_key, index_hash, tells_when_it_came};
use crate::convert::name::client_name;
use crate::convert::receipt::Handle;
use crate::convert::time;
use crate::limits::KEYS_INDEXED_MAX;

/// Stands for the message keys where a property is named.
const KEYS: &str = "KEYS";

/// A checked message on its way into `topic`. The queue follows from the message alone, never from
/// which nodes live, so that order holds through a failover and a repeated send meets the window
/// of ids of the same broker group.
pub fn publish(message: Message, topic: &Topic, store_host: &str, check_after: Duration) -> Publish {
    let system = message.system_properties.unwrap_or_default();
    // A FIFO consumer group reads a lite topic in order, as it does a message group.
    let order = system.lite_topic.as_ref().or(system.message_group.as_ref());
    let order_hash = order.map_or(0, |name| hash64(name.as_bytes()));
    let tag_hash = system.tag.as_ref().map_or(0, |tag| hash64(tag.as_bytes()));
    let identity = identity(&system, &message.user_properties, topic);
    let queues = topic.queues.len() as u32;
    let priority = priority(&system);
    let number = match (&system.lite_topic, topic.kind) {
        // Any queue of the group: the lite topic has one of its own there.
        (Some(name), _) => {
            let group = lite_group(topic, hash64(name.as_bytes()));
            topic.queues.iter().position(|holder| *holder == group).unwrap_or(0) as u32
        }
        // Its queues are the levels of priority; the highest one takes all that is higher.
        (None, TopicType::Priority) => priority.unwrap_or(0).min(queues - 1),
        (None, _) if order_hash != 0 => topic.queue_of(order_hash),
        (None, _) => (identity.place % u64::from(queues)) as u32,
    };
    let is_ordered = system.message_group.is_some();
    let extras = Extras {
        dedup_window_ms: identity.window_ms,
        generation: if is_ordered { topic.mapping.generation } else { 0 },
        ..extras(&system, check_after)
    };
    let body_encoding = match system.body_encoding() {
        Encoding::Gzip => BodyEncoding::Gzip,
        Encoding::Identity | Encoding::Unspecified => BodyEncoding::Identity,
    };
    let mut properties: Vec<_> = message.user_properties.into_iter().collect();
    properties.sort_unstable();
    let record = MessageRecord {
        topic: topic.name.clone(),
        message_id: system.message_id,
        tag: system.tag,
        keys: system.keys,
        message_group: system.message_group,
        properties,
        trace_context: system.trace_context,
        due_ms: extras.due_ms,
        half: extras.check_after_ms.is_some(),
        priority,
        lite_topic: system.lite_topic,
        born_host: system.born_host,
        born_ms: system.born_timestamp.as_ref().map_or_else(clock::now_ms, time::unix_ms),
        store_host: store_host.to_owned(),
        body_encoding,
        body: message.body,
    };
    Publish {
        queue: QueueKey { topic: topic.id, number },
        group: topic.queues[number as usize],
        dedup: identity.dedup,
        tag_hash,
        order_hash,
        extras,
        record: record.encode(),
    }
}

/// The broker group that holds a lite topic: by the hash of its name, whatever the number of queues.
pub fn lite_group(topic: &Topic, name_hash: u64) -> GroupId {
    let groups = topic.lite_groups();
    groups[(name_hash % groups.len() as u64) as usize]
}

/// What says that two messages are the same.
struct Identity {
    dedup: u128,
    /// For how long, if not as long as for all others.
    window_ms: Option<u64>,
    /// Chooses the queue of a message without a message group: the same message finds the same window.
    place: u64,
}

/// By the property that the topic names, if it names one and the message has it, else by the message id.
fn identity(system: &SystemProperties, properties: &HashMap<String, String>, topic: &Topic) -> Identity {
    let settings = &topic.settings;
    let by_id = |window_ms| Identity {
        dedup: dedup_key(&system.message_id),
        window_ms,
        place: hash64(system.message_id.as_bytes()),
    };
    let Some(name) = &settings.dedup_property else { return by_id(settings.dedup_window_ms) };
    let value = match name.as_str() {
        KEYS => system.keys.first(),
        name => properties.get(name),
    };
    match value {
        Some(value) => {
            let dedup = business_key(name, value);
            Identity { dedup, window_ms: settings.dedup_window_ms, place: (dedup >> 64) as u64 }
        }
        // The window is meant for the property. What a client repeats is recognized all the same.
        None => by_id(None),
    }
}

/// The priority. A negative one was refused before.
fn priority(system: &SystemProperties) -> Option<u32> {
    system.priority.and_then(|priority| u32::try_from(priority).ok())
}

/// What the message asks for beyond its queue. A half message says so in its type; its producer is
/// asked first after the time that the message names, or else after `check_after`.
fn extras(system: &SystemProperties, check_after: Duration) -> Extras {
    let half = system.message_type() == MessageType::Transaction;
    let named = system.orphaned_transaction_recovery_duration.as_ref().and_then(time::duration);
    let check_after = named.filter(|named| !named.is_zero()).unwrap_or(check_after);
    let due_ms = system.delivery_timestamp.as_ref().map(time::unix_ms);
    let keys = system.keys.iter().take(KEYS_INDEXED_MAX);
    let mut key_hashes: Vec<u64> = keys.map(|key| hash64(key.as_bytes())).collect();
    // What comes into its queue when it comes is found by the second in its id, but lite topics are too many to
    // look through.
    let lite = system.lite_topic.is_some();
    if half || lite || due_ms.is_some() || !tells_when_it_came(&system.message_id, clock::now_ms()) {
        key_hashes.push(index_hash(&system.message_id));
    }
    Extras {
        dedup_window_ms: None,
        due_ms,
        check_after_ms: half.then_some(check_after.as_millis() as u64),
        key_hashes,
        lite_hash: system.lite_topic.as_ref().map(|name| hash64(name.as_bytes())),
        generation: 0,
    }
}

/// The topic that a consumer asked for, under its own and the catalog's name.
#[derive(Clone, Debug)]
pub struct AskedTopic {
    /// As the consumer names it.
    pub resource: Resource,
    /// As the catalog names it.
    pub full_name: String,
}

/// A delivered message for its consumer.
///
/// # Errors
/// When the record cannot be read.
pub fn delivered(
    delivered: &Delivered,
    asked: &AskedTopic,
    invisible: Duration,
) -> Result<Message, RecordError> {
    let record = MessageRecord::decode(&delivered.record)?;
    let namespace = &asked.resource.resource_namespace;
    let dead_letter_queue = (record.topic != asked.full_name).then(|| DeadLetterQueue {
        topic: client_name(&record.topic, namespace).into_owned(),
        message_id: record.message_id.clone(),
    });
    let handle = Handle { receipt: delivered.receipt, attempt: delivered.attempt, trace: None };
    let message = wire_message(record, asked.resource.clone());
    let system = SystemProperties {
        store_timestamp: Some(time::wire_timestamp(delivered.stored_ms)),
        receipt_handle: Some(handle.encode()),
        queue_id: delivered.receipt.queue.number as i32,
        queue_offset: Some(delivered.receipt.offset.0 as i64),
        invisible_duration: Some(time::wire_duration(invisible)),
        delivery_attempt: Some(i32::from(delivered.attempt.max(1))),
        dead_letter_queue,
        ..message.system_properties.unwrap_or_default()
    };
    Ok(Message { system_properties: Some(system), ..message })
}

/// A half message for the producer that is asked about it; `namespace` is the producer's.
///
/// # Errors
/// When the record cannot be read.
pub fn half(record: &Bytes, namespace: &str) -> Result<Message, RecordError> {
    let record = MessageRecord::decode(record)?;
    let name = client_name(&record.topic, namespace).into_owned();
    let mut message = wire_message(record, Resource { resource_namespace: namespace.to_owned(), name });
    let system = message.system_properties.get_or_insert_default();
    // Clients want to see all that a delivered message has.
    system.delivery_attempt = Some(1);
    Ok(message)
}

/// A message as its record says, without what depends on a delivery.
pub fn wire_message(record: MessageRecord, topic: Resource) -> Message {
    let message_type = match (record.half, record.due_ms, &record.message_group) {
        (true, ..) => MessageType::Transaction,
        (_, Some(_), _) => MessageType::Delay,
        (.., Some(_)) => MessageType::Fifo,
        _ if record.lite_topic.is_some() => MessageType::Lite,
        _ if record.priority.is_some() => MessageType::Priority,
        _ => MessageType::Normal,
    };
    let body_encoding = match record.body_encoding {
        BodyEncoding::Identity => Encoding::Identity,
        BodyEncoding::Gzip => Encoding::Gzip,
    };
    let system = SystemProperties {
        tag: record.tag,
        keys: record.keys,
        message_id: record.message_id,
        body_digest: Some(digest(&record.body)),
        body_encoding: body_encoding as i32,
        message_type: message_type as i32,
        born_timestamp: Some(time::wire_timestamp(record.born_ms)),
        born_host: record.born_host,
        store_host: record.store_host,
        delivery_timestamp: record.due_ms.map(time::wire_timestamp),
        message_group: record.message_group,
        priority: record.priority.map(|priority| i32::try_from(priority).unwrap_or(i32::MAX)),
        lite_topic: record.lite_topic,
        trace_context: record.trace_context,
        ..SystemProperties::default()
    };
    Message {
        topic: Some(topic),
        user_properties: record.properties.into_iter().collect(),
        system_properties: Some(system),
        body: record.body,
    }
}

/// MD5 in uppercase hex: the one digest that all official clients compute alike.
fn digest(body: &Bytes) -> Digest {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut checksum = String::with_capacity(32);
    for byte in Md5::digest(body) {
        checksum.push(char::from(DIGITS[usize::from(byte >> 4)]));
        checksum.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Digest { r#type: DigestType::Md5 as i32, checksum }
}

#[cfg(test)]
mod tests {
    use raft::names::{ConsumerId, GroupId, QueueOffset, TopicId};
    use raft::request::Receipt;

    use super::*;

    fn topic() -> Topic {
        Topic {
            id: TopicId(4),
            name: "shop%orders".into(),
            kind: TopicType::Mixed,
            queues: vec![GroupId(1), GroupId(2), GroupId(1), GroupId(2)],
            created_ms: 0,
            revision: 0,
            settings: Default::default(),
            spread: 0,
            mapping: Default::default(),
        }
    }

    fn sent() -> Message {
        Message {
            topic: Some(resource("orders")),
            user_properties: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
            system_properties: Some(SystemProperties {
                tag: Some("red".into()),
                keys: vec!["k2".into(), "k1".into()],
                message_id: "01FFEEDDCCBBAA00112233445566778899".into(),
                body_encoding: Encoding::Gzip as i32,
                born_timestamp: Some(time::wire_timestamp(1_700_000_000_123)),
                born_host: "laptop".into(),
                message_group: Some("customer-7".into()),
                trace_context: Some("00-ab-cd-01".into()),
                ..Default::default()
            }),
            body: Bytes::from_static(b"hello"),
        }
    }

    fn resource(name: &str) -> Resource {
        Resource { resource_namespace: "shop".into(), name: name.into() }
    }

    fn lease(record: Bytes) -> Delivered {
        Delivered {
            receipt: Receipt {
                consumer: ConsumerId(1),
                queue: QueueKey { topic: TopicId(4), number: 3 },
                group: GroupId(2),
                offset: QueueOffset(77),
                lease: 5,
                revision: 0,
            },
            attempt: 2,
            lease_until_ms: 0,
            stored_ms: 1_700_000_000_456,
            record,
        }
    }

    #[test]
    fn a_message_group_keeps_its_queue_when_the_topic_is_widened() {
        let narrow = topic();
        let mut wide = Topic { spread: 4, ..topic() };
        wide.queues.extend([GroupId(3); 60]);
        let (mut of_groups, mut of_others) = (Vec::new(), Vec::new());
        for number in 0..200 {
            let mut ordered = sent();
            let system = ordered.system_properties.as_mut().unwrap();
            system.message_group = Some(format!("customer-{number}"));
            let place = |topic: &Topic| publish(ordered.clone(), topic, "h:1", Duration::ZERO).queue;
            assert_eq!(place(&wide), place(&narrow), "customer-{number}");
            of_groups.push(place(&wide).number);
            let mut plain = sent();
            let system = plain.system_properties.as_mut().unwrap();
            (system.message_group, system.message_id) = (None, format!("id-{number}"));
            of_others.push(publish(plain, &wide, "h:1", Duration::ZERO).queue.number);
            let lite = raft::hash::hash64(format!("lite-{number}").as_bytes());
            assert_eq!(lite_group(&wide, lite), lite_group(&narrow, lite), "lite-{number}");
        }
        assert!(of_groups.iter().all(|queue| *queue < 4));
        assert!(of_others.iter().any(|queue| *queue >= 4), "the new queues get nothing");
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent_with_what_clients_need() {
        let published = publish(sent(), &topic(), "10.0.0.1:8081", Duration::ZERO);
        let asked = AskedTopic { resource: resource("orders"), full_name: "shop%orders".into() };
        let back = delivered(&lease(published.record), &asked, Duration::from_secs(30)).unwrap();
        let (was, is) = (sent().system_properties.unwrap(), back.system_properties.unwrap());
        assert_eq!(
            (back.topic, back.user_properties, back.body),
            (sent().topic, sent().user_properties, sent().body)
        );
        assert_eq!((is.tag, is.keys, is.message_id), (was.tag, was.keys, was.message_id));
        assert_eq!((is.message_group, is.trace_context), (was.message_group, was.trace_context));
        assert_eq!((is.born_host, is.born_timestamp), (was.born_host, was.born_timestamp));
        assert_eq!((is.body_encoding, is.message_type), (Encoding::Gzip as i32, MessageType::Fifo as i32));
        assert_eq!(is.body_digest.unwrap().checksum, "5D41402ABC4B2A76B9719D911017C592");
        assert_eq!((is.queue_id, is.queue_offset, is.delivery_attempt), (3, Some(77), Some(2)));
        assert_eq!(is.store_host, "10.0.0.1:8081");
        assert_eq!(is.invisible_duration, Some(time::wire_duration(Duration::from_secs(30))));
        assert_eq!(is.dead_letter_queue, None);
        let handle = Handle::decode(&is.receipt_handle.unwrap()).unwrap();
        assert_eq!((handle.receipt.lease, handle.attempt), (5, 2));
    }

    #[test]
    fn a_dead_letter_says_where_it_came_from() {
        let published = publish(sent(), &topic(), "", Duration::ZERO);
        let asked = AskedTopic { resource: resource("%DLQ%g"), full_name: "%DLQ%shop%g".into() };
        let back = delivered(&lease(published.record), &asked, Duration::ZERO).unwrap();
        let origin = back.system_properties.unwrap().dead_letter_queue.unwrap();
        assert_eq!(
            (origin.topic.as_str(), origin.message_id.as_str()),
            ("orders", "01FFEEDDCCBBAA00112233445566778899")
        );
        assert_eq!(back.topic.unwrap().name, "%DLQ%g");
    }

    #[test]
    fn the_priority_is_the_queue_and_comes_back() {
        let topic = Topic { kind: TopicType::Priority, ..topic() };
        for (priority, number) in [(Some(0), 0), (Some(2), 2), (Some(3), 3), (Some(i32::MAX), 3), (None, 0)] {
            let mut message = sent();
            let system = message.system_properties.as_mut().unwrap();
            (system.priority, system.message_group) = (priority, None);
            let published = publish(message, &topic, "", Duration::ZERO);
            assert_eq!(published.queue.number, number, "{priority:?}");
            let asked = AskedTopic { resource: resource("orders"), full_name: "shop%orders".into() };
            let back = delivered(&lease(published.record), &asked, Duration::ZERO).unwrap();
            let system = back.system_properties.unwrap();
            let kind = if priority.is_some() { MessageType::Priority } else { MessageType::Normal };
            assert_eq!((system.priority, system.message_type), (priority, kind as i32));
        }
    }

    #[test]
    fn the_queue_follows_from_the_message_alone() {
        let with = |group: Option<&str>, id: &str| {
            let mut message = sent();
            let system = message.system_properties.as_mut().unwrap();
            system.message_group = group.map(str::to_owned);
            system.message_id = id.into();
            publish(message, &topic(), "", Duration::ZERO)
        };
        assert_eq!(with(Some("g"), "1").queue, with(Some("g"), "2").queue);
        assert_eq!(with(Some("g"), "1").queue.number, (hash64(b"g") % 4) as u32);
        assert_eq!(with(None, "1").queue, with(None, "1").queue);
        let spread: std::collections::BTreeSet<_> =
            (0..64).map(|id| with(None, &id.to_string()).queue.number).collect();
        assert_eq!(spread.len(), 4);
        let published = with(None, "1");
        assert_eq!(published.group, topic().queues[published.queue.number as usize]);
        assert_eq!((published.order_hash, published.tag_hash), (0, hash64(b"red")));
    }
}
