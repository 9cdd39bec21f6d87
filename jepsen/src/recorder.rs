//! Keeps what clients did until it is written as a history.
//!
//! Everything runs on one thread: operations need no lock, and have one clock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use checkers::history::{Call, Operation, Outcome, Place};

use crate::client::Ended;
use crate::limits::{OPERATIONS_MAX, REASON_CHARS_MAX};

/// The operations of a run.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    started_unix_ms: u64,
    operations: RefCell<Vec<Operation>>,
    /// The offset that the broker answered to a send, by the operation's number. Its queue is not answered; it is
    /// found where the message is found.
    offsets: RefCell<HashMap<usize, u64>>,
    processes: Cell<u32>,
}

/// An operation that was begun.
#[derive(Clone, Copy, Debug)]
#[must_use = "an operation that was begun is to be recorded"]
pub struct Begun {
    process: u32,
    invoke_ns: u64,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder::new()
    }
}

impl Recorder {
    /// Its clock begins now.
    pub fn new() -> Recorder {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Recorder {
            started: Instant::now(),
            started_unix_ms: since_1970.as_millis() as u64,
            operations: RefCell::default(),
            offsets: RefCell::default(),
            processes: Cell::new(0),
        }
    }

    /// What the wall clock said when the recorder's began, in milliseconds since 1970.
    pub fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }

    /// Nanoseconds since the beginning.
    pub fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// A number for another process.
    pub fn process(&self) -> u32 {
        self.processes.set(self.processes.get() + 1);
        self.processes.get()
    }

    /// A call begins.
    pub fn begin(&self, process: u32) -> Begun {
        Begun { process, invoke_ns: self.now_ns() }
    }

    /// A call has ended.
    pub fn end<T>(&self, begun: Begun, ended: &Ended<T>, call: Call) {
        self.push(begun, ended, call);
    }

    /// A send has ended; `offset` is what was answered.
    pub fn end_send<T>(&self, begun: Begun, ended: &Ended<T>, call: Call, offset: Option<u64>) {
        let number = self.push(begun, ended, call);
        if let Some(offset) = offset {
            self.offsets.borrow_mut().insert(number, offset);
        }
    }

    fn push<T>(&self, begun: Begun, ended: &Ended<T>, call: Call) -> usize {
        let (outcome, error) = match ended {
            Ended::Ok(_) => (Outcome::Ok, None),
            Ended::Fail { why, .. } => (Outcome::Fail, Some(why)),
            Ended::Info { why } => (Outcome::Info, Some(why)),
        };
        let error = error.map(|why| why.chars().take(REASON_CHARS_MAX).collect());
        let Begun { process, invoke_ns } = begun;
        let return_ns = self.now_ns();
        let mut operations = self.operations.borrow_mut();
        assert!(operations.len() < OPERATIONS_MAX, "a run records {OPERATIONS_MAX} operations at most");
        operations.push(Operation { process, invoke_ns, return_ns, outcome, error, call });
        operations.len() - 1
    }

    /// How many operations there are.
    pub fn count(&self) -> usize {
        self.operations.borrow().len()
    }

    /// Looks at the operations so far.
    pub fn look<T>(&self, look: impl FnOnce(&[Operation]) -> T) -> T {
        look(&self.operations.borrow())
    }

    /// All operations, the places of sends completed by `queue_of`, which knows a message's queue by its id.
    pub fn take(&self, queue_of: impl Fn(&str) -> Option<u32>) -> Vec<Operation> {
        let mut operations = self.operations.take();
        for (number, offset) in self.offsets.take() {
            if let Call::Send(send) = &mut operations[number].call {
                send.place = queue_of(&send.message).map(|queue| Place { queue, offset });
            }
        }
        operations
    }
}

/// The digest of a body that a history has: FNV-1a of 64 bits, as `ledgermq log messages` prints it.
pub fn digest(body: &[u8]) -> u64 {
    body.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use checkers::history::{Kind, Send};

    use super::*;

    fn send(id: &str) -> Call {
        Call::Send(Send {
            topic: "t".into(),
            message: id.into(),
            body: 1,
            message_group: None,
            kind: Kind::Normal,
            attempts: 1,
            place: None,
            transaction: None,
        })
    }

    #[test]
    fn the_digest_is_fnv_1a() {
        assert_eq!(digest(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(digest(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_place_is_the_answered_offset_in_the_queue_where_the_message_is_found() {
        let recorder = Recorder::new();
        let process = recorder.process();
        for id in ["found", "lost"] {
            let begun = recorder.begin(process);
            recorder.end_send(begun, &Ended::Ok(()), send(id), Some(7));
        }
        let places: Vec<Option<Place>> = recorder
            .take(|id| (id == "found").then_some(3))
            .into_iter()
            .map(|operation| match operation.call {
                Call::Send(send) => send.place,
                call => panic!("{call:?} was recorded"),
            })
            .collect();
        assert_eq!(places, [Some(Place { queue: 3, offset: 7 }), None]);
    }
}
