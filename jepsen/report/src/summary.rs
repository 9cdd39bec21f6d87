//! A history, checked and added up.

use std::collections::BTreeMap;

use checkers::history::{Call, Coverage, FaultStatus, Header, History, Outcome};
use checkers::{Evidence, Property, Resolved, Verdict};
use serde::Serialize;

use crate::gaps::{FaultGaps, FaultLine, Successes, by_fault, fault_lines, longest_gap_ns};
use crate::latency::{Percentiles, ms};

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// Nothing is violated, and the run reached what it had to.
    Held,
    /// A property is violated.
    Violated,
    /// Nothing is violated, but the run proves too little: it was cut off, or did not reach what it had to.
    Rejected,
}

/// A property and its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyLine {
    /// Which one.
    pub property: Property,
    /// What it says.
    pub meaning: &'static str,
    /// Whether it holds.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Calls of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallCount {
    /// Which call.
    pub call: &'static str,
    /// How many succeeded.
    pub ok: u64,
    /// How many were refused.
    pub fail: u64,
    /// Of how many nobody knows.
    pub info: u64,
    /// How long those took that succeeded.
    pub latency_ms: Option<Percentiles>,
}

/// How much was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// From the first call to the last answer, in seconds.
    pub seconds: f64,
    /// Sends that were acknowledged.
    pub acknowledged: u64,
    /// Messages that were delivered or pulled, repetitions included.
    pub delivered: u64,
    /// The longest time between two acknowledged sends, in milliseconds.
    pub longest_send_gap_ms: f64,
    /// The longest time between two receives that brought something, in milliseconds.
    pub longest_receive_gap_ms: f64,
}

/// Everything that a report shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What the run comes to.
    pub result: Result,
    /// What the run was.
    pub run: Header,
    /// Whether the history has its end.
    pub complete: bool,
    /// The verdicts.
    pub properties: Vec<PropertyLine>,
    /// How much was done.
    pub work: Work,
    /// The calls by kind.
    pub calls: Vec<CallCount>,
    /// What became of the messages whose sends nobody confirmed.
    pub unknown_sends: Resolved,
    /// Every fault.
    pub faults: Vec<FaultLine>,
    /// The installed ones by kind and target.
    pub gaps: Vec<FaultGaps>,
    /// What the run had to reach.
    pub coverage: Vec<Coverage>,
}

impl Report {
    /// Checks a history, and adds it up.
    pub fn new(history: &History) -> Report {
        let evidence = Evidence::new(history);
        let line = |property: Property| PropertyLine {
            property,
            meaning: property.meaning(),
            verdict: property.check(&evidence),
        };
        let properties: Vec<PropertyLine> = Property::ALL.into_iter().map(line).collect();
        let successes = Successes::of(history);
        let faults = fault_lines(history, &successes);
        let complete = history.is_complete();
        let is_violated = properties.iter().any(|line| line.verdict.is_violated());
        let is_covered = history.coverage.iter().all(Coverage::is_met);
        let result = match (is_violated, complete && is_covered) {
            (true, _) => Result::Violated,
            (false, true) => Result::Held,
            (false, false) => Result::Rejected,
        };
        Report {
            result,
            run: history.header.clone(),
            complete,
            properties,
            work: work(history, &successes),
            calls: calls(history),
            unknown_sends: evidence.resolved(),
            gaps: by_fault(&faults),
            faults,
            coverage: history.coverage.clone(),
        }
    }

    /// The faults that were asked for and did not happen, or of which nobody knows.
    pub fn not_installed(&self) -> impl Iterator<Item = &FaultLine> {
        self.faults.iter().filter(|line| line.fault.status != FaultStatus::Installed)
    }
}

fn work(history: &History, successes: &Successes) -> Work {
    let operations = &history.operations;
    let from_ns = operations.iter().map(|one| one.invoke_ns).min().unwrap_or(0);
    let to_ns = operations.iter().map(|one| one.return_ns).max().unwrap_or(0);
    let delivered = operations.iter().map(|operation| match &operation.call {
        Call::Receive(receive) => receive.delivered.len() as u64,
        Call::Pull(pull) => pull.pulled.len() as u64,
        _ => 0,
    });
    let longest = |successes_ns: &[u64]| longest_gap_ns(successes_ns, 0, u64::MAX).map_or(0.0, ms);
    Work {
        seconds: (to_ns - from_ns) as f64 / 1e9,
        acknowledged: successes.sends_ns.len() as u64,
        delivered: delivered.sum(),
        longest_send_gap_ms: longest(&successes.sends_ns),
        longest_receive_gap_ms: longest(&successes.receives_ns),
    }
}

fn calls(history: &History) -> Vec<CallCount> {
    let mut kinds: BTreeMap<usize, (CallCount, Vec<u64>)> = BTreeMap::new();
    for operation in &history.operations {
        let (rank, call) = kind(&operation.call);
        let new = CallCount { call, ok: 0, fail: 0, info: 0, latency_ms: None };
        let (count, took_ns) = kinds.entry(rank).or_insert((new, Vec::new()));
        match operation.outcome {
            Outcome::Ok => {
                count.ok += 1;
                took_ns.push(operation.return_ns.saturating_sub(operation.invoke_ns));
            }
            Outcome::Fail => count.fail += 1,
            Outcome::Info => count.info += 1,
        }
    }
    let finish = |(mut count, mut took_ns): (CallCount, Vec<u64>)| {
        count.latency_ms = Percentiles::of(&mut took_ns);
        count
    };
    kinds.into_values().map(finish).collect()
}

/// The order and the name of a call in reports.
fn kind<S>(call: &Call<S>) -> (usize, &'static str) {
    match call {
        Call::Send(_) => (0, "send"),
        Call::Receive(_) => (1, "receive"),
        Call::Acknowledge(_) => (2, "acknowledge"),
        Call::ChangeInvisible(_) => (3, "change invisible"),
        Call::DeadLetter(_) => (4, "dead letter"),
        Call::Farewell(_) => (5, "farewell"),
        Call::Pull(_) => (6, "pull"),
        Call::UpdateOffset(_) => (7, "update offset"),
        Call::QueryOffset(_) => (8, "query offset"),
        Call::Commit(_) => (9, "commit"),
        Call::Rollback(_) => (10, "rollback"),
        Call::Recall(_) => (11, "recall"),
        Call::ChangeVotes(_) => (12, "change votes"),
        Call::ReadVoters(_) => (13, "read voters"),
        Call::Administer { .. } => (14, "administer"),
    }
}
