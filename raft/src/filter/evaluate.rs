//! Whether a message is wanted. Every part of the tree is looked at once at most, so a message takes
//! no more steps than the filter has parts; no step is longer than a property and a text of the filter.

use std::borrow::Cow;
use std::cmp::Ordering;

use store::record::MessageRecord;

use super::number::Number;
use super::tree::{Condition, Place, Relation, Term, Truth};

/// The tag, as a property.
const TAG_PROPERTY: &str = "TAGS";
/// The keys, as a property.
const KEYS_PROPERTY: &str = "KEYS";

/// What a filter may ask of a message.
pub trait Properties {
    /// The property of this name, if the message has it.
    fn property(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl Properties for MessageRecord {
    fn property(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            TAG_PROPERTY => self.tag.as_deref().map(Cow::Borrowed),
            KEYS_PROPERTY => (!self.keys.is_empty()).then(|| Cow::Owned(self.keys.join(" "))),
            name => {
                let at = self.properties.binary_search_by(|(held, _)| held.as_str().cmp(name));
                at.ok().map(|at| Cow::Borrowed(self.properties[at].1.as_str()))
            }
        }
    }
}

impl Truth {
    fn of(yes: bool) -> Truth {
        if yes { Truth::True } else { Truth::False }
    }

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }

    fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            _ => Truth::Unknown,
        }
    }
}

impl Condition {
    /// What the condition is of a message.
    pub(super) fn evaluate(&self, message: &impl Properties) -> Truth {
        match self {
            Condition::Constant(truth) => *truth,
            Condition::Holds(name) => message.property(name).map_or(Truth::Unknown, |text| word(&text)),
            Condition::Not(condition) => condition.evaluate(message).not(),
            Condition::All(conditions) => all(conditions, message),
            // Either of them, unless none of them is: the same table read in the negative.
            Condition::Any(conditions) => any(conditions, message),
            Condition::Same(left, right) => match (left.evaluate(message), right.evaluate(message)) {
                (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
                (left, right) => Truth::of(left == right),
            },
            Condition::Compare { relation, left, right } => compare(*relation, left, right, message),
            Condition::Between { value, low, high } => {
                let above = compare(Relation::GreaterOrEqual, value, low, message);
                above.and(compare(Relation::LessOrEqual, value, high, message))
            }
            Condition::OneOf { property, texts } => message.property(property).map_or(Truth::Unknown, |is| {
                Truth::of(texts.binary_search_by(|text| (**text).cmp(&*is)).is_ok())
            }),
            Condition::Has { property, place, text } => {
                message.property(property).map_or(Truth::Unknown, |is| {
                    Truth::of(match place {
                        Place::Anywhere => is.contains(&**text),
                        Place::Start => is.starts_with(&**text),
                        Place::End => is.ends_with(&**text),
                    })
                })
            }
            Condition::Missing(name) => Truth::of(message.property(name).is_none()),
            Condition::IsUnknown(condition) => Truth::of(condition.evaluate(message) == Truth::Unknown),
        }
    }
}

fn all(conditions: &[Condition], message: &impl Properties) -> Truth {
    let mut result = Truth::True;
    for condition in conditions {
        result = result.and(condition.evaluate(message));
        if result == Truth::False {
            break;
        }
    }
    result
}

fn any(conditions: &[Condition], message: &impl Properties) -> Truth {
    let mut none = Truth::True;
    for condition in conditions {
        none = none.and(condition.evaluate(message).not());
        if none == Truth::False {
            break;
        }
    }
    none.not()
}

/// "true" and "false" in any case are words for what they say.
fn word(text: &str) -> Truth {
    if text.eq_ignore_ascii_case("true") {
        Truth::True
    } else if text.eq_ignore_ascii_case("false") {
        Truth::False
    } else {
        Truth::Unknown
    }
}

fn compare(relation: Relation, left: &Term, right: &Term, message: &impl Properties) -> Truth {
    let as_texts = matches!(relation, Relation::Equal | Relation::NotEqual)
        && matches!((left, right), (Term::Property(_) | Term::Text(_), Term::Property(_) | Term::Text(_)));
    let ordering = match as_texts {
        true => left.text(message).zip(right.text(message)).map(|(left, right)| left.cmp(&right)),
        false => left.number(message).zip(right.number(message)).map(|(left, right)| left.compare(right)),
    };
    ordering.map_or(Truth::Unknown, |ordering| Truth::of(relation.holds(ordering)))
}

impl Relation {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Relation::Equal => ordering.is_eq(),
            Relation::NotEqual => ordering.is_ne(),
            Relation::Less => ordering.is_lt(),
            Relation::LessOrEqual => ordering.is_le(),
            Relation::Greater => ordering.is_gt(),
            Relation::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Term {
    fn number(&self, message: &impl Properties) -> Option<Number> {
        match self {
            Term::Property(name) => Number::spelled(&message.property(name)?),
            Term::Negated(name) => Number::spelled(&message.property(name)?).map(Number::negated),
            Term::Number(number) => Some(*number),
            Term::Text(_) => None,
        }
    }

    fn text<'a>(&'a self, message: &'a impl Properties) -> Option<Cow<'a, str>> {
        match self {
            Term::Property(name) => message.property(name),
            Term::Text(text) => Some(Cow::Borrowed(text)),
            Term::Negated(_) | Term::Number(_) => None,
        }
    }
}
