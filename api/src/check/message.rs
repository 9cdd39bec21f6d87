//! A message against the limits and against its topic's type.

use std::time::Duration;

use proto::v2::{Message, MessageType, SystemProperties};
use raft::catalog::TopicType;
use raft::clock;

use crate::check::reserved;
use crate::convert::status::Fault;
use crate::convert::time;
use crate::limits::{
    LITE_TOPIC_BYTES_MAX, MESSAGE_GROUP_BYTES_END, MESSAGE_ID_BYTES_MAX, ORPHAN_RECOVERY_MAX,
    PROPERTIES_BYTES_MAX, PROPERTIES_MAX,
};

/// The limits that options can move.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// How far ahead a delivery time may lie.
    pub max_delay: Duration,
}

/// What a message is, derived from what it carries: transaction before delay before fifo before
/// normal. What it calls itself counts only for transactions.
///
/// # Errors
/// The first limit that it breaks.
pub fn message(message: &Message, limits: MessageLimits) -> Result<MessageType, Fault> {
    let Some(system) = &message.system_properties else {
        return Err(Fault::IllegalMessageId("the message has no id".into()));
    };
    body(message.body.len(), limits.body_bytes)?;
    message_id(&system.message_id)?;
    tag(system)?;
    keys(system)?;
    properties(message, system)?;
    message_group(system)?;
    times(system, limits.max_delay)?;
    kind(system)
}

fn body(bytes: usize, max: usize) -> Result<(), Fault> {
    match bytes {
        0 => Err(Fault::BodyEmpty),
        bytes if bytes > max => Err(Fault::BodyTooLarge { bytes, max }),
        _ => Ok(()),
    }
}

fn message_id(id: &str) -> Result<(), Fault> {
    if id.trim().is_empty() {
        return Err(Fault::IllegalMessageId("the message id is blank".into()));
    }
    if id.len() > MESSAGE_ID_BYTES_MAX {
        let length = id.len();
        return Err(Fault::IllegalMessageId(format!(
            "the message id has {length} bytes; at most {MESSAGE_ID_BYTES_MAX} are allowed"
        )));
    }
    Ok(())
}

fn tag(system: &SystemProperties) -> Result<(), Fault> {
    let Some(tag) = &system.tag else { return Ok(()) };
    if tag.trim().is_empty() {
        return Err(Fault::IllegalTag("the tag is blank".into()));
    }
    if tag.contains('|') {
        return Err(Fault::IllegalTag("the tag contains '|', which separates tags in a filter".into()));
    }
    if has_control(tag) {
        return Err(Fault::IllegalTag("the tag contains a control character".into()));
    }
    Ok(())
}

fn keys(system: &SystemProperties) -> Result<(), Fault> {
    for key in &system.keys {
        if key.trim().is_empty() {
            return Err(Fault::IllegalKey("a message key is blank".into()));
        }
        if has_control(key) {
            return Err(Fault::IllegalKey("a message key contains a control character".into()));
        }
    }
    Ok(())
}

fn properties(message: &Message, system: &SystemProperties) -> Result<(), Fault> {
    let count = message.user_properties.len();
    if count > PROPERTIES_MAX {
        return Err(Fault::PropertiesTooLarge(format!(
            "the message has {count} user properties; at most {PROPERTIES_MAX} are allowed"
        )));
    }
    let mut bytes = system.tag.as_ref().map_or(0, String::len);
    bytes += system.keys.iter().map(String::len).sum::<usize>();
    for (key, value) in &message.user_properties {
        if key.trim().is_empty() {
            return Err(Fault::IllegalProperty("a user property has a blank name".into()));
        }
        if reserved::is_property_name(key) {
            return Err(Fault::IllegalProperty(format!("the property name {key} is reserved")));
        }
        if has_control(key) || has_control(value) {
            return Err(Fault::IllegalProperty("a user property contains a control character".into()));
        }
        bytes += key.len() + value.len();
    }
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(Fault::PropertiesTooLarge(format!(
            "user properties, tag and keys have {bytes} bytes; at most {PROPERTIES_BYTES_MAX} are allowed"
        )));
    }
    Ok(())
}

fn message_group(system: &SystemProperties) -> Result<(), Fault> {
    let Some(group) = &system.message_group else { return Ok(()) };
    let illegal = |why: String| Err(Fault::IllegalMessageGroup(why));
    if group.trim().is_empty() {
        return illegal("the message group is blank".into());
    }
    if group.len() >= MESSAGE_GROUP_BYTES_END {
        let length = group.len();
        return illegal(format!(
            "the message group has {length} bytes; it must have fewer than {MESSAGE_GROUP_BYTES_END}"
        ));
    }
    if has_control(group) {
        return illegal("the message group contains a control character".into());
    }
    Ok(())
}

fn times(system: &SystemProperties, max_delay: Duration) -> Result<(), Fault> {
    if let Some(due) = &system.delivery_timestamp {
        let ahead_ms = time::unix_ms(due).saturating_sub(clock::now_ms());
        if Duration::from_millis(ahead_ms) > max_delay {
            let (hours, most) = (ahead_ms / 3_600_000, max_delay.as_secs() / 3_600);
            return Err(Fault::IllegalDeliveryTime(format!(
                "the delivery time lies {hours} hours ahead; at most {most} are allowed"
            )));
        }
    }
    if let Some(recovery) = &system.orphaned_transaction_recovery_duration
        && time::duration(recovery).is_none_or(|recovery| recovery > ORPHAN_RECOVERY_MAX)
    {
        return Err(Fault::BadRequest(format!(
            "the recovery time of an orphaned transaction must lie between 0 and {} s",
            ORPHAN_RECOVERY_MAX.as_secs()
        )));
    }
    Ok(())
}

fn kind(system: &SystemProperties) -> Result<MessageType, Fault> {
    let delayed = system.delivery_timestamp.is_some();
    let ordered = system.message_group.is_some();
    let conflict = |why: &str| Err(Fault::TypeConflict(why.into()));
    if let Some(lite) = &system.lite_topic {
        lite_topic(lite)?;
    }
    if let Some(priority) = system.priority {
        if priority < 0 {
            return Err(Fault::BadRequest(format!("the priority {priority} is negative")));
        }
        if delayed || ordered || system.lite_topic.is_some() {
            return conflict("a priority cannot stand with a message group, a delivery time or a lite topic");
        }
    }
    let transaction = system.message_type() == MessageType::Transaction;
    if delayed && ordered {
        return conflict("a delivery time cannot stand with a message group: it would break the order");
    }
    if transaction && delayed {
        return conflict("a message of a transaction cannot have a delivery time");
    }
    if system.lite_topic.is_some() && (delayed || ordered || transaction) {
        return conflict("a lite topic cannot stand with a message group, a delivery time or a transaction");
    }
    Ok(if transaction {
        MessageType::Transaction
    } else if delayed {
        MessageType::Delay
    } else if ordered {
        MessageType::Fifo
    } else if system.lite_topic.is_some() {
        MessageType::Lite
    } else if system.priority.is_some() {
        MessageType::Priority
    } else {
        MessageType::Normal
    })
}

/// Whether a lite topic may have this name.
///
/// # Errors
/// [`Fault::IllegalLiteTopic`] with a sentence.
pub fn lite_topic(name: &str) -> Result<(), Fault> {
    let letters = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    if name.is_empty() || name.len() > LITE_TOPIC_BYTES_MAX || !letters {
        return Err(Fault::IllegalLiteTopic(format!(
            "a lite topic's name has 1 to {LITE_TOPIC_BYTES_MAX} letters, digits, '_' or '-'"
        )));
    }
    Ok(())
}

/// Whether a topic takes such a message.
///
/// # Errors
/// [`Fault::TypeConflict`] with a sentence.
pub fn fits(kind: MessageType, topic: TopicType, topic_name: &str) -> Result<(), Fault> {
    let takes = match topic {
        TopicType::Normal => kind == MessageType::Normal,
        TopicType::Fifo => kind == MessageType::Fifo,
        TopicType::Delay => kind == MessageType::Delay,
        TopicType::Transaction => kind == MessageType::Transaction,
        TopicType::Priority => kind == MessageType::Priority,
        TopicType::Lite => kind == MessageType::Lite,
        TopicType::Mixed => matches!(
            kind,
            MessageType::Normal | MessageType::Fifo | MessageType::Delay | MessageType::Transaction
        ),
    };
    if takes {
        return Ok(());
    }
    let (is, wants) = (kind.as_str_name(), format!("{topic:?}").to_uppercase());
    Err(Fault::TypeConflict(format!("topic {topic_name} takes {wants} messages; this one is {is}")))
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::convert::status::ClientLanguage;

    const LIMITS: MessageLimits =
        MessageLimits { body_bytes: 4_194_304, max_delay: Duration::from_secs(365 * 24 * 3600) };

    fn good() -> Message {
        Message {
            body: Bytes::from_static(b"hello"),
            system_properties: Some(SystemProperties { message_id: "id".into(), ..Default::default() }),
            ..Default::default()
        }
    }

    fn system(change: impl FnOnce(&mut SystemProperties)) -> Message {
        let mut message = good();
        change(message.system_properties.as_mut().unwrap());
        message
    }

    fn code(bad: &Message) -> i32 {
        message(bad, LIMITS).expect_err("a limit is broken").status(ClientLanguage::Java).code
    }

    #[test]
    fn each_limit_has_its_code() {
        let body = |bytes: usize| Message { body: vec![0; bytes].into(), ..good() };
        assert_eq!(message(&body(4_194_304), LIMITS), Ok(MessageType::Normal));
        assert_eq!(code(&body(4_194_305)), 41301);
        assert_eq!(code(&body(0)), 41302);
        assert_eq!(code(&system(|system| system.message_id = " ".into())), 40009);
        for tag in ["", " ", "a|b", "a\u{7}"] {
            assert_eq!(code(&system(|system| system.tag = Some(tag.into()))), 40004, "{tag:?}");
        }
        for key in ["", " ", "a\nb"] {
            assert_eq!(code(&system(|system| system.keys = vec!["k".into(), key.into()])), 40005, "{key:?}");
        }
        for group in ["", " ", "a\tb", &"g".repeat(64)] {
            assert_eq!(code(&system(|system| system.message_group = Some(group.into()))), 40006, "{group:?}");
        }
    }

    #[test]
    fn properties_are_bounded_together_with_tag_and_keys() {
        let with = |properties: Vec<(String, String)>| Message {
            user_properties: properties.into_iter().collect(),
            ..system(|system| {
                system.tag = Some("t".repeat(100));
                system.keys = vec!["k".repeat(100)];
            })
        };
        let many = |count: usize| (0..count).map(|number| (format!("p{number}"), String::new())).collect();
        assert!(message(&with(many(128)), LIMITS).is_ok());
        assert_eq!(code(&with(many(129))), 43101);
        assert!(message(&with(vec![("p".into(), "v".repeat(16_383 - 200))]), LIMITS).is_ok());
        assert_eq!(code(&with(vec![("p".into(), "v".repeat(16_384 - 200))])), 43101);
        assert_eq!(code(&with(vec![("KEYS".into(), "v".into())])), 40007);
        assert_eq!(code(&with(vec![("p".into(), "a\u{0}".into())])), 40007);
    }

    #[test]
    fn times_are_bounded() {
        let due = |ahead_ms: u64| {
            let timestamp = time::wire_timestamp(clock::now_ms() + ahead_ms);
            system(|system| system.delivery_timestamp = Some(timestamp))
        };
        const DAY_MS: u64 = 24 * 3600 * 1000;
        assert_eq!(message(&due(364 * DAY_MS), LIMITS), Ok(MessageType::Delay));
        assert_eq!(code(&due(366 * DAY_MS)), 40012);
        let recovery = |seconds| {
            let duration = prost_types::Duration { seconds, nanos: 0 };
            system(|system| system.orphaned_transaction_recovery_duration = Some(duration))
        };
        assert!(message(&recovery(3600), LIMITS).is_ok());
        assert_eq!(code(&recovery(3601)), 40000);
        assert_eq!(code(&recovery(-1)), 40000);
    }

    #[test]
    fn the_type_is_derived_from_what_is_there() {
        let of = |change: fn(&mut SystemProperties)| message(&system(change), LIMITS).unwrap();
        let now = prost_types::Timestamp { seconds: 1, nanos: 0 };
        assert_eq!(of(|system| system.message_type = MessageType::Fifo as i32), MessageType::Normal);
        assert_eq!(of(|system| system.message_group = Some("g".into())), MessageType::Fifo);
        let mut both = system(|system| system.message_group = Some("g".into()));
        both.system_properties.as_mut().unwrap().delivery_timestamp = Some(now);
        assert_eq!(code(&both), 40014);
        let properties = both.system_properties.as_mut().unwrap();
        properties.message_type = MessageType::Transaction as i32;
        properties.message_group = None;
        assert_eq!(code(&both), 40014);
        both.system_properties.as_mut().unwrap().delivery_timestamp = None;
        assert_eq!(message(&both, LIMITS), Ok(MessageType::Transaction));
        assert_eq!(of(|system| system.priority = Some(0)), MessageType::Priority);
        assert_eq!(of(|system| system.lite_topic = Some("l".into())), MessageType::Lite);
        assert_eq!(code(&system(|system| system.lite_topic = Some("l%".into()))), 40020);
        assert_eq!(code(&system(|system| system.priority = Some(-1))), 40000);
        let crossed = system(|system| {
            system.priority = Some(1);
            system.message_group = Some("g".into());
        });
        assert_eq!(code(&crossed), 40014);
    }

    #[test]
    fn a_topic_takes_only_its_type_unless_it_is_mixed() {
        assert_eq!(fits(MessageType::Fifo, TopicType::Fifo, "t"), Ok(()));
        assert_eq!(fits(MessageType::Fifo, TopicType::Mixed, "t"), Ok(()));
        let refused = fits(MessageType::Normal, TopicType::Fifo, "orders").unwrap_err();
        assert_eq!(refused.to_string(), "topic orders takes FIFO messages; this one is NORMAL");
        assert_eq!(refused.status(ClientLanguage::Java).code, 40014);
        assert!(fits(MessageType::Priority, TopicType::Mixed, "t").is_err());
    }
}
