//! What is no SQL filter: a table of errors, the bounds, and what holds for any text.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::cases::{message, truth};
use super::tree::Truth::False;
use super::{SqlFault, SqlFilter};
use crate::limits::{SQL_DEPTH_MAX, SQL_PARTS_MAX, SQL_TEXT_BYTES_MAX};

#[test]
fn errors_point_at_the_character() {
    let cases = [
        (
            "",
            "at character 1: a property, a number, a text or a condition must stand here, not the end of the filter",
        ),
        (
            "a > ",
            "at character 5: a property, a number, a text or a condition must stand here, not the end of the filter",
        ),
        ("a", ""),
        ("5", "at character 1: this is a number, which is neither true nor false"),
        ("'x'", "at character 1: this is a text, which is neither true nor false"),
        ("a = 5 AND 'x'", "at character 11: this is a text, which is neither true nor false"),
        ("a = 5 b", "at character 7: AND, OR or the end of the filter must stand here, not b"),
        ("a = 5)", "at character 6: AND, OR or the end of the filter must stand here, not )"),
        ("(a = 5", "at character 7: ) must stand here, not the end of the filter"),
        (
            "a > 'x'",
            "at character 5: a text cannot be compared with <, <=, >, >= or BETWEEN: only numbers and properties can",
        ),
        (
            "'x' < a",
            "at character 1: a text cannot be compared with <, <=, >, >= or BETWEEN: only numbers and properties can",
        ),
        (
            "a > TRUE",
            "at character 5: a condition cannot be compared with <, <=, >, >= or BETWEEN: only numbers and properties can",
        ),
        ("1 < a < 5", "at character 7: AND, OR or the end of the filter must stand here, not <"),
        (
            "a > NULL",
            "at character 5: a NULL cannot be compared with <, <=, >, >= or BETWEEN: only numbers and properties can",
        ),
        (
            "a BETWEEN 'a' AND 'b'",
            "at character 11: a text cannot be compared with <, <=, >, >= or BETWEEN: only numbers and properties can",
        ),
        (
            "a BETWEEN 10 AND 0",
            "at character 11: nothing is BETWEEN 10 AND 0: the first must not be the larger",
        ),
        (
            "a BETWEEN 10",
            "at character 13: AND and the upper bound of BETWEEN must stand here, not the end of the filter",
        ),
        (
            "a and between 2 and 10",
            "at character 7: a property, a number, a text or a condition must stand here, not between",
        ),
        ("a = NULL", "at character 5: nothing equals NULL: write IS NULL or IS NOT NULL"),
        ("NULL <> a", "at character 1: nothing equals NULL: write IS NULL or IS NOT NULL"),
        ("'x' = 5", "at character 5: a text cannot be compared with a number"),
        ("5 <> TRUE", "at character 3: a number cannot be compared with a condition"),
        ("TRUE = 'true'", "at character 6: a condition cannot be compared with a text"),
        ("a IN (1)", "at character 7: a text in single quotes must stand here, not 1"),
        ("a IN ()", "at character 7: a text in single quotes must stand here, not )"),
        ("a IN ('x' 'y')", "at character 11: , or ) must stand here, not 'y'"),
        ("a IN 'x'", "at character 6: ( and a list of texts must stand here, not 'x'"),
        ("'a' IN ('x')", "at character 1: a property must stand before IN, not a text"),
        ("5 CONTAINS 'x'", "at character 1: a property must stand before CONTAINS, not a number"),
        ("a CONTAINS b", "at character 12: a text in single quotes must stand here, not b"),
        ("a ENDSWITH ''", "at character 12: the text after ENDSWITH is empty"),
        ("a NOT = 5", "at character 7: BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH must stand here, not ="),
        ("a IS 5", "at character 6: NULL or NOT NULL must stand here, not 5"),
        ("a IS NOT 5", "at character 10: NULL must stand here, not 5"),
        ("a LIKE 'x%'", "at character 3: AND, OR or the end of the filter must stand here, not LIKE"),
        ("a + 1 = 2", "at character 3: AND, OR or the end of the filter must stand here, not +"),
        ("-'x' = a", "at character 2: a text has no sign"),
        ("-TRUE", "at character 2: a condition has no sign"),
        ("a == 5", "at character 4: a property, a number, a text or a condition must stand here, not ="),
        ("a != 5", "at character 3: '!' has no meaning here"),
        ("a = \"x\"", "at character 5: '\"' has no meaning here"),
        ("größe = 1", "at character 3: 'ö' has no meaning here"),
        ("a = 'größe' ; b", "at character 13: ';' has no meaning here"),
        ("a = 'open", "at character 5: the text that begins here has no closing '"),
        ("a = 'open''", "at character 5: the text that begins here has no closing '"),
        ("a /* open", "at character 3: the comment that begins here has no closing */"),
        ("a /*/ = 5", "at character 3: the comment that begins here has no closing */"),
        ("a = 007", "at character 5: 007 is not a number"),
        ("a = 5x", "at character 5: 5x is not a number"),
        ("a = 1e", "at character 5: 1e is not a number"),
        ("a = 1.2.3", "at character 5: 1.2.3 is not a number"),
        ("a = .", "at character 5: '.' has no meaning here"),
        ("a > 100000000000000000000000", "at character 5: 100000000000000000000000 is out of range"),
        ("a > 9223372036854775808", "at character 5: 9223372036854775808 is out of range"),
        ("a > 1e999", "at character 5: 1e999 is out of range"),
        ("and = 5", "at character 1: a property, a number, a text or a condition must stand here, not and"),
    ];
    let found = |text| SqlFilter::parse(text).map_or_else(|error| error.to_string(), |_| String::new());
    let wrong: Vec<_> = cases.iter().filter(|(text, expected)| found(text) != *expected).collect();
    let wrong: Vec<_> = wrong.into_iter().map(|(text, expected)| (text, expected, found(text))).collect();
    assert!(wrong.is_empty(), "(filter, expected, found): {wrong:#?}");
}

#[test]
fn everything_is_bounded() {
    let fault = |text: String| SqlFilter::parse(&text).unwrap_err().fault;
    let long = format!("a = '{}'", "x".repeat(SQL_TEXT_BYTES_MAX));
    assert_eq!(fault(long.clone()), SqlFault::TooLong { bytes: long.len(), max: SQL_TEXT_BYTES_MAX });

    let deep = SqlFault::TooDeep { max: SQL_DEPTH_MAX };
    let nested = |depth| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(SqlFilter::parse(&nested(SQL_DEPTH_MAX - 1)).is_ok());
    assert_eq!(fault(nested(SQL_DEPTH_MAX + 1)), deep);
    assert_eq!(fault("(".repeat(8000)), deep);
    assert_eq!(fault("NOT ".repeat(2000)), deep);
    assert_eq!(fault("- ".repeat(4000)), deep);
    assert_eq!(fault(format!("a {}", "= TRUE ".repeat(1000))), deep);
    assert_eq!(fault(format!("a {}", "IS NULL ".repeat(1000))), deep);

    let parts = SqlFault::TooManyParts { max: SQL_PARTS_MAX };
    assert_eq!(fault(vec!["a"; 1100].join(" OR ")), parts);
    assert_eq!(fault(format!("a IN ({})", vec!["''"; 1100].join(","))), parts);
    let wide = vec!["a=6"; SQL_PARTS_MAX / 3 - 1].join(" OR ");
    assert_eq!(truth(&wide), False);
}

/// Texts that are nearly filters.
fn nearly() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("AND"),
        Just("OR"),
        Just("NOT"),
        Just("IS"),
        Just("NULL"),
        Just("BETWEEN"),
        Just("IN"),
        Just("CONTAINS"),
        Just("STARTSWITH"),
        Just("ENDSWITH"),
        Just("TRUE"),
        Just("FALSE"),
        Just("a"),
        Just("city"),
        Just("missing"),
        Just("5"),
        Just("2.5e1"),
        Just("9223372036854775808"),
        Just("'x'"),
        Just("''"),
        Just("'"),
        Just("("),
        Just(")"),
        Just(","),
        Just("="),
        Just("<>"),
        Just("<="),
        Just(">"),
        Just("-"),
        Just("+"),
        Just("--"),
        Just("/*"),
        Just("*/"),
        Just("ä"),
        Just("."),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused_inside_itself(text in prop_oneof![nearly(), ".*"]) {
        match SqlFilter::parse(&text) {
            Ok(filter) => { filter.matches(&message()); }
            Err(error) => {
                let characters = text.chars().count();
                prop_assert!((1..=characters + 1).contains(&error.character), "{error} in {text:?}");
                prop_assert!(error.to_string().len() <= 200 + text.len(), "{error}");
            }
        }
    }
}

/// The dearest filters that are allowed, against the largest properties that are.
#[test]
fn no_filter_takes_long() {
    let mut dear = message();
    dear.properties = vec![("p".to_owned(), "x".repeat(16_000))];
    let filters = [
        vec!["p CONTAINS 'xxxxxxxxxy'"; 250].join(" OR "),
        format!("p CONTAINS '{}y'", "x".repeat(8000)),
        vec!["p = p"; 300].join(" AND "),
        vec!["p > 1"; 300].join(" OR "),
    ];
    let start = Instant::now();
    for text in &filters {
        SqlFilter::parse(text).unwrap().matches(&dear);
    }
    // They take some milliseconds; a bound that fails only when something has become quadratic.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
