//! What SQL filters say: a table of cases, a table of errors, and what holds for any text.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use store::record::MessageRecord;

use super::tree::Truth::{self, False, True, Unknown};
use super::{Properties, SqlFault, SqlFilter};
use crate::limits::{SQL_DEPTH_MAX, SQL_PARTS_MAX, SQL_TEXT_BYTES_MAX};

/// Tag "paid", keys "k1" and "k2", and some properties.
fn message() -> MessageRecord {
    let properties: BTreeMap<_, _> = [
        ("$x", "dollar"),
        ("_y", "under"),
        ("a", "5"),
        ("big", "9007199254740993"),
        ("city", "Paris"),
        ("empty", ""),
        ("f", "2.5"),
        ("no", "FALSE"),
        ("n", "-7"),
        ("quote", "it's"),
        ("same", "5"),
        ("sp", " 5"),
        ("yes", "true"),
        ("zero", "0"),
    ]
    .into();
    MessageRecord {
        tag: Some("paid".into()),
        keys: vec!["k1".into(), "k2".into()],
        properties: properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        ..MessageRecord::default()
    }
}

fn truth(text: &str) -> Truth {
    let filter = SqlFilter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.condition.evaluate(&message())
}

/// Fails with all that are wrong, not with the first one.
fn check(cases: &[(&str, Truth)]) {
    let answered = cases.iter().map(|(text, expected)| (text, *expected, truth(text)));
    let wrong: Vec<_> = answered.filter(|(_, expected, found)| expected != found).collect();
    assert!(wrong.is_empty(), "(filter, expected, found): {wrong:#?}");
}

#[test]
fn numbers() {
    check(&[
        ("a = 5", True),
        ("a=5", True),
        ("5 = a", True),
        ("a = 5L", True),
        ("a = 5l", True),
        ("a = 5.0", True),
        ("a = 5.", True),
        ("a = .5e1", True),
        ("a = 50E-1", True),
        ("a = +5", True),
        ("a = - -5", True),
        ("a = 6", False),
        ("a <> 5", False),
        ("a <> 6", True),
        ("a > 4", True),
        ("a > 5", False),
        ("a >= 5", True),
        ("a < 5", False),
        ("a <= 5", True),
        ("4 < a", True),
        ("a > 4.999", True),
        ("n = -7", True),
        ("n < 0", True),
        ("-n = 7", True),
        ("-n > a", True),
        ("- -n = -7", True),
        ("f > 2", True),
        ("f = 2.5", True),
        ("f = 2", False),
        ("zero = -0", True),
        ("big = 9007199254740993", True),
        ("big = 9007199254740992", False),
        ("big > 9007199254740992.0", True),
        ("n > -9223372036854775808", True),
        ("n < 9223372036854775807", True),
        ("a > n", True),
        ("a < f", False),
        // What does not spell a number is unknown, whichever way it is asked.
        ("city > 5", Unknown),
        ("city = 5", Unknown),
        ("city <> 5", Unknown),
        ("NOT city = 5", Unknown),
        ("empty = 0", Unknown),
        ("sp = 5", Unknown),
        ("city > a", Unknown),
        ("-city = 5", Unknown),
        ("5 = 5", True),
        ("5 > 6", False),
    ]);
}

#[test]
fn texts() {
    check(&[
        ("city = 'Paris'", True),
        ("'Paris' = city", True),
        ("city = 'paris'", False),
        ("city <> 'Rome'", True),
        ("a = '5'", True),
        ("a = '5.0'", False),
        ("a = same", True),
        ("a <> same", False),
        ("a = city", False),
        ("empty = ''", True),
        ("quote = 'it''s'", True),
        ("quote = 'it''''s'", False),
        ("$x = 'dollar'", True),
        ("_y = 'under'", True),
        ("City = 'Paris'", Unknown),
        ("'x' = 'x'", True),
        ("'x' <> 'x'", False),
        ("city = 'Pa--ris'", False),
        ("city IN ('Rome', 'Paris')", True),
        ("city IN ('Rome')", False),
        ("city NOT IN ('Rome', 'Oslo')", True),
        ("city not in ('Rome', 'Paris', 'Paris')", False),
        ("a IN ('5')", True),
        ("missing IN ('x')", Unknown),
        ("missing NOT IN ('x')", Unknown),
        ("city CONTAINS 'ar'", True),
        ("city CONTAINS 'Paris'", True),
        ("city contains 'x'", False),
        ("city NOT CONTAINS 'x'", True),
        ("city STARTSWITH 'Pa'", True),
        ("city StartsWith 'a'", False),
        ("city NOT STARTSWITH 'a'", True),
        ("city ENDSWITH 'ris'", True),
        ("city ENDSWITH 'ri'", False),
        ("city NOT ENDSWITH 'ris'", False),
        ("missing CONTAINS 'x'", Unknown),
        ("missing NOT STARTSWITH 'x'", Unknown),
        ("empty CONTAINS 'x'", False),
        ("a CONTAINS '5'", True),
    ]);
}

#[test]
fn tags_and_keys() {
    check(&[
        ("TAGS = 'paid'", True),
        ("TAGS IS NOT NULL AND TAGS IN ('paid', 'open')", True),
        ("TAGS = 'open'", False),
        ("KEYS = 'k1 k2'", True),
        ("KEYS CONTAINS 'k2'", True),
        ("tags = 'paid'", Unknown),
    ]);
    let bare = MessageRecord::default();
    for text in ["TAGS IS NULL", "KEYS IS NULL", "a IS NULL"] {
        assert!(SqlFilter::parse(text).unwrap().matches(&bare), "{text}");
    }
}

#[test]
fn ranges() {
    check(&[
        ("a BETWEEN 5 AND 10", True),
        ("a BETWEEN 1 AND 5", True),
        ("a BETWEEN 6 AND 10", False),
        ("a NOT BETWEEN 6 AND 10", True),
        ("a NOT BETWEEN 5 AND 5", False),
        ("a BETWEEN n AND 10", True),
        ("f BETWEEN 2 AND 3 AND a = 5", True),
        ("5 BETWEEN n AND a", True),
        ("a BETWEEN -10 AND +10", True),
        ("missing BETWEEN 1 AND 2", Unknown),
        ("missing NOT BETWEEN 1 AND 2", Unknown),
        ("city BETWEEN 1 AND 2", Unknown),
        // One false half decides, whatever the other is.
        ("a BETWEEN 6 AND missing", False),
        ("a NOT BETWEEN 6 AND missing", True),
        ("a BETWEEN 1 AND missing", Unknown),
    ]);
}

#[test]
fn null() {
    check(&[
        ("missing IS NULL", True),
        ("missing IS NOT NULL", False),
        ("a IS NULL", False),
        ("a is not null", True),
        ("empty IS NULL", False),
        ("5 IS NULL", False),
        ("'x' IS NOT NULL", True),
        ("NULL IS NULL", True),
        ("(missing = 5) IS NULL", True),
        ("(a = 5) IS NULL", False),
        ("-city IS NULL", True),
        ("-a IS NULL", False),
        ("NULL", Unknown),
        ("NOT NULL", Unknown),
        ("NULL OR TRUE", True),
        ("NULL AND FALSE", False),
        ("missing = missing", Unknown),
        ("missing = 'x'", Unknown),
        ("missing <> 'x'", Unknown),
        ("missing > 0", Unknown),
        ("NOT missing > 0", Unknown),
    ]);
}

#[test]
fn three_valued_logic() {
    let values = [("TRUE", True), ("FALSE", False), ("NULL", Unknown)];
    // The tables of SQL92, section 8.12: rows and columns in the order of `values`.
    let and = [[True, False, Unknown], [False, False, False], [Unknown, False, Unknown]];
    let or = [[True, True, True], [True, False, Unknown], [True, Unknown, Unknown]];
    for (row, (left, _)) in values.iter().enumerate() {
        for (column, (right, _)) in values.iter().enumerate() {
            assert_eq!(truth(&format!("{left} AND {right}")), and[row][column], "{left} AND {right}");
            assert_eq!(truth(&format!("{left} OR {right}")), or[row][column], "{left} OR {right}");
        }
    }
    check(&[
        ("NOT TRUE", False),
        ("NOT FALSE", True),
        ("NOT NULL", Unknown),
        ("NOT NOT TRUE", True),
        ("missing = 1 OR a = 5", True),
        ("missing = 1 AND a = 5", Unknown),
        ("missing = 1 AND a = 6", False),
        ("NOT (missing = 1 AND a = 6)", True),
        ("city > 5 OR a = 5", True),
    ]);
}

#[test]
fn words_that_are_conditions() {
    check(&[
        ("TRUE", True),
        ("true", True),
        ("False", False),
        ("yes", True),
        ("no", False),
        ("NOT no", True),
        ("city", Unknown),
        ("missing", Unknown),
        ("yes AND a = 5", True),
        ("yes = TRUE", True),
        ("no = FALSE", True),
        ("TRUE = yes", True),
        ("no <> TRUE", True),
        ("city = TRUE", Unknown),
        ("(a = 5) = TRUE", True),
        ("a = 5 = TRUE", True),
        ("a = 5 <> FALSE", True),
        ("(a > 4) = (n < 0)", True),
        ("(missing > 4) = TRUE", Unknown),
    ]);
}

#[test]
fn what_binds_closer() {
    check(&[
        ("TRUE OR FALSE AND FALSE", True),
        ("(TRUE OR FALSE) AND FALSE", False),
        ("FALSE AND FALSE OR TRUE", True),
        ("NOT FALSE AND FALSE", False),
        ("NOT (FALSE AND FALSE)", True),
        ("NOT a = 6", True),
        ("NOT a BETWEEN 6 AND 7 AND yes", True),
        ("NOT a IS NULL", True),
        ("a > 4 = TRUE", True),
        ("a BETWEEN 1 AND 9 AND n BETWEEN -9 AND 0 OR FALSE", True),
        ("((((a)))) = (5)", True),
        ("(city) = ('Paris')", True),
        ("(a) > (4)", True),
        ("-(n) = 7", True),
    ]);
}

#[test]
fn blanks_comments_and_case() {
    check(&[
        ("  a\n=\t5 ", True),
        ("a = 5 -- and more", True),
        ("-- first\na = 5", True),
        ("-- first\ra = 5", True),
        ("a /* five */ = /**/ 5", True),
        ("a /* -- */ = 5", True),
        ("a = 5--", True),
        ("a=5 And n<0 oR FALSE", True),
        ("city Is Not Null", True),
        ("city = 'not -- a /* comment'", False),
    ]);
}

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

/// Filters, and what they are of `message()` by the rules of three-valued logic.
fn filters() -> impl Strategy<Value = (String, Truth)> {
    let leaf = prop_oneof![
        Just(("a = 5".to_owned(), True)),
        Just(("city IN ('Rome')".to_owned(), False)),
        Just(("missing > 5".to_owned(), Unknown)),
        Just(("TRUE".to_owned(), True)),
        Just(("n NOT BETWEEN -7 AND 0".to_owned(), False)),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        let texts = |parts: &[(String, Truth)], keyword: &str| {
            parts.iter().map(|(text, _)| format!("({text})")).collect::<Vec<_>>().join(keyword)
        };
        let rank = |truth: &Truth| match truth {
            False => 0,
            Unknown => 1,
            True => 2,
        };
        prop_oneof![
            several.clone().prop_map(move |parts| {
                let least = parts.iter().map(|(_, truth)| *truth).min_by_key(rank).unwrap();
                (texts(&parts, " and "), least)
            }),
            several.prop_map(move |parts| {
                let most = parts.iter().map(|(_, truth)| *truth).max_by_key(rank).unwrap();
                (texts(&parts, " OR "), most)
            }),
            inner.prop_map(|(text, truth)| {
                let negated = match truth {
                    True => False,
                    False => True,
                    Unknown => Unknown,
                };
                (format!("NOT ({text})"), negated)
            }),
        ]
    })
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

    #[test]
    fn logic_is_that_of_the_tables((text, expected) in filters()) {
        prop_assert_eq!(truth(&text), expected, "{}", text);
    }

    #[test]
    fn comparisons_are_those_of_the_numbers(left: i32, right: i32) {
        struct Two(i32, i32);
        impl Properties for Two {
            fn property(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
                Some((if name == "l" { self.0 } else { self.1 }).to_string().into())
            }
        }
        for (sign, expected) in [("<", left < right), (">=", left >= right), ("<>", left != right), ("=", left == right)] {
            let filters = [format!("l {sign} {right}"), format!("{left} {sign} r"), format!("l {sign} {right}.0")];
            for text in filters {
                prop_assert_eq!(SqlFilter::parse(&text).unwrap().matches(&Two(left, right)), expected, "{}", text);
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
