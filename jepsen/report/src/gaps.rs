//! How long clients got nothing, for each fault.

use std::collections::BTreeMap;

use checkers::history::{Call, Fault, FaultStatus, History, Outcome};
use serde::Serialize;

use crate::latency::{Percentiles, ms};

/// A fault, with the longest gaps while it was there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultLine {
    /// The fault as it was asked for.
    #[serde(flatten)]
    pub fault: Fault,
    /// The longest time between two acknowledged sends of which a part was in the fault, in milliseconds.
    pub send_gap_ms: Option<f64>,
    /// The same between two receives that brought something.
    pub receive_gap_ms: Option<f64>,
}

/// All installed faults of one kind and target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultGaps {
    /// Which fault.
    pub fault: String,
    /// Whom it was meant for.
    pub target: String,
    /// How often it was installed.
    pub installed: u64,
    /// The longest gaps between acknowledged sends, one a fault.
    pub send_gaps_ms: Option<Percentiles>,
    /// The longest gaps between receives that brought something, one a fault.
    pub receive_gaps_ms: Option<Percentiles>,
}

/// When something succeeded, ascending.
pub(crate) struct Successes {
    pub sends_ns: Vec<u64>,
    pub receives_ns: Vec<u64>,
}

impl Successes {
    pub fn of(history: &History) -> Successes {
        let mut successes = Successes { sends_ns: Vec::new(), receives_ns: Vec::new() };
        for operation in &history.operations {
            let is_ok = operation.outcome == Outcome::Ok;
            match &operation.call {
                Call::Send(_) if is_ok => successes.sends_ns.push(operation.return_ns),
                Call::Receive(receive) if !receive.delivered.is_empty() => {
                    successes.receives_ns.push(operation.return_ns);
                }
                Call::Pull(pull) if is_ok && !pull.pulled.is_empty() => {
                    successes.receives_ns.push(operation.return_ns);
                }
                _ => {}
            }
        }
        successes.sends_ns.sort_unstable();
        successes.receives_ns.sort_unstable();
        successes
    }
}

/// The longest time without a success of which a part lies between two moments, in nanoseconds.
pub(crate) fn longest_gap_ns(successes_ns: &[u64], from_ns: u64, to_ns: u64) -> Option<u64> {
    let first = successes_ns.partition_point(|at| *at <= from_ns).saturating_sub(1);
    let mut longest = None;
    for pair in successes_ns[first..].windows(2) {
        if pair[0] >= to_ns {
            break;
        }
        longest = longest.max(Some(pair[1] - pair[0]));
    }
    longest
}

/// Every fault with its gaps.
pub(crate) fn fault_lines(history: &History, successes: &Successes) -> Vec<FaultLine> {
    let line = |fault: &Fault| {
        let gap = |successes_ns: &[u64]| match fault.status {
            FaultStatus::Skipped { .. } => None,
            _ => longest_gap_ns(successes_ns, fault.from_ns, fault.to_ns).map(ms),
        };
        FaultLine {
            fault: fault.clone(),
            send_gap_ms: gap(&successes.sends_ns),
            receive_gap_ms: gap(&successes.receives_ns),
        }
    };
    history.faults.iter().map(line).collect()
}

/// The gaps of the installed faults, by kind and target.
pub(crate) fn by_fault(lines: &[FaultLine]) -> Vec<FaultGaps> {
    let mut kinds: BTreeMap<(&str, &str), Vec<&FaultLine>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.fault.status == FaultStatus::Installed) {
        kinds.entry((&line.fault.fault, &line.fault.target)).or_default().push(line);
    }
    let gaps = |lines: &[&FaultLine], of: fn(&FaultLine) -> Option<f64>| {
        let mut gaps_ns: Vec<u64> =
            lines.iter().filter_map(|line| of(line)).map(|gap_ms| (gap_ms * 1e6) as u64).collect();
        Percentiles::of(&mut gaps_ns)
    };
    let kinds = kinds.into_iter().map(|((fault, target), lines)| FaultGaps {
        fault: fault.to_owned(),
        target: target.to_owned(),
        installed: lines.len() as u64,
        send_gaps_ms: gaps(&lines, |line| line.send_gap_ms),
        receive_gaps_ms: gaps(&lines, |line| line.receive_gap_ms),
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_if_a_part_of_it_is_in_the_fault() {
        let acked = [0, 10, 20, 100, 110, 500];
        assert_eq!(longest_gap_ns(&acked, 5, 15), Some(10));
        assert_eq!(longest_gap_ns(&acked, 15, 30), Some(80), "it began in the fault, and ended after it");
        assert_eq!(longest_gap_ns(&acked, 50, 60), Some(80), "it is around the fault");
        assert_eq!(longest_gap_ns(&acked, 100, 110), Some(10));
        assert_eq!(longest_gap_ns(&acked, 600, 700), None);
        assert_eq!(longest_gap_ns(&[], 0, 700), None);
    }
}
