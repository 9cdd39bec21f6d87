//! What of a configuration may be shown: what is known to be harmless. A key that nobody thought of is left out.

use toml::{Table, Value};

const REDACTED: &str = "(redacted)";
/// What is shorter is not looked for elsewhere: it would be found in every other word.
const LOOKED_FOR_CHARS_MIN: usize = 4;

/// Keys whose texts are shown: names, addresses of nodes, and what is one of a few words.
const HARMLESS: [&str; 14] = [
    "cluster.name",
    "cluster.members.name",
    "cluster.members.grpc",
    "cluster.members.http",
    "cluster.members.peer",
    "node.name",
    "grpc.bind",
    "grpc.advertise",
    "grpc.stand_in_for",
    "http.bind",
    "peer.bind",
    "messaging.default_start",
    "retention.clean_at",
    "tracing.service_name",
];

/// A configuration without its secrets, and what they were.
#[derive(Debug, Default)]
pub struct Redacted {
    config: String,
    /// The longest first: one can be a part of another.
    hidden: Vec<String>,
}

impl Redacted {
    /// Of a configuration as it takes effect.
    pub fn of(toml: &str) -> Redacted {
        let mut hidden = Vec::new();
        let config = match toml.parse::<Table>() {
            Ok(mut table) => {
                table.iter_mut().for_each(|(key, value)| hide(key, value, &mut hidden));
                toml::to_string(&table).unwrap_or_default()
            }
            // What the parser says can quote it.
            Err(_) => "# the configuration is not TOML\n".to_owned(),
        };
        hidden.retain(|text| text.chars().count() >= LOOKED_FOR_CHARS_MIN);
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        hidden.dedup();
        Redacted { config, hidden }
    }

    /// The configuration.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// A text without what the configuration hides.
    pub fn clean(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }
}

fn hide(key: &str, value: &mut Value, hidden: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() && !is_harmless(key, text) => {
            hidden.push(std::mem::replace(text, REDACTED.to_owned()));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide(key, value, hidden)),
        Value::Table(table) => {
            table.iter_mut().for_each(|(name, value)| hide(&format!("{key}.{name}"), value, hidden));
        }
        _ => {}
    }
}

/// Sizes and durations, `64MiB` and `10s`, are numbers.
fn is_harmless(key: &str, text: &str) -> bool {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit())
        && (crate::options::values::parse_bytes(text).is_ok()
            || crate::options::values::parse_duration(text).is_ok());
    HARMLESS.contains(&key) || numeric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn only_what_is_known_to_be_harmless_is_shown() {
        let mut text = Options::default().to_toml();
        text.push_str("\n[acl]\nroot_password = \"swordfish\"\nattempts = 3\nwindow = \"10s\"\n");
        let redacted = Redacted::of(&text);
        assert!(redacted.config().contains("root_password = \"(redacted)\""), "{}", redacted.config());
        assert!(redacted.config().contains("attempts = 3") && redacted.config().contains("window = \"10s\""));
        assert!(redacted.config().contains("bind = \"127.0.0.1:8081\""));
        assert!(redacted.config().contains("data = \"(redacted)\""), "a path says who somebody is");
        assert_eq!(redacted.clean("the word is swordfish"), "the word is (redacted)");
        let broken = Redacted::of("password = \"swordfish");
        assert!(!broken.config().contains("swordfish"));
    }
}
