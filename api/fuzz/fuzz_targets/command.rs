//! Bodies of frames: what the state machine is told by a log it cannot choose.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use raft::command;
use raft::machine::{FrameContext, Machine, MetaMachine, StateMachine};
use raft::outcome::Outcome;
use store::position::LogPosition;
use store::tables::MemoryTables;

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    let _ = command::decode(&body);
    let _ = Outcome::decode(data);
    let frame = FrameContext { index: 1, term: 1, leader: 1, position: LogPosition(4096), stamp_ms: 1_000_000_000 };
    let mut broker = Machine::open(MemoryTables::new()).expect("empty tables open");
    let _ = broker.apply(frame, &body);
    let mut meta = MetaMachine::open(MemoryTables::new()).expect("empty tables open");
    let _ = meta.apply(frame, &body);
});
