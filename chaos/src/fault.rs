//! What can happen to nodes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// What can happen to nodes. Whom it happens to is a [`crate::Target`], never part of the fault.
///
/// As text: `kill`, `partition:shape=one-way-out,clients=true`, `clock-jump:by_ms=-3600000`. What is left out has its
/// default. As JSON: `{"fault": "clock-jump", "by_ms": -3600000}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// SIGKILL. Healing starts the node again, as it was last started.
    Kill {},
    /// SIGSTOP: the process keeps its sockets and its memory, and does nothing. Healing continues it.
    Pause {},
    /// SIGTERM; what has not ended by then is killed. Healing starts the node again.
    Terminate {
        /// How long it may take to end.
        #[serde(default = "default::grace_ms")]
        grace_ms: u64,
    },
    /// SIGKILL, and started again at once. Nothing to heal.
    Restart {},
    /// The power goes: nothing unsynced is left in the node's directory, its peers hear nothing more (no reset, no
    /// end of a connection). Healing starts the node again. Needs [`crate::Backend::Namespaces`].
    PowerFailure {},
    /// Packets between some of the nodes are dropped without a word.
    Partition {
        /// Which ones.
        #[serde(default)]
        shape: Shape,
        /// Whether the host, where clients are, is cut off from the targets in the same way: a black hole.
        #[serde(default)]
        clients: bool,
    },
    /// Packets from and to the targets are lost by chance.
    Loss {
        /// How many of a hundred, each way.
        #[serde(default = "default::percent")]
        percent: u8,
    },
    /// Packets from the targets are late.
    Delay {
        /// By how much.
        #[serde(default = "default::delay_ms")]
        delay_ms: u64,
        /// More or less.
        #[serde(default = "default::jitter_ms")]
        jitter_ms: u64,
    },
    /// The wall clock jumps; the monotonic clock does not. Healing jumps back. Needs a template with
    /// [`crate::Template::with_faults`].
    ClockJump {
        /// Ahead, or back where negative.
        #[serde(default = "default::by_ms")]
        by_ms: i64,
    },
    /// The wall clock goes too fast or too slow. Healing sets it right. Needs [`crate::Template::with_faults`].
    ClockDrift {
        /// Too fast by so many millionths, or too slow where negative.
        #[serde(default = "default::ppm")]
        ppm: i64,
    },
    /// The file system of the node has no space left. Needs [`crate::Backend::Namespaces`].
    DiskFull {
        /// But for so much.
        #[serde(default)]
        leave_bytes: u64,
    },
    /// Writes to the node's file system wait until it is healed. Needs [`crate::Backend::Namespaces`].
    DiskStall {},
    /// The node's disk is slow. Needs [`crate::Backend::Namespaces`].
    DiskSlow {
        /// It writes no more than this in a second.
        #[serde(default = "default::bytes_per_second")]
        bytes_per_second: u64,
    },
    /// `fsync` and `fdatasync` fail with EIO. Needs [`crate::Template::with_faults`].
    FsyncError {},
    /// Bytes of one file under the node's directory change. Only while the node is stopped, unless told otherwise.
    /// Nothing to heal: the [`crate::Damage`] says exactly what was done.
    Corrupt {
        /// How.
        #[serde(default)]
        how: Corruption,
        /// Which files, relative to the node's directory: `*` is any part of a name, `**` any directories.
        #[serde(default = "default::files")]
        files: String,
        /// Chooses the file and the place.
        #[serde(default)]
        seed: u64,
        /// Do it to a running node as well.
        #[serde(default)]
        running: bool,
    },
    /// Something under the node's directory is not there. Healing puts it back, and removes what has taken its place.
    /// The node must not run, neither when it goes nor when it comes back.
    Hide {
        /// A file or a directory, relative to the node's directory.
        #[serde(default = "default::path")]
        path: String,
    },
}

/// Who is cut off from whom. With targets T of all nodes A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Each of T from every other node, both ways.
    #[default]
    Isolate,
    /// T from the rest, both ways. With a minority as the target: halves.
    Split,
    /// All nodes lie on a ring and each hears only its neighbours, half of them on each side: everybody sees a
    /// majority, no two the same one. Needs five nodes; T is not asked.
    MajoritiesRing,
    /// T sees everybody; the rest is two halves that see only themselves and T.
    Bridge,
    /// Nothing reaches T; what T sends arrives.
    OneWayIn,
    /// Nothing that T sends arrives; T hears everybody.
    OneWayOut,
}

/// What becomes of the bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// One bit is the other one.
    #[default]
    BitFlip,
    /// The file ends earlier.
    Truncate,
    /// Bytes are as they were earlier: as in the copy that [`crate::Cluster::remember_files`] made. A disk that lost a
    /// write and acknowledged it.
    StaleChunk,
    /// What was written last is zero, in the last of the files: a disk that acknowledged writes and lost them.
    LostTail,
}

/// A fault without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// [`Fault::Kill`]
    Kill,
    /// [`Fault::Pause`]
    Pause,
    /// [`Fault::Terminate`]
    Terminate,
    /// [`Fault::Restart`]
    Restart,
    /// [`Fault::PowerFailure`]
    PowerFailure,
    /// [`Fault::Partition`]
    Partition,
    /// [`Fault::Loss`]
    Loss,
    /// [`Fault::Delay`]
    Delay,
    /// [`Fault::ClockJump`]
    ClockJump,
    /// [`Fault::ClockDrift`]
    ClockDrift,
    /// [`Fault::DiskFull`]
    DiskFull,
    /// [`Fault::DiskStall`]
    DiskStall,
    /// [`Fault::DiskSlow`]
    DiskSlow,
    /// [`Fault::FsyncError`]
    FsyncError,
    /// [`Fault::Corrupt`]
    Corrupt,
    /// [`Fault::Hide`]
    Hide,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 16] = [
        FaultKind::Kill,
        FaultKind::Pause,
        FaultKind::Terminate,
        FaultKind::Restart,
        FaultKind::PowerFailure,
        FaultKind::Partition,
        FaultKind::Loss,
        FaultKind::Delay,
        FaultKind::ClockJump,
        FaultKind::ClockDrift,
        FaultKind::DiskFull,
        FaultKind::DiskStall,
        FaultKind::DiskSlow,
        FaultKind::FsyncError,
        FaultKind::Corrupt,
        FaultKind::Hide,
    ];

    /// As in the text of a fault: `power-failure`.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            other => unreachable!("a kind is a string, not {other:?}"),
        }
    }

    /// The fault of this kind with every parameter as it is when left out.
    pub fn with_defaults(self) -> Fault {
        self.name().parse().expect("every parameter has a default")
    }
}

impl Fault {
    /// Without the parameters.
    pub fn kind(&self) -> FaultKind {
        match self {
            Fault::Kill {} => FaultKind::Kill,
            Fault::Pause {} => FaultKind::Pause,
            Fault::Terminate { .. } => FaultKind::Terminate,
            Fault::Restart {} => FaultKind::Restart,
            Fault::PowerFailure {} => FaultKind::PowerFailure,
            Fault::Partition { .. } => FaultKind::Partition,
            Fault::Loss { .. } => FaultKind::Loss,
            Fault::Delay { .. } => FaultKind::Delay,
            Fault::ClockJump { .. } => FaultKind::ClockJump,
            Fault::ClockDrift { .. } => FaultKind::ClockDrift,
            Fault::DiskFull { .. } => FaultKind::DiskFull,
            Fault::DiskStall {} => FaultKind::DiskStall,
            Fault::DiskSlow { .. } => FaultKind::DiskSlow,
            Fault::FsyncError {} => FaultKind::FsyncError,
            Fault::Corrupt { .. } => FaultKind::Corrupt,
            Fault::Hide { .. } => FaultKind::Hide,
        }
    }

    /// Whether there is nothing to heal: it has happened, and that was it.
    pub fn is_one_shot(&self) -> bool {
        matches!(self, Fault::Restart {} | Fault::Corrupt { .. })
    }

    /// Whether the node does not run while this lasts.
    pub fn holds_down(&self) -> bool {
        matches!(self, Fault::Kill {} | Fault::Terminate { .. } | Fault::PowerFailure {})
    }
}

/// What a parameter is when it is left out.
mod default {
    pub fn grace_ms() -> u64 {
        30_000
    }
    pub fn percent() -> u8 {
        20
    }
    pub fn delay_ms() -> u64 {
        100
    }
    pub fn jitter_ms() -> u64 {
        20
    }
    pub fn by_ms() -> i64 {
        3_600_000
    }
    pub fn ppm() -> i64 {
        50_000
    }
    pub fn bytes_per_second() -> u64 {
        1 << 20
    }
    pub fn files() -> String {
        "**".to_owned()
    }
    pub fn path() -> String {
        "data".to_owned()
    }
}

/// A text that is no fault.
#[derive(Debug, Error)]
#[error("{text:?} is no fault: {why}")]
pub struct FaultParseError {
    text: String,
    why: String,
}

impl FromStr for Fault {
    type Err = FaultParseError;

    fn from_str(text: &str) -> Result<Fault, FaultParseError> {
        let wrong = |why: String| FaultParseError { text: text.to_owned(), why };
        let (name, parameters) = text.split_once(':').unwrap_or((text, ""));
        let mut object = Map::new();
        object.insert("fault".into(), name.into());
        for parameter in parameters.split(',').filter(|part| !part.is_empty()) {
            let Some((key, value)) = parameter.split_once('=') else {
                return Err(wrong(format!("{parameter:?} is not of the form name=value")));
            };
            // A name of files is a text even where it looks like a number.
            let value = match serde_json::from_str(value) {
                Ok(value) if key != "files" && key != "path" => value,
                _ => Value::String(value.to_owned()),
            };
            object.insert(key.to_owned(), value);
        }
        let fault: Fault =
            serde_json::from_value(Value::Object(object)).map_err(|error| wrong(error.to_string()))?;
        match fault {
            Fault::Loss { percent } if percent > 100 => Err(wrong("percent is at most 100".to_owned())),
            fault => Ok(fault),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(Value::Object(object)) = serde_json::to_value(self) else {
            unreachable!("a fault is an object");
        };
        let parameters: Vec<String> = object
            .iter()
            .filter(|(key, _)| *key != "fault")
            .map(|(key, value)| format!("{key}={}", value.as_str().map_or(value.to_string(), str::to_owned)))
            .collect();
        formatter.write_str(&self.kind().name())?;
        match parameters.is_empty() {
            true => Ok(()),
            false => write!(formatter, ":{}", parameters.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_defaults_and_is_read_back() {
        for kind in FaultKind::ALL {
            let fault = kind.with_defaults();
            assert_eq!(fault.kind(), kind);
            assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault, "{fault}");
            let json = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), fault, "{json}");
        }
    }

    #[test]
    fn parameters_are_read() {
        assert_eq!(
            "partition:shape=one-way-out,clients=true".parse::<Fault>().unwrap(),
            Fault::Partition { shape: Shape::OneWayOut, clients: true }
        );
        assert_eq!(
            "clock-jump:by_ms=-3600000".parse::<Fault>().unwrap(),
            Fault::ClockJump { by_ms: -3_600_000 }
        );
        assert_eq!(
            "corrupt:how=truncate,files=log/**/*.segment,seed=9".parse::<Fault>().unwrap(),
            Fault::Corrupt {
                how: Corruption::Truncate,
                files: "log/**/*.segment".into(),
                seed: 9,
                running: false
            }
        );
    }

    #[test]
    fn what_is_no_fault_is_refused_with_the_reason() {
        for (text, reason) in [
            ("killl", "unknown variant"),
            ("kill:hard=true", "unknown field"),
            ("loss:percent=101", "at most 100"),
            ("loss:percent", "name=value"),
            ("partition:shape=star", "unknown variant"),
        ] {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
