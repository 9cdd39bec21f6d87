//! Numbers: how they are spelled, and which is larger.

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

/// A number. Never NaN, never infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    /// The number that a property's value spells: digits with an optional sign, point and exponent.
    pub(super) fn spelled(text: &str) -> Option<Number> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        // Rust reads "inf", "nan" and the like too: a number begins with a digit or a point.
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return None;
        }
        if let Ok(integer) = text.parse() {
            return Some(Number::Integer(integer));
        }
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Number::Float)
    }

    pub(super) fn negated(self) -> Number {
        match self {
            Number::Integer(integer) => match integer.checked_neg() {
                Some(negated) => Number::Integer(negated),
                None => Number::Float(-(integer as f64)),
            },
            Number::Float(float) => Number::Float(-float),
        }
    }

    /// Exact, also between an integer and a float that are close.
    pub(super) fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Integer(left), Number::Integer(right)) => left.cmp(&right),
            (Number::Float(left), Number::Float(right)) => {
                left.partial_cmp(&right).expect("a number is never NaN")
            }
            (Number::Integer(left), Number::Float(right)) => integer_with_float(left, right),
            (Number::Float(left), Number::Integer(right)) => integer_with_float(right, left).reverse(),
        }
    }
}

fn integer_with_float(integer: i64, float: f64) -> Ordering {
    // 2^63, which no i64 reaches; -2^63 is one.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if float >= END {
        return Ordering::Less;
    }
    if float < -END {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    let fraction = float - whole;
    integer.cmp(&(whole as i64)).then(0.0.partial_cmp(&fraction).expect("a finite number has a fraction"))
}

impl Display for Number {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Number::Integer(integer) => integer.fmt(out),
            Number::Float(float) => float.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::Number::{self, Float, Integer};

    #[test]
    fn a_text_spells_a_number_or_none() {
        let cases = [
            ("0", Some(Integer(0))),
            ("-7", Some(Integer(-7))),
            ("+7", Some(Integer(7))),
            ("007", Some(Integer(7))),
            ("9223372036854775807", Some(Integer(i64::MAX))),
            ("9223372036854775808", Some(Float(9_223_372_036_854_775_808.0))),
            ("-.5", Some(Float(-0.5))),
            ("5.", Some(Float(5.0))),
            ("1e3", Some(Float(1000.0))),
            ("1e999", None),
            ("", None),
            ("-", None),
            (".", None),
            (" 1", None),
            ("1 ", None),
            ("1L", None),
            ("0x10", None),
            ("NaN", None),
            ("-inf", None),
            ("infinity", None),
            ("1,5", None),
        ];
        for (text, number) in cases {
            assert_eq!(Number::spelled(text), number, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_compared_exactly() {
        let cases = [
            (Integer(1), Integer(2), Less),
            (Integer(1), Float(1.0), Equal),
            (Integer(1), Float(1.5), Less),
            (Integer(-1), Float(-1.5), Greater),
            (Integer(i64::MAX), Float(9_223_372_036_854_775_808.0), Less),
            (Integer(i64::MIN), Float(-9_223_372_036_854_775_808.0), Equal),
            (Integer(i64::MIN), Float(-1e300), Greater),
            (Integer(9_007_199_254_740_993), Float(9_007_199_254_740_992.0), Greater),
            (Float(0.1), Float(0.2), Less),
            (Float(-0.0), Integer(0), Equal),
        ];
        for (left, right, expected) in cases {
            assert_eq!(left.compare(right), expected, "{left} with {right}");
            assert_eq!(right.compare(left), expected.reverse(), "{right} with {left}");
        }
    }
}
