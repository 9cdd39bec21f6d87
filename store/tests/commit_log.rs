//! The CommitLog on a real disk: what a Raft adapter and a reader rely on.

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use store::commit_log::{
    Ballot, CommitLog, Completion, Frame, FrameKind, Inspection, LogFailure, LogIdentity, LogMark,
    LogOptions, OpenError, ReadError,
};
use store::disk::RealDisk;
use store::position::LogPosition;
use store::record::MessageRecord;

fn identity() -> LogIdentity {
    LogIdentity { cluster: "test".into(), node: 1, group: 7 }
}

fn options() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, tail_cache_bytes: 4 << 10, ..LogOptions::default() }
}

fn open(dir: &Path) -> CommitLog {
    CommitLog::open(Arc::new(RealDisk), dir, identity(), options()).unwrap()
}

fn frame(index: u64, term: u64, len: usize) -> Frame {
    let body = Bytes::from(vec![(index * 31 + term) as u8; len]);
    Frame::new(FrameKind::Commands, index, term, 1, 1000 + index, 3, body)
}

fn waiter() -> (Completion, mpsc::Receiver<Result<(), LogFailure>>) {
    let (sender, receiver) = mpsc::channel();
    (Box::new(move |result| sender.send(result).unwrap()), receiver)
}

fn append(log: &CommitLog, frames: Vec<Frame>) {
    let (done, wait) = waiter();
    log.append(frames, done).unwrap();
    wait.recv().unwrap().unwrap();
}

fn wait(ask: impl FnOnce(Completion)) {
    let (done, wait) = waiter();
    ask(done);
    wait.recv().unwrap().unwrap();
}

fn indexes(log: &CommitLog, range: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    log.frames(range, usize::MAX).unwrap().iter().map(|frame| (frame.index, frame.term)).collect()
}

#[test]
fn frames_are_there_after_a_restart_over_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for index in 0..200 {
        append(&log, vec![frame(index, 1, 1000 + 7 * index as usize)]);
    }
    let before = log.frames(0..200, usize::MAX).unwrap();
    assert_eq!(before.len(), 200);
    assert!(log.cached_frames(0..1, 1).is_none(), "the cache is bounded");
    assert!(log.cached_frames(199..200, 1).is_some());
    let pointers = log.pointers();
    log.close();

    let log = open(dir.path());
    assert_eq!(log.frames(0..1000, usize::MAX).unwrap(), before);
    assert_eq!(log.pointers(), pointers);
    assert!(log.torn_tail().is_none());
    for frame in &before {
        let at = frame.body_position().unwrap() + 10;
        assert_eq!(log.read_at(at, 20).unwrap(), frame.body.slice(10..30));
        assert_eq!(Frame::decode(frame.to_wire()).unwrap(), *frame);
        assert_eq!(log.log_mark(frame.index).unwrap(), Some(frame.mark()));
    }
    assert_eq!(log.frames(5..50, 1).unwrap().len(), 1, "at least one");
    log.close();

    let inspection = Inspection::open(Arc::new(RealDisk), dir.path()).unwrap();
    assert!(inspection.segments.len() > 3);
    let mut lines = Vec::new();
    let visit = |line: store::commit_log::FrameLine| {
        lines.push(line.header.index);
        true
    };
    inspection.for_each_frame(visit).unwrap();
    assert_eq!(lines, (0..200).collect::<Vec<_>>());
    let report = inspection.check(|_| {}).unwrap();
    assert_eq!((report.frames, report.damages.len()), (200, 0));
}

#[test]
fn a_truncation_is_seen_at_once_and_over_segments() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, (0..150).map(|index| frame(index, 4, 1500)).collect());
    for keep in [140, 61, 60, 3] {
        let (done, waiting) = waiter();
        log.truncate_after(Some(keep), done);
        assert_eq!(log.pointers().last, Some(LogMark { term: 4, leader: 1, index: keep }));
        append(&log, vec![frame(keep + 1, 3, 1500), frame(keep + 2, 3, 10)]);
        waiting.recv().unwrap().unwrap();
        wait(|done| log.truncate_after(Some(keep + 1), done));
        assert_eq!(indexes(&log, keep..keep + 9), [(keep, 4), (keep + 1, 3)]);
        let log_again = log.frames(0..1000, usize::MAX).unwrap();
        assert_eq!(log_again.len() as u64, keep + 2);
        wait(|done| log.truncate_after(Some(keep), done));
    }
    log.close();
    let log = open(dir.path());
    assert_eq!(indexes(&log, 0..100), [(0, 4), (1, 4), (2, 4), (3, 4)]);
    wait(|done| log.truncate_after(None, done));
    append(&log, vec![frame(0, 9, 1)]);
    assert_eq!(indexes(&log, 0..100), [(0, 9)]);
}

#[test]
fn r2_segments_go_only_below_both_floors() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, (0..150).map(|index| frame(index, 1, 1500)).collect());
    let middle = log.frames(100..101, 0).unwrap()[0].clone();
    wait(|done| log.purge(middle.mark(), done));
    assert_eq!(log.pointers().first_index, 101);
    assert_eq!(log.pointers().oldest_position, LogPosition(0), "consumers may still read");
    assert_eq!(log.read_at(LogPosition(64), 1500).unwrap(), frame(0, 1, 1500).body);

    log.set_read_floor(middle.position().unwrap());
    wait(|done| log.save_ballot(Ballot { term: 2, node: 1, committed: true }, done));
    let oldest = log.pointers().oldest_position;
    assert!(oldest > LogPosition(0) && oldest <= middle.position().unwrap());
    assert!(matches!(log.frames(0..1, 1), Err(ReadError::Purged { .. })));
    assert!(matches!(log.read_at(LogPosition(64), 1), Err(ReadError::NotHeld { .. })));
    log.close();
    let log = open(dir.path());
    assert_eq!(log.pointers().purged, Some(middle.mark()));
    assert_eq!(log.pointers().oldest_position, oldest);
    assert_eq!(log.ballot(), Some(Ballot { term: 2, node: 1, committed: true }));
    assert_eq!(log.log_mark(100).unwrap(), Some(middle.mark()));
}

#[test]
fn a_log_goes_on_behind_a_snapshot_and_keeps_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, (0..10).map(|index| frame(index, 1, 100)).collect());
    log.save_committed(LogMark { term: 1, leader: 1, index: 5 });
    let mark = LogMark { term: 6, leader: 2, index: 90 };
    wait(|done| log.reset_to(mark, LogPosition(50_000), done));
    assert_eq!(log.pointers().last, Some(mark));
    assert_eq!(log.pointers().next_position, LogPosition(50_000));
    append(&log, vec![frame(91, 6, 10)]);
    let check = |log: &CommitLog| {
        assert_eq!(log.pointers().purged, Some(mark));
        assert_eq!(indexes(log, 91..100), [(91, 6)]);
        assert_eq!(log.read_at(LogPosition(5 * 164 + 64), 100).unwrap(), frame(5, 1, 100).body);
        assert!(matches!(log.read_at(LogPosition(6 * 164 + 64), 100), Err(ReadError::NotHeld { .. })));
        assert_eq!(log.read_at(LogPosition(50_064), 10).unwrap(), frame(91, 6, 10).body);
        assert_eq!(log.log_mark(90).unwrap(), Some(mark));
        assert_eq!(log.log_mark(50).unwrap(), None);
    };
    check(&log);
    log.close();
    let log = open(dir.path());
    check(&log);
    // The entry is there: nothing is cut.
    wait(|done| log.reset_to(LogMark { term: 6, leader: 1, index: 91 }, LogPosition(50_074), done));
    assert_eq!(log.pointers().first_index, 92);
}

#[test]
fn r3_votes_and_appends_are_answered_in_the_order_of_the_calls() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let order = Arc::new(Mutex::new(Vec::new()));
    let durable = Arc::new(Mutex::new(Vec::new()));
    let heard = durable.clone();
    log.on_durable(Box::new(move |index| heard.lock().unwrap().push(index)));
    for step in 0..100_u64 {
        let (order, durable) = (order.clone(), durable.clone());
        let done: Completion = Box::new(move |result| {
            result.unwrap();
            if step % 3 != 0 {
                let last = *durable.lock().unwrap().last().unwrap();
                assert!(last >= step - step / 3 - 1, "{last} at {step}");
            }
            order.lock().unwrap().push(step);
        });
        match step % 3 {
            0 => log.save_ballot(Ballot { term: step, node: 1, committed: false }, done),
            _ => log.append(vec![frame(step - step / 3 - 1, 1, 50)], done).unwrap(),
        }
    }
    wait(|done| log.append(Vec::new(), done).unwrap());
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let again = CommitLog::open(Arc::new(RealDisk), dir.path(), identity(), options());
    assert!(matches!(again, Err(OpenError::Locked { .. })), "{again:?}");
    log.close();
    for other in [
        LogIdentity { cluster: "other".into(), ..identity() },
        LogIdentity { node: 2, ..identity() },
        LogIdentity { group: 8, ..identity() },
    ] {
        let error = CommitLog::open(Arc::new(RealDisk), dir.path(), other, options()).unwrap_err();
        assert!(matches!(error, OpenError::Identity { .. }), "{error}");
        assert!(error.to_string().contains("check the data directory"), "{error}");
    }
}

#[test]
fn a_frame_too_long_for_a_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let len = log.frame_bytes_max() as usize - 64;
    let refused = log.append(vec![frame(0, 1, len + 1)], Box::new(|_| {}));
    assert!(matches!(refused, Err(LogFailure::TooLarge { index: 0, .. })));
    append(&log, (0..5).map(|index| frame(index, 1, len)).collect());
    assert_eq!(log.pointers().durable_index, Some(4));
}

#[test]
fn a_frame_that_is_not_due_is_a_bug_of_the_caller_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, vec![frame(0, 1, 10)]);
    let elsewhere = log.frames(0..1, 0).unwrap()[0].to_wire();
    for wrong in [frame(2, 1, 10), Frame::decode(elsewhere).unwrap()] {
        let append = || log.append(vec![wrong.clone()], Box::new(|_| {}));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(append)).is_err());
    }
    append(&log, vec![frame(1, 1, 10)]);
    assert_eq!(log.pointers().durable_index, Some(1));
}

#[test]
fn a_purge_beyond_the_end_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, vec![frame(0, 1, 10)]);
    let mark = LogMark { term: 2, leader: 1, index: 9 };
    wait(|done| log.purge(mark, done));
    assert_eq!((log.pointers().last, log.pointers().first_index), (Some(mark), 10));
    append(&log, vec![frame(10, 2, 10)]);
    assert_eq!(indexes(&log, 10..20), [(10, 2)]);
}

#[test]
fn readers_see_whole_frames_while_the_log_is_cut_and_rolled() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2_u64)
        .map(|reader| {
            let (log, stop) = (log.clone(), stop.clone());
            std::thread::spawn(move || {
                let (mut reads, mut at) = (0, reader);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let pointers = log.pointers();
                    let held = pointers.next_index() - pointers.first_index;
                    let from = pointers.first_index + (at >> 33) % (held + 1);
                    match log.frames(from..from + 20, 20_000) {
                        Ok(frames) => {
                            for (index, read) in (from..).zip(frames) {
                                assert_eq!(read.index, index);
                                assert_eq!(read.body, frame(index, read.term, read.body.len()).body);
                                reads += 1;
                            }
                        }
                        Err(ReadError::Purged { index, first }) => assert!(index < first),
                        Err(error) => panic!("{from}: {error}"),
                    }
                }
                reads
            })
        })
        .collect();
    let mut next = 0;
    for round in 0..300_u64 {
        append(&log, (next..next + 7).map(|index| frame(index, round, 900)).collect());
        next += 7;
        if round % 5 == 4 {
            next -= round % 50;
            log.truncate_after(next.checked_sub(1), Box::new(Result::unwrap));
        }
        if round % 60 == 59 {
            let mark = log.log_mark(next - 30).unwrap().unwrap();
            log.set_read_floor(log.frames(mark.index..next, 0).unwrap()[0].position().unwrap());
            log.purge(mark, Box::new(Result::unwrap));
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let reads: Vec<u64> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
    assert_eq!(log.pointers().next_index(), next);
}

/// A log of two sealed segments and more, none of it in memory, and what it says of its disk.
fn watched(dir: &Path) -> (CommitLog, Arc<Mutex<Vec<String>>>) {
    let log = open(dir);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    log.on_disk_fault(Box::new(move |error| tell.lock().unwrap().push(error.to_string())));
    (log, told)
}

#[test]
fn bytes_that_are_not_those_that_were_written_are_told_of_and_what_is_gone_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let record = MessageRecord { body: Bytes::from(vec![7; 500]), ..MessageRecord::default() }.encode();
    // A record lies somewhere in its frame, and some frames hold none.
    let body = |index: u64| match index % 2 {
        0 => Bytes::from([&[1; 40][..], &record, &record].concat()),
        _ => Bytes::from(vec![2; 1000]),
    };
    let log = open(dir.path());
    let framed = |index| Frame::new(FrameKind::Commands, index, 1, 1, 1000 + index, 3, body(index));
    append(&log, (0..200).map(framed).collect());
    let at = |index: u64| log.frames(index..index + 1, 0).unwrap()[0].body_position().unwrap();
    let (with, without) = (at(20) + 40, at(21));
    let len = record.len() as u32;
    log.close();
    let segment = dir.path().join("00000000000000000000.log");
    let sound = std::fs::read(&segment).unwrap();
    let damage = |at: LogPosition| {
        let mut bytes = sound.clone();
        bytes[store::limits::SEGMENT_DATA_START as usize + at.0 as usize] ^= 0x10;
        std::fs::write(&segment, bytes).unwrap();
    };

    let (log, told) = watched(dir.path());
    assert_eq!(log.read_record(with, len).unwrap(), record);
    // What has no checksum of its own is as the frame says.
    assert_eq!(log.read_record(without + 5, 100).unwrap(), vec![2; 100]);
    let beyond = log.pointers().next_position;
    assert!(matches!(log.read_record(beyond, len), Err(ReadError::NotHeld { .. })));
    assert!(log.frames(200..210, 1).unwrap().is_empty());
    assert!(told.lock().unwrap().is_empty(), "{told:?}");
    log.close();

    for (at, read) in [(with + 100, with), (without + 20, without + 5)] {
        damage(at);
        let (log, told) = watched(dir.path());
        let refused = log.read_record(read, len.min(500));
        assert!(matches!(refused, Err(ReadError::Damaged(_))), "{refused:?}");
        assert!(matches!(log.frames(15..40, usize::MAX), Err(ReadError::Damaged(_))));
        // What lies beside it is as it was.
        assert_eq!(log.read_record(with + u64::from(len), len).unwrap(), record);
        let told = told.lock().unwrap().clone();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("segment 00000000000000000000.log, position"), "{told:?}");
        log.close();
    }
    std::fs::write(&segment, &sound[..sound.len() / 2]).unwrap();
    assert!(CommitLog::open(Arc::new(RealDisk), dir.path(), identity(), options()).is_err());
}
