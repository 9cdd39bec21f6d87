//! From values to points, and where the ticks go.

/// A range of values on a range of points.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Scale {
    /// `low` at point `from`, `high` at point `to`.
    pub fn linear(low: f64, high: f64, from: f64, to: f64) -> Scale {
        Scale { from, to, low, high: high.max(low + f64::MIN_POSITIVE), is_logarithmic: false }
    }

    /// The same, where each factor of ten is as wide as another. `low` is above zero.
    pub fn logarithmic(low: f64, high: f64, from: f64, to: f64) -> Scale {
        Scale { from, to, low, high, is_logarithmic: true }
    }

    /// Where a value is; values beyond the range are at its end.
    pub fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = match self.is_logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + share * (self.to - self.from)
    }
}

/// The smallest of 1, 2, 5, 10, 20, 50, ... (and smaller) that is not below a value above zero.
pub fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= value * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Four or five ticks from zero to a value.
pub fn ticks(high: f64) -> Vec<f64> {
    let step = round_up(high / 5.0);
    let count = (high / step + 1e-9).floor() as usize;
    (0..=count).map(|at| at as f64 * step).collect()
}

/// Powers of ten within a range.
pub fn powers(low: f64, high: f64) -> Vec<f64> {
    let first = low.log10().ceil() as i32;
    let last = high.log10().floor() as i32;
    (first..=last).map(|power| 10f64.powi(power)).collect()
}

/// Ticks of the time axis, in seconds: ten or so.
pub fn time_ticks(end_s: f64) -> Vec<f64> {
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    let step = steps.into_iter().find(|step| end_s / step <= 13.0).unwrap_or(7200.0);
    (0..=(end_s / step).floor() as usize).map(|at| at as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_points() {
        let scale = Scale::linear(0.0, 10.0, 100.0, 200.0);
        assert_eq!((scale.at(0.0), scale.at(5.0), scale.at(99.0)), (100.0, 150.0, 200.0));
        let scale = Scale::logarithmic(1.0, 100.0, 200.0, 100.0);
        assert!((scale.at(10.0) - 150.0).abs() < 1e-9, "{}", scale.at(10.0));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(1000.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(ticks(2000.0), [0.0, 500.0, 1000.0, 1500.0, 2000.0]);
        assert_eq!(round_up(1234.0), 2000.0);
        assert_eq!(round_up(0.7), 1.0);
        assert_eq!(powers(0.5, 2000.0), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(time_ticks(60.0).len(), 13);
    }
}
