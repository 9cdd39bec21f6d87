//! Settings of topics and consumer groups, as people write them and as they are printed.

use std::str::FromStr;

use clap::Args;
use proto::admin;
use serde_json::{Map, Value, json};

use crate::options::values::{ByteCount, Millis, parse_bytes, parse_duration};

/// What takes a setting away.
const NONE: &str = "none";

/// Settings of a topic.
#[derive(Clone, Debug, Default, Args)]
pub struct TopicSettingsArgs {
    /// Keep messages at least so long (72h), or `none`: as the node's own setting says
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    retention: Option<u64>,
    /// Let the oldest messages go when the topic has more bytes than this (10GiB), or `none`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    retention_bytes: Option<u64>,
    /// Deliver no message that is older than this (1h), or `none`
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    ttl: Option<u64>,
    /// Take so many messages in a second, or `none`
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    max_messages_per_second: Option<u32>,
    /// Take so many bytes of bodies in a second (10MiB), or `none`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_bytes_per_second: Option<u64>,
    /// Recognize a repeated message for so long, 10s to 10m, or `none`: 10m
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    dedup_window: Option<u64>,
    /// Recognize a repeated message by this property of it instead of its id (`KEYS`: its first key), or `none`
    #[arg(long, value_name = "NAME", value_parser = text)]
    dedup_property: Option<String>,
    /// Let a lite topic go when nothing was sent to it for so long (30m), read or not, but for what is leased; or
    /// `none`: when it holds no message any more
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    lite_idle: Option<u64>,
}

impl TopicSettingsArgs {
    /// As the admin service writes them.
    pub fn wire(self) -> admin::TopicSettings {
        admin::TopicSettings {
            retention_ms: self.retention,
            retention_bytes: self.retention_bytes,
            ttl_ms: self.ttl,
            max_messages_per_s: self.max_messages_per_second,
            max_bytes_per_s: self.max_bytes_per_second,
            dedup_window_ms: self.dedup_window,
            dedup_property: self.dedup_property,
            lite_idle_ms: self.lite_idle,
        }
    }
}

fn duration_ms(text: &str) -> Result<u64, String> {
    if text == NONE {
        return Ok(0);
    }
    let duration = parse_duration(text).map_err(|error| format!("{error}, or `none`"))?;
    match u64::try_from(duration.as_millis()) {
        Ok(0) | Err(_) => Err(format!("`{text}` is no time: write `none` to take the setting away")),
        Ok(ms) => Ok(ms),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    if text == NONE {
        return Ok(0);
    }
    match parse_bytes(text).map_err(|error| format!("{error}, or `none`"))? {
        0 => Err("0 bytes are none: write `none` to take the setting away".to_owned()),
        bytes => Ok(bytes),
    }
}

fn number<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    if text == NONE {
        return Ok(T::default());
    }
    let number = text.parse::<T>().ok().filter(|number| *number != T::default());
    number.ok_or_else(|| format!("`{text}` is not a number from 1 on, nor `none`"))
}

fn text(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is missing: write `none` to take the setting away".to_owned()),
        NONE => Ok(String::new()),
        name => Ok(name.to_owned()),
    }
}

/// The settings that are set: as they are written on the command line.
pub fn topic_settings(settings: &admin::TopicSettings) -> Map<String, Value> {
    let millis = |ms: u64| Value::from(Millis(ms).to_string());
    let size = |bytes: u64| Value::from(ByteCount(bytes).to_string());
    let all = [
        ("retention", settings.retention_ms.map(millis)),
        ("retention_bytes", settings.retention_bytes.map(size)),
        ("ttl", settings.ttl_ms.map(millis)),
        ("max_messages_per_second", settings.max_messages_per_s.map(Value::from)),
        ("max_bytes_per_second", settings.max_bytes_per_s.map(size)),
        ("dedup_window", settings.dedup_window_ms.map(millis)),
        ("dedup_property", settings.dedup_property.clone().map(Value::from)),
        ("lite_idle", settings.lite_idle_ms.map(millis)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// `, name value` for each, for a sentence.
pub fn listed(settings: &Map<String, Value>) -> String {
    let part = |(name, value): (&String, &Value)| {
        let name = name.replace('_', " ");
        match value {
            Value::String(text) => format!(", {name} {text}"),
            other => format!(", {name} {other}"),
        }
    };
    settings.iter().map(part).collect()
}

/// `levels`, `exponential:1s,1m,x2`, or `1s,5s,10s`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The 18 levels.
    Levels,
    /// Pauses of one's own, in milliseconds.
    Pauses(Vec<u64>),
    /// First pause and longest one in milliseconds, and the factor in hundredths.
    Exponential(u64, u64, u32),
}

impl FromStr for Retry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "levels" {
            return Ok(Retry::Levels);
        }
        let pause = |text: &str| -> Result<u64, String> {
            let duration = parse_duration(text).map_err(|error| error.to_string())?;
            u64::try_from(duration.as_millis()).map_err(|_| format!("`{text}` is too long"))
        };
        let Some(exponential) = text.strip_prefix("exponential:") else {
            return Ok(Retry::Pauses(text.split(',').map(pause).collect::<Result<_, _>>()?));
        };
        let wrong = || format!("`{text}` is not a back-off: write `exponential:1s,1m,x2`");
        let parts: Vec<&str> = exponential.split(',').map(str::trim).collect();
        let [initial, max, factor] = parts.as_slice() else { return Err(wrong()) };
        let factor = factor.strip_prefix('x').and_then(hundredths).ok_or_else(wrong)?;
        Ok(Retry::Exponential(pause(initial)?, pause(max)?, factor))
    }
}

/// Reads `2`, `1.5` or `1.25`.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 2 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<2}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(fraction)
}

impl Retry {
    /// As the admin service writes it.
    pub fn wire(self) -> admin::RetryPolicy {
        let levels = |levels_ms| admin::RetryPolicy { levels_ms, exponential: None };
        match self {
            Retry::Levels => levels(raft::settings::RETRY_LEVELS_MS.to_vec()),
            Retry::Pauses(pauses) => levels(pauses),
            Retry::Exponential(initial_ms, max_ms, multiplier_percent) => admin::RetryPolicy {
                levels_ms: Vec::new(),
                exponential: Some(admin::ExponentialRetry { initial_ms, max_ms, multiplier_percent }),
            },
        }
    }
}

/// As it is written on the command line.
pub fn retry(policy: Option<&admin::RetryPolicy>) -> String {
    let Some(policy) = policy else { return "levels".to_owned() };
    if let Some(exponential) = &policy.exponential {
        let (whole, hundredths) =
            (exponential.multiplier_percent / 100, exponential.multiplier_percent % 100);
        let factor = match hundredths {
            0 => whole.to_string(),
            hundredths => format!("{whole}.{hundredths:02}").trim_end_matches('0').to_owned(),
        };
        return format!(
            "exponential:{},{},x{factor}",
            Millis(exponential.initial_ms),
            Millis(exponential.max_ms)
        );
    }
    if policy.levels_ms == raft::settings::RETRY_LEVELS_MS {
        return "levels".to_owned();
    }
    policy.levels_ms.iter().map(|ms| Millis(*ms).to_string()).collect::<Vec<_>>().join(",")
}

/// What is set for a group, beside what every group has.
pub fn group_settings(group: &admin::Group) -> Map<String, Value> {
    let mut settings = Map::new();
    settings.insert("retry".to_owned(), json!(retry(group.retry.as_ref())));
    settings.insert("paused".to_owned(), json!(group.paused));
    let bound = (group.in_flight_max > 0).then_some(group.in_flight_max);
    settings.insert("in_flight_max".to_owned(), json!(bound));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_printed_as_they_are_written() {
        for text in ["levels", "1s,5s,10s", "250ms", "exponential:1s,1m,x1.5", "exponential:10ms,1h,x1.25"] {
            let read: Retry = text.parse().unwrap();
            assert_eq!(retry(Some(&read.wire())), text);
        }
        for wrong in
            ["", "5", "level", "exponential:1s,1m", "exponential:1s,1m,2", "exponential:1s,1m,x2.123"]
        {
            assert!(wrong.parse::<Retry>().is_err(), "{wrong:?} was taken as a back-off");
        }
    }

    #[test]
    fn none_takes_a_setting_away_and_nothing_else_does() {
        assert_eq!((duration_ms("72h"), duration_ms("none")), (Ok(259_200_000), Ok(0)));
        assert_eq!((bytes("1KiB"), bytes("none")), (Ok(1024), Ok(0)));
        assert_eq!((number::<u32>("7"), number::<u32>("none")), (Ok(7), Ok(0)));
        assert_eq!((text("order"), text("none")), (Ok("order".to_owned()), Ok(String::new())));
        let refused = [duration_ms("0").is_err(), bytes("0").is_err(), number::<u32>("0").is_err()];
        assert_eq!(refused, [true; 3]);
    }

    #[test]
    fn only_what_is_set_is_listed() {
        let set = admin::TopicSettings {
            ttl_ms: Some(3_600_000),
            max_messages_per_s: Some(9),
            ..Default::default()
        };
        assert_eq!(listed(&topic_settings(&set)), ", max messages per second 9, ttl 1h");
        assert_eq!(listed(&topic_settings(&admin::TopicSettings::default())), "");
    }
}
