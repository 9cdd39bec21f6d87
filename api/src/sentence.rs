//! Sentences for people that can be said in another language too: a code, a text with gaps, and what stands in the gaps.
//!
//! The console says them in the viewer's language, and with times in his zone; everybody else prints them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::cli::moment::print_unix_ms;

/// One or more sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// Stable. Empty: nobody has other words for it.
    code: &'static str,
    /// In English, `{name}` where a value stands.
    template: &'static str,
    values: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    UnixMs(i64),
}

/// What the name of a value ends with that is a time.
const TIME: &str = "_unix_ms";

impl Sentence {
    /// With gaps that are still to be filled.
    pub fn new(code: &'static str, template: &'static str) -> Sentence {
        Sentence { code, template, values: Vec::new() }
    }

    /// Fills a gap.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Sentence {
        debug_assert!(!name.ends_with(TIME), "{name} is no time");
        self.values.push((name, Value::Text(value.to_string())));
        self
    }

    /// Fills a gap with a time, in milliseconds since 1970. The name says so.
    #[must_use]
    pub fn at(mut self, name: &'static str, unix_ms: i64) -> Sentence {
        debug_assert!(name.ends_with(TIME), "{name} is a time");
        self.values.push((name, Value::UnixMs(unix_ms)));
        self
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.template.is_empty()
    }

    /// As it is sent.
    pub fn wire(&self) -> proto::admin::Sentence {
        let value = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            Value::UnixMs(unix_ms) => unix_ms.to_string(),
        };
        proto::admin::Sentence {
            code: self.code.to_owned(),
            template: self.template.to_owned(),
            values: self.values.iter().map(|(name, of)| ((*name).to_owned(), value(of))).collect(),
        }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.template;
        while let Some((before, after)) = rest.split_once('{') {
            out.write_str(before)?;
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            match self.values.iter().find(|(of, _)| *of == name) {
                Some((_, Value::Text(text))) => out.write_str(text)?,
                Some((_, Value::UnixMs(unix_ms))) => out.write_str(&print_unix_ms(*unix_ms))?,
                None => {
                    debug_assert!(false, "{}: nothing stands for {name}", self.code);
                    out.write_str("?")?;
                }
            }
            rest = after;
        }
        out.write_str(rest)
    }
}

impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One that is only said in English.
impl From<&'static str> for Sentence {
    fn from(template: &'static str) -> Sentence {
        match template.contains('{') {
            true => Sentence::from(template.to_owned()),
            false => Sentence::new("", template),
        }
    }
}

/// One that is only said in English.
impl From<String> for Sentence {
    fn from(text: String) -> Sentence {
        Sentence::new("", "{text}").with("text", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_values_are_not_looked_into() {
        let sentence = Sentence::new("due", "{name} comes at {due_unix_ms}, {name}.")
            .with("name", "{due_unix_ms}")
            .at("due_unix_ms", 0);
        assert_eq!(sentence.to_string(), "{due_unix_ms} comes at 1970-01-01T00:00:00.000Z, {due_unix_ms}.");
        let wire = sentence.wire();
        assert_eq!((wire.code.as_str(), wire.values["due_unix_ms"].as_str()), ("due", "0"));
        assert_eq!(Sentence::from("a {b} c".to_owned()).to_string(), "a {b} c");
        assert_eq!(Sentence::from("a {b} c").to_string(), "a {b} c");
        assert!(Sentence::default().is_empty() && !Sentence::from("x").is_empty());
    }
}
