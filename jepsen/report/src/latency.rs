//! Percentiles of what took how long.

use serde::Serialize;

/// Percentiles, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many values there are.
    pub count: u64,
    /// Half are not above.
    pub p50: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// 999 of 1000 are not above.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

impl Percentiles {
    /// Of durations in nanoseconds, which get sorted; `None` if there are none.
    pub fn of(durations_ns: &mut [u64]) -> Option<Percentiles> {
        durations_ns.sort_unstable();
        let max = *durations_ns.last()?;
        let at = |share: f64| {
            let rank = (durations_ns.len() as f64 * share).ceil() as usize;
            ms(durations_ns[rank.clamp(1, durations_ns.len()) - 1])
        };
        let count = durations_ns.len() as u64;
        Some(Percentiles { count, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ms(max) })
    }
}

/// Nanoseconds as milliseconds, to a thousandth.
pub(crate) fn ms(ns: u64) -> f64 {
    (ns / 1000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values: Vec<u64> = (1..=1000).rev().map(|ms| ms * 1_000_000).collect();
        let percentiles = Percentiles::of(&mut values).unwrap();
        assert_eq!((percentiles.p50, percentiles.p99, percentiles.p999), (500.0, 990.0, 999.0));
        assert_eq!((percentiles.max, percentiles.count), (1000.0, 1000));
        assert_eq!(Percentiles::of(&mut [7_000_000]).unwrap().p50, 7.0);
        assert_eq!(Percentiles::of(&mut []), None);
    }
}
