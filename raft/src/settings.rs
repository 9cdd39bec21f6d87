//! What can be set for a topic and for a consumer group, and changed later.
//!
//! Rows and commands of `meta` are JSON: what is not set is left out, so a row from before a setting existed
//! reads as one without it.

use serde::{Deserialize, Serialize};

use crate::limits::{RETRY_LEVELS_MAX, RETRY_PAUSE_MS_MAX};

/// The pauses of the 18 levels, in milliseconds: 1 s, 5 s, 10 s, 30 s, 1 to 10 minutes, 20, 30, an hour, two.
pub const RETRY_LEVELS_MS: [u64; 18] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000,
    540_000, 600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000,
];

/// What can be set for a topic. As a change: `None` leaves a setting as it is, 0 (or an empty text) takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicSettings {
    /// Messages older than this may go, in milliseconds by the log's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<u64>,
    /// The oldest messages of the topic may go when it has more bytes than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_bytes: Option<u64>,
    /// A message is no longer delivered when it is older than this, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// So many messages may be sent in a second, over the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_messages_per_s: Option<u32>,
    /// So many bytes of bodies may be sent in a second, over the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_s: Option<u64>,
    /// A message that was sent already is recognized for so long, in milliseconds; at most
    /// [`crate::limits::DEDUP_WINDOW_MS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup_window_ms: Option<u64>,
    /// The property whose value says which message it is, instead of the message id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup_property: Option<String>,
    /// A lite topic goes when nothing was published to it for so long, in milliseconds by the log's time, read or
    /// not; unset, when it holds no message any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lite_idle_ms: Option<u64>,
}

impl TopicSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == TopicSettings::default()
    }

    /// Carries out a change.
    pub fn change(&mut self, change: TopicSettings) {
        let TopicSettings {
            retention_ms,
            retention_bytes,
            ttl_ms,
            max_messages_per_s,
            max_bytes_per_s,
            dedup_window_ms,
            dedup_property,
            lite_idle_ms,
        } = change;
        set(&mut self.retention_ms, retention_ms);
        set(&mut self.retention_bytes, retention_bytes);
        set(&mut self.ttl_ms, ttl_ms);
        set(&mut self.max_messages_per_s, max_messages_per_s);
        set(&mut self.max_bytes_per_s, max_bytes_per_s);
        set(&mut self.dedup_window_ms, dedup_window_ms);
        set(&mut self.dedup_property, dedup_property);
        set(&mut self.lite_idle_ms, lite_idle_ms);
    }
}

/// `None` changes nothing, the type's default value (0, or empty) takes the setting away.
fn set<T: Default + PartialEq>(setting: &mut Option<T>, change: Option<T>) {
    if let Some(value) = change {
        *setting = (value != T::default()).then_some(value);
    }
}

/// How long a message rests before it is delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// The pause after the first delivery, after the second, ..., in milliseconds; the last one counts from there on.
    Levels(Vec<u64>),
    /// A pause that grows by a factor.
    Exponential {
        /// After the first delivery, in milliseconds.
        initial_ms: u64,
        /// Never longer than this, in milliseconds.
        max_ms: u64,
        /// The factor in hundredths: 200 doubles.
        multiplier_percent: u32,
    },
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy::Levels(RETRY_LEVELS_MS.to_vec())
    }
}

impl RetryPolicy {
    /// The pause behind delivery number `attempt` (from 1), in milliseconds.
    pub fn pause_ms(&self, attempt: u16) -> u64 {
        let before = u32::from(attempt.max(1) - 1);
        match self {
            RetryPolicy::Levels(levels) => {
                let last = levels.len().saturating_sub(1);
                levels.get((before as usize).min(last)).copied().unwrap_or(0)
            }
            RetryPolicy::Exponential { initial_ms, max_ms, multiplier_percent } => {
                let mut pause_ms = *initial_ms;
                for _ in 0..before {
                    if pause_ms >= *max_ms {
                        break;
                    }
                    let grown = u128::from(pause_ms) * u128::from(*multiplier_percent) / 100;
                    // A factor of 1, or one that rounds to it, never gets any further.
                    if grown <= u128::from(pause_ms) {
                        break;
                    }
                    pause_ms = u64::try_from(grown).unwrap_or(u64::MAX);
                }
                pause_ms.min(*max_ms)
            }
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let longest_s = RETRY_PAUSE_MS_MAX / 1000;
        match self {
            RetryPolicy::Levels(levels) => {
                if levels.is_empty() || levels.len() > RETRY_LEVELS_MAX {
                    let count = levels.len();
                    return Err(format!("a retry schedule has 1 to {RETRY_LEVELS_MAX} levels, not {count}"));
                }
                match levels.iter().find(|level| **level > RETRY_PAUSE_MS_MAX) {
                    Some(level) => {
                        Err(format!("a retry pause is at most {longest_s} s, not {} s", level / 1000))
                    }
                    None => Ok(()),
                }
            }
            RetryPolicy::Exponential { initial_ms, max_ms, multiplier_percent } => {
                if *initial_ms == 0 || initial_ms > max_ms || *max_ms > RETRY_PAUSE_MS_MAX {
                    return Err(format!(
                        "retry pauses must grow from at least 1 ms to at most {longest_s} s, \
                         not from {initial_ms} ms to {max_ms} ms"
                    ));
                }
                match multiplier_percent {
                    100..=10_000 => Ok(()),
                    percent => Err(format!("a retry factor lies between 1 and 100, not at {percent} %")),
                }
            }
        }
    }
}

/// What can be set for a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupSettings {
    /// How long a message rests before it is delivered again.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: RetryPolicy,
    /// Nothing is delivered for now.
    #[serde(skip_serializing_if = "is_default")]
    pub paused: bool,
    /// With so many messages in flight in a broker group it gets no fresh ones there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl GroupSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        is_default(self)
    }
}

/// What changes of a consumer group; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupChange {
    /// Deliveries before a message becomes a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u16>,
    /// How long a message rests before it is delivered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Deliver nothing for now, or go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The bound of messages in flight; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u64>,
}

impl GroupSettings {
    /// Carries out a change; the number of attempts is the group's own.
    pub fn change(&mut self, change: GroupChange) {
        self.retry = change.retry.unwrap_or_else(|| std::mem::take(&mut self.retry));
        self.paused = change.paused.unwrap_or(self.paused);
        set(&mut self.in_flight_max, change.in_flight_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_attempt() {
        let levels = RetryPolicy::default();
        let pauses = [0, 1, 4, 18, 100].map(|attempt| levels.pause_ms(attempt));
        assert_eq!(pauses, [1_000, 1_000, 30_000, 7_200_000, 7_200_000]);
        let exponential =
            RetryPolicy::Exponential { initial_ms: 1_000, max_ms: 60_000, multiplier_percent: 250 };
        let pauses = [1, 2, 3, 6, u16::MAX].map(|attempt| exponential.pause_ms(attempt));
        assert_eq!(pauses, [1_000, 2_500, 6_250, 60_000, 60_000]);
        let steady = RetryPolicy::Exponential { initial_ms: 7, max_ms: 60_000, multiplier_percent: 100 };
        assert_eq!(steady.pause_ms(u16::MAX), 7);
    }

    #[test]
    fn policies_without_sense_are_refused() {
        let exponential = |initial_ms, max_ms, multiplier_percent| RetryPolicy::Exponential {
            initial_ms,
            max_ms,
            multiplier_percent,
        };
        assert_eq!(RetryPolicy::default().check(), Ok(()));
        assert_eq!(exponential(1, 1, 100).check(), Ok(()));
        let wrong = [
            RetryPolicy::Levels(vec![]),
            RetryPolicy::Levels(vec![1; RETRY_LEVELS_MAX + 1]),
            RetryPolicy::Levels(vec![RETRY_PAUSE_MS_MAX + 1]),
            exponential(0, 5, 200),
            exponential(6, 5, 200),
            exponential(1, RETRY_PAUSE_MS_MAX + 1, 200),
            exponential(1, 5, 99),
        ];
        for policy in wrong {
            assert!(policy.check().is_err(), "{policy:?}");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let mut topic = TopicSettings { ttl_ms: Some(5), retention_ms: Some(6), ..TopicSettings::default() };
        let change = TopicSettings { ttl_ms: Some(0), max_bytes_per_s: Some(7), ..TopicSettings::default() };
        topic.change(change);
        let wanted =
            TopicSettings { retention_ms: Some(6), max_bytes_per_s: Some(7), ..TopicSettings::default() };
        assert_eq!(topic, wanted);

        let retry = RetryPolicy::Levels(vec![9]);
        let mut group = GroupSettings { retry: retry.clone(), paused: true, in_flight_max: Some(3) };
        group.change(GroupChange { paused: Some(false), in_flight_max: Some(0), ..GroupChange::default() });
        assert_eq!(group, GroupSettings { retry, paused: false, in_flight_max: None });
    }

    #[test]
    fn what_is_not_set_is_not_written() {
        assert_eq!(serde_json::to_string(&TopicSettings::default()).unwrap(), "{}");
        assert_eq!(serde_json::to_string(&GroupSettings::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<GroupSettings>("{}").unwrap(), GroupSettings::default());
    }
}
