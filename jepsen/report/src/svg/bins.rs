//! A run in steps of equal length.

use checkers::history::{Call, History, Outcome};

use crate::latency::Percentiles;
use crate::limits::{BIN_MS_MIN, BINS_MAX};

/// What ended within one step.
#[derive(Clone, Debug, Default)]
pub struct Bin {
    pub acknowledged: u64,
    pub refused: u64,
    pub unknown: u64,
    pub delivered: u64,
    /// Of acknowledged sends; `None` if there were none.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    took_ns: Vec<u64>,
}

impl Bin {
    /// All sends that ended.
    pub fn sends(&self) -> u64 {
        self.acknowledged + self.refused + self.unknown
    }
}

/// The steps of a run, from its beginning.
#[derive(Debug)]
pub struct Bins {
    width_ms: u64,
    pub bins: Vec<Bin>,
}

impl Bins {
    /// Of what clients did; faults that were there longer make it longer.
    pub fn of(history: &History) -> Bins {
        let ended = history.operations.iter().map(|operation| operation.return_ns);
        let healed = history.faults.iter().map(|fault| fault.to_ns);
        let end_ms = ended.chain(healed).max().unwrap_or(0) / 1_000_000 + 1;
        let widths = [1, 2, 5, 10, 20, 50, 100, 300, 600, 1200, 3000, 6000].map(|factor| factor * BIN_MS_MIN);
        let fits = |width: &u64| end_ms.div_ceil(*width) <= BINS_MAX as u64;
        let width_ms = widths.into_iter().find(fits).unwrap_or(end_ms.div_ceil(BINS_MAX as u64));
        let mut bins = vec![Bin::default(); end_ms.div_ceil(width_ms) as usize];
        for operation in &history.operations {
            let bin = &mut bins[(operation.return_ns / 1_000_000 / width_ms) as usize];
            match (&operation.call, operation.outcome) {
                (Call::Send(_), Outcome::Ok) => {
                    bin.acknowledged += 1;
                    bin.took_ns.push(operation.return_ns.saturating_sub(operation.invoke_ns));
                }
                (Call::Send(_), Outcome::Fail) => bin.refused += 1,
                (Call::Send(_), Outcome::Info) => bin.unknown += 1,
                (Call::Receive(receive), _) => bin.delivered += receive.delivered.len() as u64,
                (Call::Pull(pull), _) => bin.delivered += pull.pulled.len() as u64,
                _ => {}
            }
        }
        for bin in &mut bins {
            if let Some(of) = Percentiles::of(&mut bin.took_ns) {
                (bin.p50_ms, bin.p99_ms, bin.max_ms) = (Some(of.p50), Some(of.p99), Some(of.max));
            }
        }
        Bins { width_ms, bins }
    }

    /// Where the last step ends.
    pub fn end_s(&self) -> f64 {
        (self.bins.len() as u64 * self.width_ms) as f64 / 1000.0
    }

    /// The middle of a step.
    pub fn middle_s(&self, bin: usize) -> f64 {
        (bin as f64 + 0.5) * self.width_ms as f64 / 1000.0
    }

    /// A value of each step.
    pub fn values(&self, of: impl Fn(&Bin) -> Option<f64>) -> Vec<Option<f64>> {
        self.bins.iter().map(of).collect()
    }

    /// A count of each step, by the second.
    pub fn rates(&self, of: impl Fn(&Bin) -> u64) -> Vec<Option<f64>> {
        self.bins.iter().map(|bin| Some(of(bin) as f64 * 1000.0 / self.width_ms as f64)).collect()
    }
}
