//! The rules of DESIGN 6 that are the machine's, where a property does not show them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use raft::catalog::StartFrom;
use raft::command::{CommandError, encode_acknowledge, encode_delete_topic, encode_publish, encode_receive};
use raft::machine::{FrameContext, Machine, MachineFailure, StateMachine};
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use raft::outcome::Outcome;
use raft::request::{Extras, Filter, Publish, Receipt, Receive, Rejection, TopicRules};
use store::position::LogPosition;
use store::tables::{Batch, MemoryTables, Row, RowKind, TableError, TableStore, Visitor};

use crate::rig::{EPOCH_MS, Rig};

const QUEUE: QueueKey = QueueKey { topic: TopicId(1), number: 0 };

fn publish(id: u128) -> Bytes {
    encode_publish(&Publish {
        queue: QUEUE,
        group: GroupId(1),
        dedup: id,
        tag_hash: 0,
        order_hash: 0,
        extras: Extras::default(),
        record: Bytes::from_static(b"record"),
    })
}

fn receive(consumer: u32) -> Receive {
    Receive {
        consumer: ConsumerId(consumer),
        topic: QUEUE.topic,
        group: GroupId(1),
        queues: vec![0],
        max: 32,
        invisible_ms: 30_000,
        fifo: false,
        auto_renew: false,
        client: 1,
        attempt: 0,
        filter: Filter::All,
        max_attempts: 16,
        start: StartFrom::First,
        dead_letters: QueueKey { topic: TopicId(9), number: 0 },
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

/// Tables whose disk fails when told to.
#[derive(Clone, Default)]
struct FailingTables {
    rows: MemoryTables,
    failing: Arc<AtomicBool>,
}

impl FailingTables {
    fn check(&self) -> Result<(), TableError> {
        match self.failing.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(TableError::Io {
                path: "tables".into(),
                source: std::io::Error::other("input/output error"),
            }),
        }
    }
}

impl TableStore for FailingTables {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.check().and_then(|()| self.rows.get(key))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, TableError> {
        self.check().and_then(|()| self.rows.last(from, to))
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut Visitor<'_>) -> Result<(), TableError> {
        self.check().and_then(|()| self.rows.scan(from, to, visit))
    }

    fn write(&self, batch: &Batch) -> Result<(), TableError> {
        self.check().and_then(|()| self.rows.write(batch))
    }

    fn flush(&self) -> Result<(), TableError> {
        self.check().and_then(|()| self.rows.flush())
    }

    fn checkpoint(&self, to: &Path) -> Result<(), TableError> {
        self.check().and_then(|()| self.rows.checkpoint(to))
    }
}

#[test]
fn r2_the_durable_index_is_that_of_the_last_flush() {
    let tables = MemoryTables::new();
    let mut rig = Rig::open(tables.clone());
    rig.apply(&[publish(1)]).unwrap();
    let durability = rig.machine.durability();
    assert_eq!(durability.durable_applied(), None);
    assert_eq!(durability.flush().unwrap(), Some(1));
    rig.apply(&[publish(2)]).unwrap();
    assert_eq!(durability.durable_applied(), Some(1));
    rig.reopen(tables.crashed());
    assert_eq!(rig.machine.applied().unwrap().index, 2, "frame 2 was applied again");
    assert_eq!(rig.machine.durability().durable_applied(), Some(1));
}

#[test]
fn r4_a_stamp_that_goes_back_does_not_move_the_time_back() {
    let mut rig = Rig::open(MemoryTables::new());
    rig.now_ms = EPOCH_MS + 5_000;
    rig.apply(&[publish(1)]).unwrap();
    rig.now_ms = EPOCH_MS;
    let applied = rig.apply(&[publish(2), encode_receive(&receive(1))]).unwrap();
    assert_eq!(rig.machine.stamp_ms(), EPOCH_MS + 5_000);
    let Outcome::Received { stamp_ms, messages } = &applied.outcomes[1] else { panic!("{applied:?}") };
    assert_eq!((*stamp_ms, messages[1].stored_ms), (EPOCH_MS + 5_000, EPOCH_MS + 5_000));
}

#[test]
fn r5_a_refusal_is_an_outcome_and_changes_no_row_but_the_applied_one() {
    let mut rig = Rig::open(MemoryTables::new());
    rig.apply(&[encode_delete_topic(QUEUE.topic)]).unwrap();
    let receipt = Receipt {
        consumer: ConsumerId(1),
        queue: QUEUE,
        group: GroupId(1),
        offset: QueueOffset(0),
        lease: 1,
        revision: u32::MAX,
    };
    let refused = [publish(1), encode_receive(&receive(1)), encode_acknowledge(&[receipt])];
    let outcomes = rig.apply(&refused).unwrap().outcomes;
    let gone = Outcome::Rejected(Rejection::TopicNotFound { name: "number 1".into() });
    let invalid = Outcome::Acknowledged(vec![Err(Rejection::InvalidReceipt)]);
    assert_eq!(outcomes, [gone.clone(), gone, invalid]);
    // A frame of nothing brings another replica to the same digest.
    let mut other = Rig::open(MemoryTables::new());
    other.apply(&[encode_delete_topic(QUEUE.topic)]).unwrap();
    other.apply(&[]).unwrap();
    assert_eq!(rig.machine.digest().unwrap(), other.machine.digest().unwrap());
}

#[test]
fn r5_damaged_commands_are_refused_alike_everywhere() {
    let mut machine = Machine::open(MemoryTables::new()).unwrap();
    let frame = FrameContext { index: 1, term: 1, leader: 1, position: LogPosition(0), stamp_ms: EPOCH_MS };
    let body = Bytes::from([&publish(1)[..], &[9, 0, 0, 0, 1, 2]].concat());
    let outcomes = machine.apply(frame, &body).unwrap().outcomes;
    assert!(matches!(outcomes[0], Outcome::Published(_)), "{outcomes:?}");
    assert!(matches!(outcomes[1], Outcome::Rejected(Rejection::Invalid(_))), "{outcomes:?}");
}

#[test]
fn r5_an_error_of_the_environment_stops_the_machine() {
    let tables = FailingTables::default();
    let mut rig = Rig::open(tables.clone());
    rig.apply(&[publish(1)]).unwrap();
    tables.failing.store(true, Ordering::Relaxed);
    let failure = rig.apply(&[publish(2)]).unwrap_err();
    assert!(matches!(failure, MachineFailure::Tables(TableError::Io { .. })), "{failure}");
    assert!(rig.machine.durability().flush().is_err());
    // What was not applied is applied again after the restart.
    tables.failing.store(false, Ordering::Relaxed);
    rig.reopen(tables);
    assert_eq!(rig.machine.queue_state(QUEUE, None).end, 2);
}

#[test]
fn a_command_of_a_newer_version_stops_the_machine() {
    let mut machine = Machine::open(MemoryTables::new()).unwrap();
    let frame = FrameContext { index: 1, term: 1, leader: 1, position: LogPosition(0), stamp_ms: EPOCH_MS };
    let failure = machine.apply(frame, &Bytes::from_static(&[1, 0, 0, 0, 63])).unwrap_err();
    let unknown = CommandError::UnknownKind { kind: 63 };
    assert!(matches!(failure, MachineFailure::Unreadable { index: 1, source } if source == unknown));
}

#[test]
fn a_frame_that_is_not_the_next_one_is_refused() {
    let mut machine = Machine::open(MemoryTables::new()).unwrap();
    let frame = |index| FrameContext {
        index,
        term: 1,
        leader: 1,
        position: LogPosition(index * 64),
        stamp_ms: EPOCH_MS,
    };
    machine.apply_blank(frame(5)).unwrap();
    machine.apply_membership(frame(6), b"members").unwrap();
    assert_eq!(machine.membership(), Some((frame(6).mark(), Bytes::from_static(b"members"))));
    for index in [6, 8] {
        let failure = machine.apply(frame(index), &Bytes::new()).unwrap_err();
        assert!(matches!(failure, MachineFailure::OutOfOrder { expected: 7, found } if found == index));
    }
}

#[test]
fn r6_a_missing_row_is_damage_and_not_an_empty_queue() {
    let tables = MemoryTables::new();
    let mut rig = Rig::open(tables.clone());
    for id in 1..4 {
        rig.apply(&[publish(id)]).unwrap();
    }
    let mut keys = Vec::new();
    tables
        .scan(&RowKind::Block.first_key(), Some(&RowKind::Block.end_key()), &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut batch = Batch::default();
    batch.delete(&keys[1]);
    tables.write(&batch).unwrap();
    rig.reopen(tables);
    let failure = rig.apply(&[encode_receive(&receive(1))]).unwrap_err();
    assert!(matches!(failure, MachineFailure::Tables(TableError::Malformed { .. })), "{failure}");
}

#[test]
fn a_reader_far_behind_gets_every_message_from_the_tables() {
    let tables = MemoryTables::new();
    let mut rig = Rig::open(tables.clone());
    for first in (1..2_000u128).step_by(10) {
        rig.apply(&(first..first + 10).map(publish).collect::<Vec<_>>()).unwrap();
    }
    // Opened again, nothing is in memory.
    rig.reopen(tables);
    let mut next = 0;
    loop {
        let applied = rig.apply(&[encode_receive(&receive(1))]).unwrap();
        let Outcome::Received { messages, .. } = &applied.outcomes[0] else { panic!("{applied:?}") };
        for message in messages {
            assert_eq!((message.offset.0, &rig.record(message)[..]), (next, &b"record"[..]));
            next += 1;
        }
        if messages.is_empty() {
            break;
        }
    }
    assert_eq!(next, 2_000);
}
