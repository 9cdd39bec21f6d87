//! Between the admin service's settings and ours.

use proto::admin;
use raft::limits::DEDUP_WINDOW_MS;
use raft::settings::{RetryPolicy, TopicSettings};

use crate::convert::status::Fault;
use crate::limits::{DEDUP_WINDOW_MIN, LITE_IDLE_MIN};

pub(super) fn wire_topic_settings(settings: &TopicSettings) -> admin::TopicSettings {
    admin::TopicSettings {
        retention_ms: settings.retention_ms,
        retention_bytes: settings.retention_bytes,
        ttl_ms: settings.ttl_ms,
        max_messages_per_s: settings.max_messages_per_s,
        max_bytes_per_s: settings.max_bytes_per_s,
        dedup_window_ms: settings.dedup_window_ms,
        dedup_property: settings.dedup_property.clone(),
        lite_idle_ms: settings.lite_idle_ms,
    }
}

/// The settings asked for; none where they are left open.
pub(super) fn topic_settings(wire: Option<admin::TopicSettings>) -> Result<TopicSettings, Fault> {
    let wire = wire.unwrap_or_default();
    let shortest_ms = DEDUP_WINDOW_MIN.as_millis() as u64;
    if let Some(window_ms) = wire.dedup_window_ms
        && window_ms != 0
        && !(shortest_ms..=DEDUP_WINDOW_MS).contains(&window_ms)
    {
        return Err(Fault::BadRequest(format!(
            "messages are recognized for {} s to {} s, not for {} s",
            shortest_ms / 1000,
            DEDUP_WINDOW_MS / 1000,
            window_ms / 1000
        )));
    }
    let shortest_ms = LITE_IDLE_MIN.as_millis() as u64;
    if let Some(idle_ms) = wire.lite_idle_ms.filter(|idle_ms| (1..shortest_ms).contains(idle_ms)) {
        return Err(Fault::BadRequest(format!(
            "a lite topic is idle after {} s at least, not after {idle_ms} ms",
            LITE_IDLE_MIN.as_secs()
        )));
    }
    Ok(TopicSettings {
        retention_ms: wire.retention_ms,
        retention_bytes: wire.retention_bytes,
        ttl_ms: wire.ttl_ms,
        max_messages_per_s: wire.max_messages_per_s,
        max_bytes_per_s: wire.max_bytes_per_s,
        dedup_window_ms: wire.dedup_window_ms,
        dedup_property: wire.dedup_property,
        lite_idle_ms: wire.lite_idle_ms,
    })
}

pub(super) fn wire_retry(policy: &RetryPolicy) -> admin::RetryPolicy {
    match policy {
        RetryPolicy::Levels(levels) => admin::RetryPolicy { levels_ms: levels.clone(), exponential: None },
        RetryPolicy::Exponential { initial_ms, max_ms, multiplier_percent } => {
            let exponential = admin::ExponentialRetry {
                initial_ms: *initial_ms,
                max_ms: *max_ms,
                multiplier_percent: *multiplier_percent,
            };
            admin::RetryPolicy { levels_ms: Vec::new(), exponential: Some(exponential) }
        }
    }
}

pub(super) fn retry_policy(wire: admin::RetryPolicy) -> Result<RetryPolicy, Fault> {
    let policy = match wire.exponential {
        None => RetryPolicy::Levels(wire.levels_ms),
        Some(_) if !wire.levels_ms.is_empty() => {
            return Err(Fault::BadRequest("retry pauses are levels or exponential, not both".into()));
        }
        Some(exponential) => RetryPolicy::Exponential {
            initial_ms: exponential.initial_ms,
            max_ms: exponential.max_ms,
            multiplier_percent: exponential.multiplier_percent,
        },
    };
    policy.check().map_err(Fault::BadRequest)?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_back() {
        let exponential = RetryPolicy::Exponential { initial_ms: 5, max_ms: 9, multiplier_percent: 150 };
        for policy in [RetryPolicy::default(), exponential] {
            assert_eq!(retry_policy(wire_retry(&policy)), Ok(policy));
        }
        let both =
            admin::RetryPolicy { levels_ms: vec![1], exponential: Some(admin::ExponentialRetry::default()) };
        assert!(retry_policy(both).is_err());
    }

    #[test]
    fn a_longer_window_than_there_is_is_refused() {
        let asked = |dedup_window_ms| admin::TopicSettings { dedup_window_ms, ..Default::default() };
        assert!(topic_settings(Some(asked(Some(DEDUP_WINDOW_MS)))).is_ok());
        let refused = topic_settings(Some(asked(Some(DEDUP_WINDOW_MS + 1)))).unwrap_err();
        assert!(refused.to_string().contains("10 s to 600 s"), "{refused}");
    }

    #[test]
    fn a_lite_topic_is_not_idle_at_once() {
        let asked = |lite_idle_ms| admin::TopicSettings { lite_idle_ms, ..Default::default() };
        for good in [None, Some(0), Some(1_000), Some(u64::MAX)] {
            assert!(topic_settings(Some(asked(good))).is_ok(), "{good:?}");
        }
        let refused = topic_settings(Some(asked(Some(999)))).unwrap_err();
        assert!(refused.to_string().contains("1 s at least"), "{refused}");
    }
}
