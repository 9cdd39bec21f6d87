//! SQL92 filters: which messages a consumer wants, by their properties.
//!
//! ```text
//! condition   = conjunction { OR conjunction }
//! conjunction = negation { AND negation }
//! negation    = { NOT } equality
//! equality    = comparison { ( "=" | "<>" ) comparison | IS [ NOT ] NULL }
//! comparison  = operand [ ( "<" | "<=" | ">" | ">=" ) operand
//!                       | [ NOT ] BETWEEN operand AND operand
//!                       | [ NOT ] IN "(" text { "," text } ")"
//!                       | [ NOT ] ( CONTAINS | STARTSWITH | ENDSWITH ) text ]
//! operand     = { "+" | "-" } ( number | property ) | text | TRUE | FALSE | NULL | "(" condition ")"
//! property    = letter { letter | digit }     a letter is one of a-z, A-Z, "_" and "$"
//! number      = integer [ "L" ] | a decimal number with a point or an exponent
//! text        = "'" { any character but "'", or "''" for one } "'"
//! ```
//! Keywords are the same in any case, properties are not. `--` begins a comment up to the end of the
//! line, `/* */` encloses one.
//!
//! Properties are texts. Compared with a number they count as the number that they spell; what is
//! missing, or does not spell one, is *unknown*, and so is every comparison with it. Logic has three
//! values: what is not certainly true is not delivered. `TAGS` is the message's tag, `KEYS` are its
//! keys with a space between them.
//!
//! Text from a client comes in here, so everything is bounded (see [`crate::limits`]): its length,
//! its depth, and how many steps one message takes.

#[cfg(test)]
mod cases;
mod evaluate;
mod lexer;
mod number;
mod parser;
#[cfg(test)]
mod refusals;
mod tree;

use bytes::Bytes;
use store::record::MessageRecord;
use thiserror::Error;

pub use evaluate::Properties;

use tree::{Condition, Truth};

/// A filter, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlFilter {
    condition: Condition,
}

impl SqlFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub fn parse(text: &str) -> Result<SqlFilter, SqlError> {
        parser::parse(text).map(|condition| SqlFilter { condition })
    }

    /// Whether the message of an encoded record is wanted. One that cannot be read is: it takes the
    /// way of every damaged message, and is not lost by its filter.
    pub fn wants(&self, record: &Bytes) -> bool {
        MessageRecord::decode(record).map_or(true, |message| self.matches(&message))
    }

    /// Whether a message with these properties is wanted: not if that is false, nor if it is unknown.
    pub fn matches(&self, properties: &impl Properties) -> bool {
        self.condition.evaluate(properties) == Truth::True
    }
}

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at character {character}: {fault}")]
pub struct SqlError {
    /// Where, counted in characters from 1.
    pub character: usize,
    /// What is wrong there.
    pub fault: SqlFault,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SqlFault {
    /// Too many bytes.
    #[error("the filter has {bytes} bytes; at most {max} are allowed")]
    TooLong {
        /// So many.
        bytes: usize,
        /// So many are allowed.
        max: usize,
    },
    /// Too many conditions inside each other.
    #[error("conditions stand in each other more than {max} deep")]
    TooDeep {
        /// So deep is allowed.
        max: usize,
    },
    /// Too many parts.
    #[error("the filter has more than {max} parts")]
    TooManyParts {
        /// So many are allowed.
        max: usize,
    },
    /// A character that begins nothing.
    #[error("{0:?} has no meaning here")]
    Character(char),
    /// A text without its end.
    #[error("the text that begins here has no closing '")]
    OpenText,
    /// A comment without its end.
    #[error("the comment that begins here has no closing */")]
    OpenComment,
    /// A number that is none.
    #[error("{0} is not a number")]
    BadNumber(String),
    /// A number beyond 64 bits.
    #[error("{0} is out of range")]
    NumberRange(String),
    /// Something else should stand here.
    #[error("{expected} must stand here, not {found}")]
    Expected {
        /// What should.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A number or text where something true or false must stand.
    #[error("this is a {0}, which is neither true nor false")]
    NotACondition(&'static str),
    /// Texts and truths have no order.
    #[error("a {0} cannot be compared with <, <=, >, >= or BETWEEN: only numbers and properties can")]
    NotOrdered(&'static str),
    /// These two are never equal.
    #[error("a {0} cannot be compared with a {1}")]
    Incomparable(&'static str, &'static str),
    /// `= NULL`.
    #[error("nothing equals NULL: write IS NULL or IS NOT NULL")]
    ComparedWithNull,
    /// BETWEEN 2 AND 1.
    #[error("nothing is BETWEEN {0} AND {1}: the first must not be the larger")]
    EmptyRange(String, String),
    /// Only a property has parts and can be one of a list.
    #[error("a property must stand before {0}, not a {1}")]
    NotAProperty(&'static str, &'static str),
    /// Every text contains the empty one.
    #[error("the text after {0} is empty")]
    EmptyPart(&'static str),
    /// `-'x'`.
    #[error("a {0} has no sign")]
    NoSign(&'static str),
}
