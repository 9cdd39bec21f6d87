//! The CommitLog on a simulated disk: the power goes, or a call fails, at every call of a workload. Then what
//! was synced is there, and what is there is right.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use store::commit_log::{
    Ballot, CommitLog, Completion, Frame, FrameKind, LogFailure, LogIdentity, LogMark, LogOptions, OpenError,
    ReadError,
};
use store::disk::simulated::SimulatedDisk;

const DIR: &str = "/log";

fn open(disk: &SimulatedDisk) -> Result<CommitLog, OpenError> {
    let identity = LogIdentity { cluster: "test".into(), node: 1, group: 7 };
    let options = LogOptions { segment_bytes: 16 << 10, tail_cache_bytes: 1 << 10, prepare_ahead: false };
    CommitLog::open(Arc::new(disk.clone()), Path::new(DIR), identity, options)
}

fn frame(index: u64, term: u64, len: usize) -> Frame {
    let body: Vec<u8> = (0..len as u64).map(|at| (at * 7 + index * 31 + term) as u8).collect();
    Frame::new(FrameKind::Commands, index, term, 1, 1000 + index, 3, Bytes::from(body))
}

/// What a log should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// (index, term, length)
    frames: Vec<(u64, u64, usize)>,
    ballot: Option<Ballot>,
    purged: Option<LogMark>,
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u64, u64, usize)>),
    Ballot(Ballot),
    Truncate(Option<u64>),
    Purge(LogMark),
}

impl Model {
    fn next(&self) -> u64 {
        self.frames.last().map_or(0, |(index, ..)| index + 1)
    }

    fn after(&self, step: &Step) -> Model {
        let mut model = self.clone();
        match step {
            Step::Append(frames) => model.frames.extend(frames),
            Step::Ballot(ballot) => model.ballot = Some(*ballot),
            Step::Truncate(keep) => {
                model.frames.retain(|(index, ..)| keep.is_some_and(|keep| *index <= keep))
            }
            Step::Purge(mark) => model.purged = Some(*mark),
        }
        model
    }
}

/// A small generator (xorshift), so that a seed is all that a failure needs.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Steps, and the models before and after each.
fn workload(seed: u64, steps: usize) -> (Vec<Step>, Vec<Model>) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut plan, mut models, mut term) = (Vec::new(), vec![Model::default()], 1);
    for _ in 0..steps {
        let model = models.last().expect("never empty");
        let next = model.next();
        let floor = model.purged.map_or(0, |purged| purged.index + 1);
        let step = match random.below(10) {
            0 => Step::Ballot(Ballot { term, node: random.below(3), committed: random.below(2) == 0 }),
            1 if next > floor => {
                let cut = next - random.below((next - floor).min(9) + 1);
                term += random.below(2);
                Step::Truncate(cut.checked_sub(1))
            }
            2 if next > floor + 3 => {
                let index = floor + random.below(next - floor - 2);
                let (_, term, _) = model.frames[index as usize];
                Step::Purge(LogMark { term, leader: 1, index })
            }
            _ => {
                let count = 1 + random.below(4);
                let frames = (0..count).map(|at| (next + at, term, random.below(1500) as usize));
                Step::Append(frames.collect())
            }
        };
        models.push(model.after(&step));
        plan.push(step);
    }
    (plan, models)
}

fn start(log: &CommitLog, step: &Step, done: Completion) -> Result<(), LogFailure> {
    match step {
        Step::Append(frames) => {
            let frames = frames.iter().map(|(index, term, len)| frame(*index, *term, *len)).collect();
            log.append(frames, done)?;
        }
        Step::Ballot(ballot) => log.save_ballot(*ballot, done),
        Step::Truncate(keep) => log.truncate_after(*keep, done),
        Step::Purge(mark) => {
            // Half of the segments are below the read floor too.
            if mark.index % 2 == 0
                && let Ok(frames) = log.frames(mark.index..mark.index + 1, 0)
            {
                log.set_read_floor(frames[0].position().expect("from the log"));
            }
            log.save_committed(*mark);
            log.purge(*mark, done);
        }
    }
    Ok(())
}

/// Runs the steps, `at_once` in flight, until one fails. Gives how many were answered with yes.
fn run(disk: &SimulatedDisk, plan: &[Step], at_once: usize) -> usize {
    let Ok(log) = open(disk) else { return 0 };
    let mut acked = 0;
    for steps in plan.chunks(at_once) {
        let (sender, receiver) = mpsc::channel();
        for step in steps {
            let sender = sender.clone();
            let done = Box::new(move |result| sender.send(result).expect("somebody waits"));
            if start(&log, step, done).is_err() {
                break;
            }
        }
        drop(sender);
        let yes = receiver.iter().filter(Result::is_ok).count();
        acked += yes;
        if yes < steps.len() {
            break;
        }
    }
    log.close();
    acked
}

fn held(log: &CommitLog) -> Model {
    let pointers = log.pointers();
    let first = pointers.first_index;
    let frames = log.frames(first..u64::MAX, usize::MAX).expect("an intact log");
    for held in &frames {
        assert_eq!(*held.body, *frame(held.index, held.term, held.body.len()).body, "frame {}", held.index);
        let at = held.body_position().expect("from the log");
        assert_eq!(log.read_at(at, held.body.len() as u32).expect("an intact log"), held.body);
    }
    let frames = frames.iter().map(|frame| (frame.index, frame.term, frame.body.len())).collect();
    Model { frames, ballot: log.ballot(), purged: pointers.purged }
}

/// That `found` is a state between two models: all of the first, and perhaps a part of the step to the second.
fn lies_between(found: &Model, before: &Model, after: &Model) -> bool {
    let floor = found.purged.map_or(0, |purged| purged.index + 1);
    let above = |model: &Model| -> Vec<_> {
        model.frames.iter().filter(|(index, ..)| *index >= floor).copied().collect()
    };
    let (a, b) = (above(before), above(after));
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    found.frames.starts_with(&short)
        && long.starts_with(&found.frames)
        && [before.ballot, after.ballot].contains(&found.ballot)
        && [before.purged, after.purged].contains(&found.purged)
}

fn expect_between(found: &Model, models: &[Model], acked: usize, issued: usize, context: &str) {
    let fits = (acked..=issued.min(models.len() - 1))
        .any(|at| lies_between(found, &models[at], models.get(at + 1).unwrap_or(&models[at])));
    assert!(fits, "{context}: {acked} steps were answered, {:?} was due, {found:?} is there", models[acked]);
}

/// Reopens, checks, goes on writing, and does it again.
fn recover_and_go_on(disk: &SimulatedDisk, models: &[Model], acked: usize, issued: usize, context: &str) {
    let log = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = held(&log);
    expect_between(&found, models, acked, issued, context);
    let next = log.pointers().next_index();
    let (sender, receiver) = mpsc::channel();
    let done: Completion = Box::new(move |result| sender.send(result).expect("somebody waits"));
    log.append(vec![frame(next, 99, 700), frame(next + 1, 99, 800)], done).expect("a log that works");
    receiver.recv().expect("an answer").unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(log);
    disk.restart();
    let log = open(disk).unwrap_or_else(|error| panic!("{context}, again: {error}"));
    let mut due = found;
    due.frames.extend([(next, 99, 700), (next + 1, 99, 800)]);
    assert_eq!(held(&log), due, "{context}, again");
    log.close();
}

#[test]
fn power_failure_at_every_call() {
    for seed in 1..=4 {
        let (plan, models) = workload(seed, 60);
        let mut crashes = 0;
        for n in 1.. {
            let disk = SimulatedDisk::new(seed * 100_000 + n);
            disk.power_off_at(n);
            let acked = run(&disk, &plan, 1);
            if !disk.is_off() {
                assert_eq!(acked, plan.len());
                break;
            }
            crashes += 1;
            disk.restart();
            recover_and_go_on(&disk, &models, acked, acked, &format!("seed {seed}, call {n}"));
        }
        assert!(crashes > 100, "only {crashes} calls: the workload does not reach what it should");
    }
}

#[test]
fn r3_power_failure_with_many_steps_in_flight_leaves_the_first_ones() {
    for n in 1..400 {
        let (plan, models) = workload(n, 60);
        let disk = SimulatedDisk::new(n);
        disk.power_off_at(10 + n);
        let acked = run(&disk, &plan, 6);
        disk.restart();
        recover_and_go_on(&disk, &models, acked, acked + 6, &format!("seed {n}"));
    }
}

#[test]
fn power_failure_during_recovery() {
    for n in 1..200 {
        let (plan, models) = workload(n, 40);
        let disk = SimulatedDisk::new(n);
        disk.power_off_at(12 + n);
        let acked = run(&disk, &plan, 1);
        for call in 1..20 {
            disk.restart();
            disk.power_off_at(call);
            if let Ok(log) = open(&disk) {
                log.close();
            }
        }
        disk.restart();
        recover_and_go_on(&disk, &models, acked, acked, &format!("seed {n}"));
    }
}

#[test]
fn a_failed_call_poisons_the_log_and_loses_nothing() {
    for seed in 1..=2 {
        let (plan, models) = workload(seed, 50);
        let all = {
            let disk = SimulatedDisk::new(seed);
            assert_eq!(run(&disk, &plan, 1), plan.len());
            disk.calls()
        };
        for n in 1..all {
            let disk = SimulatedDisk::new(seed * 100_000 + n);
            disk.fail_at(n);
            let acked = run(&disk, &plan, 1);
            // The process is gone, the machine is not: what was written is still seen.
            recover_and_go_on(&disk, &models, acked, acked, &format!("seed {seed}, call {n}"));
        }
    }
}

#[test]
fn after_a_failed_sync_everything_is_refused() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let heard = reasons.clone();
    log.on_failure(Box::new(move |reason| heard.lock().unwrap().push(reason)));
    // The write succeeds, its sync does not.
    disk.fail_at(2);
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (sender, receiver) = mpsc::channel();
    for index in 0..3 {
        let (answers, sender) = (answers.clone(), sender.clone());
        let done: Completion = Box::new(move |result| {
            answers.lock().unwrap().push((index, result.is_ok()));
            sender.send(()).unwrap();
        });
        if log.append(vec![frame(index, 1, 10)], done).is_err() {
            break;
        }
    }
    drop(sender);
    while receiver.recv().is_ok() {}
    assert!(answers.lock().unwrap().iter().all(|(_, yes)| !yes));
    assert_eq!(reasons.lock().unwrap().len(), 1);
    assert!(reasons.lock().unwrap()[0].contains("cannot sync 00000000000000000000.log"), "{reasons:?}");
    let refused = log.append(Vec::new(), Box::new(|_| {}));
    assert!(matches!(refused, Err(LogFailure::Poisoned { .. })), "{refused:?}");
    let (sender, receiver) = mpsc::channel();
    let done: Completion = Box::new(move |result| sender.send(result).unwrap());
    log.save_ballot(Ballot { term: 1, node: 1, committed: false }, done);
    assert!(matches!(receiver.recv().unwrap(), Err(LogFailure::Poisoned { .. })));
    assert_eq!(log.pointers().durable_index, None);
    log.close();
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing() {
    let disk = SimulatedDisk::new(1);
    disk.set_capacity(Some(60 << 10));
    let plan: Vec<Step> = (0..40).map(|index| Step::Append(vec![(index, 1, 900)])).collect();
    let mut models = vec![Model::default()];
    for step in &plan {
        models.push(models.last().unwrap().after(step));
    }
    let acked = run(&disk, &plan, 1);
    assert!(acked > 5 && acked < plan.len(), "{acked}");
    disk.set_capacity(None);
    recover_and_go_on(&disk, &models, acked, acked, "a full disk");
}

#[test]
fn the_same_seed_gives_the_same_calls() {
    let trace = |seed| {
        let disk = SimulatedDisk::new(seed);
        run(&disk, &workload(3, 60).0, 1);
        disk.trace()
    };
    assert_eq!(trace(1), trace(2));
}

/// A closed log of three segments, with a vote.
fn small_log() -> (SimulatedDisk, Model) {
    let disk = SimulatedDisk::new(1);
    let plan = [
        Step::Append((0..9).map(|index| (index, 1, 700 + index as usize)).collect()),
        Step::Ballot(Ballot { term: 3, node: 2, committed: true }),
        Step::Append(vec![(9, 2, 3), (10, 2, 0)]),
    ];
    assert_eq!(run(&disk, &plan, 1), 3);
    let model = plan.iter().fold(Model::default(), |model, step| model.after(step));
    (disk, model)
}

#[test]
fn a_flipped_bit_is_detected_or_harmless() {
    let (whole, due) = small_log();
    let (mut refused, mut unread, mut harmless) = (0, 0, 0);
    for (path, len) in whole.files() {
        for at in 0..len {
            // Reserved zeros are all alike.
            if whole.byte(&path, at) == 0 && at % 64 != 63 {
                continue;
            }
            let disk = whole.copy();
            disk.flip(&path, at, 1 << (at % 8));
            let context = format!("byte {at} of {}", path.display());
            let log = match open(&disk) {
                Ok(log) => log,
                Err(OpenError::Io { source, .. }) => panic!("{context}: {source}"),
                Err(_) => {
                    refused += 1;
                    continue;
                }
            };
            assert_eq!(log.ballot(), due.ballot, "{context}");
            assert_eq!(log.pointers().next_index(), 11, "{context}");
            match log.frames(0..u64::MAX, usize::MAX) {
                Ok(_) => {
                    assert_eq!(held(&log), due, "{context}");
                    harmless += 1;
                }
                Err(ReadError::Damaged(_)) => unread += 1,
                Err(error) => panic!("{context}: {error}"),
            }
        }
    }
    assert!(refused > 100 && unread > 1000 && harmless > 100, "{refused} {unread} {harmless}");
}

#[test]
fn r6_a_missing_file_is_not_an_empty_log() {
    let (whole, due) = small_log();
    for (path, _) in whole.files() {
        let disk = whole.copy();
        store::disk::Disk::remove(&disk, &path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match open(&disk) {
            Ok(log) => {
                assert!(name.ends_with(".idx"), "{name}");
                assert_eq!(held(&log), due);
            }
            Err(OpenError::Unreadable { .. }) => {
                assert!(name == "superblock" || name == "identity", "{name}")
            }
            Err(OpenError::Damaged(damage)) => assert_eq!(damage.segment, name),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn an_unreadable_vote_is_not_an_absent_one() {
    let fresh = SimulatedDisk::new(1);
    let log = open(&fresh).unwrap();
    assert_eq!(log.ballot(), None);
    log.close();

    let (disk, due) = small_log();
    let path = Path::new(DIR).join("superblock");
    disk.flip(&path, 20, 1);
    let log = open(&disk).unwrap();
    assert_eq!(log.ballot(), due.ballot, "one copy is enough");
    log.close();
    disk.flip(&path, 20, 1);
    disk.flip(&path, 4096 + 20, 1);
    let error = open(&disk.copy()).unwrap_err();
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("might break a promise"), "{error}");
}
