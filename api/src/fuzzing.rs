//! The way to what nothing outside this crate calls, for fuzzing only (`cargo fuzz` sets the flag).

use crate::options::Options;

/// Reads a configuration; one that is taken says the same when it is written and read again.
pub fn configuration(text: &str, environment: Vec<(String, String)>) {
    if let Ok(options) = Options::parse(text, "fuzz.toml", environment) {
        let written = options.to_toml();
        let again = Options::parse(&written, "again.toml", []).expect("what is written is taken");
        assert_eq!(again.to_toml(), written, "a configuration says what it said");
    }
}
