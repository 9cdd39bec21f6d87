//! Which keys there are, and which of them someone meant.

use toml::{Table, Value};

use super::{ENV_PREFIX, Options};

/// The keys of an entry of `[[cluster.members]]`.
const MEMBER_KEYS: [&str; 5] = ["id", "name", "grpc", "http", "peer"];
/// A name farther away than this is no misspelling of another.
const DISTANCE_MAX: usize = 3;

/// The sections and their keys, taken from what the defaults print.
fn known() -> Vec<(String, Vec<String>)> {
    let table = Table::try_from(Options::default()).expect("options are plain tables");
    let keys = |value: Value| match value {
        Value::Table(section) => section.keys().cloned().collect(),
        _ => Vec::new(),
    };
    table.into_iter().map(|(section, value)| (section, keys(value))).collect()
}

/// A sentence for every key of a file that does not exist.
pub fn unknown_in(table: &Table) -> Vec<String> {
    let known = known();
    let sections: Vec<&str> = known.iter().map(|(section, _)| section.as_str()).collect();
    let mut sentences = Vec::new();
    for (section, value) in table {
        let Some((_, keys)) = known.iter().find(|(name, _)| name == section) else {
            sentences.push(sentence("section", section, &sections, |name| format!("[{name}]")));
            continue;
        };
        // A section of a wrong type is for the parser to refuse.
        let Value::Table(entries) = value else { continue };
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for key in entries.keys().filter(|key| !keys.contains(&key.as_str())) {
            sentences.push(sentence("key", key, &keys, |name| format!("{section}.{name}")));
        }
        if let Some(Value::Array(members)) = entries.get("members") {
            sentences.extend(unknown_in_members(members));
        }
    }
    sentences
}

fn unknown_in_members(members: &[Value]) -> Vec<String> {
    let keys = members.iter().filter_map(Value::as_table).flat_map(Table::keys);
    keys.filter(|key| !MEMBER_KEYS.contains(&key.as_str()))
        .map(|key| sentence("key", key, &MEMBER_KEYS, |name| format!("cluster.members.{name}")))
        .collect()
}

/// Lays `LEDGERMQ_SECTION__KEY=value` over a table; a sentence for every variable that fits no key.
pub fn overlay(table: &mut Table, environment: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let known = known();
    let variable = |section: &str, key: &str| {
        format!("{ENV_PREFIX}{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase())
    };
    let variables: Vec<(String, &str, &str)> = known
        .iter()
        .flat_map(|(section, keys)| keys.iter().map(move |key| (section.as_str(), key.as_str())))
        .map(|(section, key)| (variable(section, key), section, key))
        .collect();
    let names: Vec<&str> = variables.iter().map(|(name, ..)| name.as_str()).collect();
    let mut sentences = Vec::new();
    for (name, text) in environment {
        if !name.starts_with(ENV_PREFIX) || !name.contains("__") {
            continue;
        }
        match variables.iter().find(|(known, ..)| *known == name) {
            Some((_, section, key)) => {
                let entry = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(entries) = entry {
                    entries.insert((*key).to_owned(), value_of(&text));
                }
            }
            None => sentences.push(sentence("variable", &name, &names, str::to_owned)),
        }
    }
    sentences
}

/// `true`, `7`, `["a"]` as TOML; everything else is a string.
fn value_of(text: &str) -> Value {
    let parsed: Result<Table, _> = format!("value = {text}").parse();
    match parsed.ok().and_then(|mut table| table.remove("value")) {
        Some(value @ (Value::Boolean(_) | Value::Integer(_) | Value::Array(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

fn sentence(what: &str, wrong: &str, known: &[&str], print: impl Fn(&str) -> String) -> String {
    let wrong_printed = print(wrong);
    match nearest(wrong, known) {
        Some(name) => format!("unknown {what} `{wrong_printed}`: did you mean `{}`?", print(name)),
        None if what == "variable" => {
            format!("unknown variable `{wrong_printed}`: `ledgermq serve --print-config` lists every key")
        }
        None => format!("unknown {what} `{wrong_printed}`: the {what}s are {}", known.join(", ")),
    }
}

/// The known name nearest to a misspelled one, if one is near enough.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, name) = known.iter().map(|name| (distance(wrong, name), *name)).min()?;
    (distance <= DISTANCE_MAX && distance < name.chars().count().max(2)).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other
/// (the "optimal string alignment" distance).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("name", "name"), 0);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("nam", "name"), 1);
        assert_eq!(distance("", "name"), 4);
    }

    #[test]
    fn a_text_that_looks_like_nothing_stays_a_string() {
        assert_eq!(value_of("blue"), Value::String("blue".into()));
        assert_eq!(value_of("127.0.0.1:1"), Value::String("127.0.0.1:1".into()));
        assert_eq!(value_of("7"), Value::Integer(7));
        assert_eq!(value_of("true"), Value::Boolean(true));
    }
}
