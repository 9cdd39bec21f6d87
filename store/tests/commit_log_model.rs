//! The CommitLog against a vector: whatever is asked in whatever order, both say the same.

use std::path::Path;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use proptest::prelude::*;
use store::commit_log::{
    Ballot, CommitLog, Completion, Frame, FrameKind, LogIdentity, LogMark, LogOptions, ReadError,
};
use store::disk::simulated::SimulatedDisk;
use store::position::LogPosition;

#[derive(Clone, Debug)]
enum Step {
    Append { lens: Vec<usize> },
    Truncate { back: u64 },
    Purge { back: u64 },
    RaiseReadFloor { back: u64 },
    SaveBallot { node: u64 },
    SaveCommitted { back: u64 },
    Reset { ahead: u64, hole: u64 },
    Read { back: u64, count: u64, max_bytes: usize },
    Reopen,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(0_usize..1500, 1..5).prop_map(|lens| Step::Append { lens }),
        2 => (0_u64..12).prop_map(|back| Step::Truncate { back }),
        1 => (0_u64..12).prop_map(|back| Step::Purge { back }),
        1 => (0_u64..12).prop_map(|back| Step::RaiseReadFloor { back }),
        1 => (0_u64..4).prop_map(|node| Step::SaveBallot { node }),
        1 => (0_u64..12).prop_map(|back| Step::SaveCommitted { back }),
        1 => (0_u64..9, 0_u64..5000).prop_map(|(ahead, hole)| Step::Reset { ahead, hole }),
        5 => (0_u64..40, 0_u64..20, 0_usize..5000)
            .prop_map(|(back, count, max_bytes)| Step::Read { back, count, max_bytes }),
        1 => Just(Step::Reopen),
        2 => Just(Step::Wait),
    ]
}

/// The log as a vector.
#[derive(Default)]
struct Model {
    /// What Raft can read, consecutive, behind `purged`; each with its position.
    frames: Vec<Frame>,
    purged: Option<LogMark>,
    committed: Option<LogMark>,
    ballot: Option<Ballot>,
    next_position: u64,
    term: u64,
}

impl Model {
    fn first(&self) -> u64 {
        self.purged.map_or(0, |purged| purged.index + 1)
    }

    fn next(&self) -> u64 {
        self.first() + self.frames.len() as u64
    }

    fn last(&self) -> Option<LogMark> {
        self.frames.last().map(Frame::mark).or(self.purged)
    }

    fn mark(&self, index: u64) -> Option<LogMark> {
        let at = index.checked_sub(self.first());
        let held = at.and_then(|at| self.frames.get(at as usize)).map(Frame::mark);
        held.or(self.purged.filter(|purged| purged.index == index))
    }
}

struct Run {
    disk: SimulatedDisk,
    log: CommitLog,
    model: Model,
}

fn open(disk: &SimulatedDisk) -> CommitLog {
    let identity = LogIdentity { cluster: "test".into(), node: 1, group: 7 };
    let options = LogOptions { segment_bytes: 16 << 10, tail_cache_bytes: 3 << 10, prepare_ahead: true };
    CommitLog::open(Arc::new(disk.clone()), Path::new("/log"), identity, options).expect("an intact log")
}

fn unheard() -> Completion {
    Box::new(|result| result.expect("a disk that works"))
}

impl Run {
    fn perform(&mut self, step: Step) {
        let Run { log, model, .. } = self;
        let (first, next) = (model.first(), model.next());
        match step {
            Step::Append { lens } => {
                let frames: Vec<Frame> = (next..)
                    .zip(lens)
                    .map(|(index, len)| {
                        let body = Bytes::from(vec![(index + model.term) as u8; len]);
                        Frame::new(FrameKind::Commands, index, model.term, 1, index, 1, body)
                    })
                    .collect();
                log.append(frames.clone(), unheard()).expect("a disk that works");
                for frame in frames {
                    let header = frame.encode_header(LogPosition(model.next_position));
                    let bytes = [&header[..], &frame.body[..]].concat();
                    model.next_position += bytes.len() as u64;
                    model.frames.push(Frame::decode(bytes.into()).expect("a frame"));
                }
            }
            Step::Truncate { back } => {
                let committed = model.committed.map_or(0, |mark| mark.index + 1);
                let keep = next.saturating_sub(back).max(first).max(committed);
                log.truncate_after(keep.checked_sub(1), unheard());
                if let Some(cut) = model.frames.get((keep - first) as usize) {
                    model.next_position = cut.position().expect("decoded").0;
                }
                model.frames.truncate((keep - first) as usize);
                model.term += 1;
            }
            Step::Purge { back } => {
                let index = next.saturating_sub(back + 1).max(first);
                let Some(mark) = model.mark(index) else { return };
                log.purge(mark, unheard());
                model.frames.drain(..=(index - first) as usize);
                model.purged = Some(mark);
            }
            Step::RaiseReadFloor { back } => {
                let index = next.saturating_sub(back).max(first);
                if let Some(frame) = model.frames.get((index - first) as usize) {
                    log.set_read_floor(frame.position().expect("decoded"));
                }
            }
            Step::SaveBallot { node } => {
                let ballot = Ballot { term: model.term, node, committed: node % 2 == 0 };
                log.save_ballot(ballot, unheard());
                model.ballot = Some(ballot);
            }
            Step::SaveCommitted { back } => {
                let Some(mark) = model.mark(next.saturating_sub(back + 1)) else { return };
                if model.committed.is_none_or(|committed| committed.index < mark.index) {
                    log.save_committed(mark);
                    model.committed = Some(mark);
                }
            }
            Step::Reset { ahead, hole } => {
                model.term += 1;
                let mark = LogMark { term: model.term, leader: 2, index: next + ahead };
                model.next_position += hole;
                log.reset_to(mark, LogPosition(model.next_position), unheard());
                (model.purged, model.committed) = (Some(mark), Some(mark));
                model.frames.clear();
            }
            Step::Read { back, count, max_bytes } => self.read(next.saturating_sub(back), count, max_bytes),
            Step::Reopen => {
                let open_log = self.log.clone();
                open_log.close();
                self.log = open(&self.disk);
                let committed = self.log.committed();
                assert!(committed.is_none_or(|mark| mark.index < self.model.next()));
                self.model.committed = committed;
            }
            Step::Wait => {
                let (sender, receiver) = mpsc::channel();
                let done: Completion = Box::new(move |result| sender.send(result).expect("somebody waits"));
                log.append(Vec::new(), done).expect("a disk that works");
                receiver.recv().expect("an answer").expect("a disk that works");
                assert_eq!(log.pointers().durable_index, model.last().map(|last| last.index));
            }
        }
        self.compare();
    }

    fn read(&self, from: u64, count: u64, max_bytes: usize) {
        let Run { log, model, .. } = self;
        let found = log.frames(from..from + count, max_bytes);
        let Some(at) = from.checked_sub(model.first()) else {
            // Given up: it may be there or not, for consumers.
            assert!(matches!(found, Ok(_) | Err(ReadError::Purged { .. })), "{found:?}");
            return;
        };
        let due = model.frames.iter().skip(at as usize).take(count as usize);
        let mut bytes = 0;
        let due: Vec<Frame> = due
            .enumerate()
            .take_while(|(at, frame)| {
                bytes += frame.encoded_len() as usize;
                *at == 0 || bytes <= max_bytes
            })
            .map(|(_, frame)| frame.clone())
            .collect();
        assert_eq!(found.expect("intact frames"), due, "from {from}, {count}, at most {max_bytes} bytes");
        for frame in due.iter().filter(|frame| !frame.body.is_empty()) {
            let position = frame.body_position().expect("decoded");
            assert_eq!(log.read_at(position, frame.body.len() as u32).expect("held"), frame.body);
            assert_eq!(log.log_mark(frame.index).expect("intact"), Some(frame.mark()));
        }
    }

    fn compare(&self) {
        let (pointers, model) = (self.log.pointers(), &self.model);
        assert_eq!(pointers.purged, model.purged);
        assert_eq!(pointers.last, model.last());
        assert_eq!(pointers.next_position.0, model.next_position);
        assert_eq!(pointers.committed, model.committed);
        assert_eq!(self.log.ballot(), model.ballot);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_says_what_a_vector_says(steps in prop::collection::vec(step(), 1..80)) {
        let disk = SimulatedDisk::new(1);
        let mut run = Run { log: open(&disk), disk, model: Model::default() };
        for step in steps {
            run.perform(step);
        }
        run.perform(Step::Reopen);
        run.read(run.model.first(), 10_000, usize::MAX);
    }
}
