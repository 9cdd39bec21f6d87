//! A machine, the log that feeds it, and the log's time: what tests of the machine stand on.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::command::{FrameBuilder, encode_carry};
use raft::machine::{AppliedFrame, FRAME_HEADER_BYTES, FrameContext, Machine, MachineFailure, StateMachine};
use raft::outcome::LeasedMessage;
use store::position::LogPosition;
use store::tables::TableStore;
use store::tables::held::HeldKey;

/// The first frame's stamp. Scripts count seconds from here.
pub const EPOCH_MS: u64 = 1_000_000_000;

/// A machine and its log.
pub struct Rig<T: TableStore> {
    pub machine: Machine<T>,
    pub frames: Vec<(FrameContext, Bytes)>,
    pub now_ms: u64,
    end: LogPosition,
}

impl<T: TableStore> Rig<T> {
    pub fn open(tables: T) -> Rig<T> {
        let machine = Machine::open(tables).unwrap();
        Rig { machine, frames: Vec::new(), now_ms: EPOCH_MS, end: LogPosition(4096) }
    }

    /// Puts the commands into one frame and applies it.
    pub fn apply(&mut self, commands: &[Bytes]) -> Result<AppliedFrame, MachineFailure> {
        let mut builder = FrameBuilder::default();
        for command in commands {
            builder.push(command).unwrap();
        }
        let (body, _) = builder.finish();
        let frame = FrameContext {
            index: self.frames.len() as u64 + 1,
            term: 1,
            leader: 1,
            position: self.end,
            stamp_ms: self.now_ms,
        };
        self.end = self.end + FRAME_HEADER_BYTES + body.len() as u64;
        self.frames.push((frame, body.clone()));
        self.machine.apply(frame, &body)
    }

    /// Opens the machine again from `tables`, and applies what they lack: so many frames.
    pub fn reopen(&mut self, tables: T) -> usize {
        self.machine = Machine::open(tables).unwrap();
        let applied = self.machine.applied().map_or(0, |mark| mark.index);
        let missing = &self.frames[applied as usize..];
        for (frame, body) in missing {
            self.machine.apply(*frame, body).unwrap();
        }
        missing.len()
    }

    /// The record of a leased message, read from the log.
    pub fn record(&self, message: &LeasedMessage) -> Bytes {
        self.bytes_at(message.position, message.length)
    }

    /// A record of the log, which must not be below the floor.
    pub fn bytes_at(&self, position: LogPosition, length: u32) -> Bytes {
        let floor = self.machine.floor();
        assert!(position >= floor, "the record at {position} lies below the floor {floor}");
        let behind = self.frames.partition_point(|(frame, _)| frame.position <= position);
        let (frame, body) = &self.frames[behind - 1];
        let at = position.bytes_since(frame.position + FRAME_HEADER_BYTES) as usize;
        body.slice(at..at + length as usize)
    }

    /// Where the next frame begins.
    pub fn end(&self) -> LogPosition {
        self.end
    }

    /// What a leader proposes to free the log below `below`: at most so many records carried forward.
    pub fn carries(&mut self, below: LogPosition, max: usize) -> Vec<Bytes> {
        let held = self.machine.held_between(LogPosition(0), below, max).unwrap();
        let carry = |(held, length, in_use): (HeldKey, u32, bool)| match in_use {
            true => encode_carry(held.position, &self.bytes_at(held.position, length)),
            false => encode_carry(held.position, &[]),
        };
        held.into_iter().map(carry).collect()
    }
}

/// `name=value` words of a line, and the words without `=`.
pub struct Words {
    named: BTreeMap<String, String>,
    pub plain: Vec<String>,
}

impl Words {
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Words {
        let mut parsed = Words { named: BTreeMap::new(), plain: Vec::new() };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => {
                    parsed.named.insert(name.to_string(), value.to_string());
                }
                None => parsed.plain.push(word.to_string()),
            }
        }
        parsed
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.text(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    }

    /// Seconds (`30s`) or milliseconds (`5ms`), in milliseconds.
    pub fn time_ms(&self, name: &str, otherwise: u64) -> u64 {
        self.text(name).map_or(otherwise, time_ms)
    }

    pub fn has(&self, word: &str) -> bool {
        self.plain.iter().any(|plain| plain == word)
    }
}

pub fn time_ms(text: &str) -> u64 {
    let number = |digits: &str| digits.parse::<u64>().unwrap_or_else(|_| panic!("not a time: {text}"));
    match text.strip_suffix("ms") {
        Some(digits) => number(digits),
        None => 1000 * number(text.strip_suffix('s').unwrap_or_else(|| panic!("not a time: {text}"))),
    }
}
