//! Sizes and durations as people write them: `64MiB`, `10s`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Why a text is not a size or a duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Not a size.
    #[error("`{text}` is not a size: write a number with B, KiB, MiB or GiB, such as `64MiB`")]
    Size {
        /// What was written.
        text: String,
    },
    /// Not a share.
    #[error("`{text}` is not a share: write a number within 0 and 1, such as `0.01`")]
    Ratio {
        /// What was written.
        text: String,
    },
    /// Not a duration.
    #[error("`{text}` is not a duration: write a number with ms, s, m, h or d, such as `10s`")]
    Duration {
        /// What was written.
        text: String,
    },
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
    ("", 1),
];

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `64MiB`, `1 GiB`, `4096` as bytes.
pub fn parse_bytes(text: &str) -> Result<u64, ValueError> {
    let wrong = || ValueError::Size { text: text.to_owned() };
    let (digits, unit) = split_number(text.trim()).ok_or_else(wrong)?;
    let unit = unit.trim().to_ascii_uppercase();
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// Reads `10s`, `500ms`, `1h30m`. A bare number has no unit and is refused, except 0.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::Duration { text: text.to_owned() };
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let (digits, tail) = split_number(rest).ok_or_else(wrong)?;
        let tail = tail.trim_start();
        let unit_len = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_len);
        let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        let part_ms = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        total_ms = part_ms.and_then(|part| total_ms.checked_add(part)).ok_or_else(wrong)?;
        rest = next.trim_start();
    }
    Ok(Duration::from_millis(total_ms))
}

fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A number of bytes. In TOML an integer, or a string such as `"64MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

/// A number of milliseconds. In TOML an integer, or a string such as `"10s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// A share: 0 is nothing, 1 everything. In TOML a number, or a string such as `"0.5"`. Never NaN.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

impl Eq for Ratio {}

impl Millis {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let mut rest = self.0;
        for (unit, ms) in DURATION_UNITS.iter().rev() {
            if rest >= *ms {
                write!(f, "{}{unit}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(from) {
            Ok(NumberOrText::Number(bytes)) => Ok(ByteCount(bytes)),
            Ok(NumberOrText::Text(text)) => {
                parse_bytes(&text).map(ByteCount).map_err(serde::de::Error::custom)
            }
            Err(_) => Err(serde::de::Error::custom("expected a size: bytes, or text such as \"64MiB\"")),
        }
    }
}

impl Serialize for ByteCount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ShareOrText {
    Share(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (share, text) = match ShareOrText::deserialize(from) {
            Ok(ShareOrText::Share(share)) => (Some(share), share.to_string()),
            Ok(ShareOrText::Text(text)) => (text.trim().parse().ok(), text),
            Err(_) => return Err(serde::de::Error::custom("expected a share: a number within 0 and 1")),
        };
        let share = share.filter(|share: &f64| !share.is_nan()).ok_or(ValueError::Ratio { text });
        share.map(Ratio).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(from) {
            Ok(NumberOrText::Number(ms)) => Ok(Millis(ms)),
            Ok(NumberOrText::Text(text)) => parse_duration(&text)
                .map(|duration| Millis(duration.as_millis() as u64))
                .map_err(serde::de::Error::custom),
            Err(_) => {
                Err(serde::de::Error::custom("expected a duration: milliseconds, or text such as \"10s\""))
            }
        }
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("1 gib"), Ok(1 << 30));
        assert_eq!(parse_bytes("10MB"), Ok(10_000_000));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        for wrong in
            ["", "MiB", "-1", "5 parsecs", "1.5MiB", "99999999999999999999", "18446744073709551615KiB"]
        {
            assert!(parse_bytes(wrong).is_err(), "{wrong:?} was taken as a size");
        }
    }

    #[test]
    fn durations_are_read_with_units_only() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(
            [0, 250, 90_000, 259_200_000].map(|ms| Millis(ms).to_string()),
            ["0", "250ms", "1m30s", "3d"]
        );
        for wrong in ["", "10", "s", "10 parsecs", "-1s", "1.5s", "999999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?} was taken as a duration");
        }
    }

    #[test]
    fn a_size_prints_as_it_is_read() {
        for bytes in [0, 1, 1023, 1 << 10, 3 << 20, 1 << 30, (1 << 30) + 1] {
            assert_eq!(parse_bytes(&ByteCount(bytes).to_string()), Ok(bytes));
        }
    }
}
