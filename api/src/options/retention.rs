//! `[retention]` and `[disk]`: how long messages stay, and what a disk that fills up calls for.

use std::time::Duration;

use raft::node::{DiskMarks, Retention};
use serde::{Deserialize, Serialize};

use super::values::{ByteCount, Millis};

/// Retention looks no more often than this.
const LOOK_EVERY_MS_MIN: u64 = 50;

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionSection {
    /// Messages of topics that say nothing themselves stay so long.
    pub keep_ms: Millis,
    /// The log of a broker group has about so many bytes at most, on each of its nodes; 0: as many as it takes.
    pub log_bytes: ByteCount,
    /// Files are deleted in the hour from this time of the day on, such as `04:00`, by UTC; empty: at any time. A
    /// disk that is too full does not wait for it.
    pub clean_at: String,
    /// How often the leader of a broker group looks for what is too old.
    pub look_every_ms: Millis,
}

/// `[disk]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskSection {
    /// A disk that is so full is spoken of, in percent.
    pub warn_percent: u8,
    /// On a disk that is so full what may go goes at once, and then the oldest messages, read or not.
    pub clean_percent: u8,
    /// With a disk that is so full, on whichever node, no messages are taken; consumers go on.
    pub refuse_percent: u8,
    /// A disk with so much free is not full, whatever part of it that is.
    pub spare_bytes: ByteCount,
    /// The data directory counts as a disk of so many bytes; 0: the whole disk is the node's.
    pub quota_bytes: ByteCount,
    /// How often a node looks.
    pub look_every_ms: Millis,
}

impl Default for RetentionSection {
    fn default() -> Self {
        let retention = Retention::default();
        RetentionSection {
            keep_ms: millis(retention.keep),
            log_bytes: ByteCount(retention.log_bytes),
            clean_at: String::new(),
            look_every_ms: millis(retention.look_every),
        }
    }
}

impl Default for DiskSection {
    fn default() -> Self {
        let marks = DiskMarks::default();
        DiskSection {
            warn_percent: marks.warn_percent,
            clean_percent: marks.clean_percent,
            refuse_percent: marks.refuse_percent,
            spare_bytes: ByteCount(marks.spare_bytes),
            quota_bytes: ByteCount(marks.quota_bytes),
            look_every_ms: millis(marks.look_every),
        }
    }
}

fn millis(duration: Duration) -> Millis {
    Millis(duration.as_millis() as u64)
}

/// The minute of the day that `04:00` says.
fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str, below: u32| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|number| plain && *number < below)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

impl RetentionSection {
    /// What the node is told.
    pub fn tuning(&self) -> Retention {
        Retention {
            keep: self.keep_ms.duration(),
            log_bytes: self.log_bytes.0,
            clean_at_minute: minute_of_day(&self.clean_at),
            look_every: self.look_every_ms.duration(),
        }
    }

    pub(super) fn check(&self, segment_bytes: ByteCount, wrong: &mut Vec<String>) {
        if self.keep_ms.0 == 0 {
            wrong.push("retention.keep_ms is 0: every message would go at once".to_owned());
        }
        if self.log_bytes.0 != 0 && self.log_bytes.0 < 2 * segment_bytes.0 {
            wrong.push(format!(
                "retention.log_bytes is {}: it must be two segments (log.segment_bytes is {segment_bytes}) at least, \
                 or 0 for no bound",
                self.log_bytes
            ));
        }
        if !self.clean_at.is_empty() && minute_of_day(&self.clean_at).is_none() {
            wrong.push(format!("retention.clean_at is `{}`: write a time such as `04:00`", self.clean_at));
        }
        check_look("retention.look_every_ms", self.look_every_ms, wrong);
    }
}

impl DiskSection {
    /// What the node is told.
    pub fn tuning(&self) -> DiskMarks {
        DiskMarks {
            warn_percent: self.warn_percent,
            clean_percent: self.clean_percent,
            refuse_percent: self.refuse_percent,
            spare_bytes: self.spare_bytes.0,
            quota_bytes: self.quota_bytes.0,
            look_every: self.look_every_ms.duration(),
        }
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let DiskSection { warn_percent, clean_percent, refuse_percent, .. } = *self;
        let ascends = 0 < warn_percent && warn_percent < clean_percent && clean_percent < refuse_percent;
        if !ascends || refuse_percent > 99 {
            wrong.push(format!(
                "disk.warn_percent, disk.clean_percent and disk.refuse_percent are {warn_percent}, \
                 {clean_percent} and {refuse_percent}: they must ascend, within 1 and 99"
            ));
        }
        check_look("disk.look_every_ms", self.look_every_ms, wrong);
    }
}

fn check_look(key: &str, every: Millis, wrong: &mut Vec<String>) {
    if every.0 < LOOK_EVERY_MS_MIN {
        wrong.push(format!("{key} is {every}: it must be {} at least", Millis(LOOK_EVERY_MS_MIN)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_is_read() {
        assert_eq!(minute_of_day("04:00"), Some(240));
        assert_eq!(minute_of_day("23:59"), Some(1439));
        for wrong in ["", "4:00", "24:00", "04:60", "04", "+4:00", "04:00:00"] {
            assert_eq!(minute_of_day(wrong), None, "{wrong:?}");
        }
    }
}
