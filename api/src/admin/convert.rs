//! Between the admin service's types and ours.

use proto::admin;
use raft::catalog::{ConsumerGroup, StartFrom, Topic, TopicType};

use super::settings::{wire_retry, wire_topic_settings};
use crate::convert::status::Fault;

pub(super) fn wire_topic(topic: &Topic) -> admin::Topic {
    admin::Topic {
        name: topic.name.clone(),
        id: topic.id.0,
        r#type: wire_type(topic.kind) as i32,
        queues: topic.queues.len() as u32,
        created_unix_ms: topic.created_ms as i64,
        settings: Some(wire_topic_settings(&topic.settings)),
        ordered_queues: topic.ordered().len() as u32,
        spreading: topic.mapping.spreading.map(|step| admin::Spreading {
            from: step.from,
            to: step.to,
            begun_unix_ms: step.begun_ms as i64,
            until_unix_ms: step.until_ms as i64,
        }),
        spread_steps: topic.mapping.steps.len() as u32,
        spread_given_up: topic.mapping.given_up.as_ref().map(|it| it.why.clone()).unwrap_or_default(),
    }
}

fn wire_type(kind: TopicType) -> admin::TopicType {
    match kind {
        TopicType::Normal => admin::TopicType::Normal,
        TopicType::Fifo => admin::TopicType::Fifo,
        TopicType::Delay => admin::TopicType::Delay,
        TopicType::Transaction => admin::TopicType::Transaction,
        TopicType::Priority => admin::TopicType::Priority,
        TopicType::Lite => admin::TopicType::Lite,
        TopicType::Mixed => admin::TopicType::Mixed,
    }
}

/// The type asked for, none where it is left open.
pub(super) fn topic_type(wire: i32) -> Result<Option<TopicType>, Fault> {
    let known = admin::TopicType::try_from(wire)
        .map_err(|_| Fault::BadRequest(format!("the topic type {wire} is unknown")))?;
    Ok(match known {
        admin::TopicType::Unspecified => None,
        admin::TopicType::Normal => Some(TopicType::Normal),
        admin::TopicType::Fifo => Some(TopicType::Fifo),
        admin::TopicType::Delay => Some(TopicType::Delay),
        admin::TopicType::Transaction => Some(TopicType::Transaction),
        admin::TopicType::Priority => Some(TopicType::Priority),
        admin::TopicType::Lite => Some(TopicType::Lite),
        admin::TopicType::Mixed => Some(TopicType::Mixed),
    })
}

pub(super) fn wire_group(group: &ConsumerGroup) -> admin::Group {
    let (start_from, start_unix_ms) = match group.start {
        StartFrom::First => (admin::StartFrom::First, 0),
        StartFrom::Last => (admin::StartFrom::Last, 0),
        StartFrom::Time(unix_ms) => (admin::StartFrom::Time, unix_ms as i64),
    };
    admin::Group {
        name: group.name.clone(),
        id: group.id.0,
        fifo: group.fifo,
        max_attempts: u32::from(group.max_attempts),
        start_from: start_from as i32,
        start_unix_ms,
        created_unix_ms: group.created_ms as i64,
        retry: Some(wire_retry(&group.settings.retry)),
        paused: group.settings.paused,
        in_flight_max: group.settings.in_flight_max.unwrap_or(0),
    }
}

/// The start asked for, none where it is left open.
pub(super) fn start_from(wire: i32, unix_ms: i64) -> Result<Option<StartFrom>, Fault> {
    let known = admin::StartFrom::try_from(wire)
        .map_err(|_| Fault::BadRequest(format!("the start {wire} is unknown")))?;
    Ok(match known {
        admin::StartFrom::Unspecified => None,
        admin::StartFrom::First => Some(StartFrom::First),
        admin::StartFrom::Last => Some(StartFrom::Last),
        admin::StartFrom::Time => {
            let unix_ms = u64::try_from(unix_ms)
                .map_err(|_| Fault::BadRequest(format!("the time {unix_ms} lies before 1970")))?;
            Some(StartFrom::Time(unix_ms))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_starts_read_back() {
        let kinds = [TopicType::Normal, TopicType::Fifo, TopicType::Delay, TopicType::Transaction];
        for kind in kinds.into_iter().chain([TopicType::Priority, TopicType::Lite, TopicType::Mixed]) {
            assert_eq!(topic_type(wire_type(kind) as i32), Ok(Some(kind)));
        }
        assert_eq!(topic_type(0), Ok(None));
        assert!(topic_type(99).is_err());
        assert_eq!(start_from(admin::StartFrom::Time as i32, 5), Ok(Some(StartFrom::Time(5))));
        assert!(start_from(admin::StartFrom::Time as i32, -5).is_err());
    }
}
