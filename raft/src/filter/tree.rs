//! A filter as it is evaluated.

use super::number::Number;

/// The three values of logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

/// What is true, false or unknown of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// Whatever the message.
    Constant(Truth),
    /// The property is the word "true", or "false".
    Holds(Box<str>),
    /// The opposite.
    Not(Box<Condition>),
    /// AND, two or more.
    All(Vec<Condition>),
    /// OR, two or more.
    Any(Vec<Condition>),
    /// Both are true, or both are false.
    Same(Box<Condition>, Box<Condition>),
    /// Two values, compared.
    Compare { relation: Relation, left: Term, right: Term },
    /// Not below `low` and not above `high`.
    Between { value: Term, low: Term, high: Term },
    /// The property is one of these. Ascending, each once.
    OneOf { property: Box<str>, texts: Vec<Box<str>> },
    /// The property has `text` somewhere, or at an end.
    Has { property: Box<str>, place: Place, text: Box<str> },
    /// The message does not have the property.
    Missing(Box<str>),
    /// The condition is unknown.
    IsUnknown(Box<Condition>),
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Property(Box<str>),
    /// The number that the property spells, with the other sign.
    Negated(Box<str>),
    Number(Number),
    Text(Box<str>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Where in a property a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Start,
    End,
}

impl Place {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Place::Anywhere => "CONTAINS",
            Place::Start => "STARTSWITH",
            Place::End => "ENDSWITH",
        }
    }
}
