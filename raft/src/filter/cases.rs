//! What SQL filters say: tables of cases, and the laws of logic and numbers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::record::MessageRecord;

use super::tree::Truth::{self, False, True, Unknown};
use super::{Properties, SqlFilter};

/// Tag "paid", keys "k1" and "k2", and some properties.
pub(super) fn message() -> MessageRecord {
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

pub(super) fn truth(text: &str) -> Truth {
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
