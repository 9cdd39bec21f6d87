//! What a rule is about: `topic:orders`, `topic:orders*`, `group:*`, `namespace:shop`, `cluster:*`, or `*` for everything.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::catalog::DEAD_LETTERS_PREFIX;

/// Begins the name of a retry topic of the older protocol; what follows is a consumer group.
const RETRIES_PREFIX: &str = "%RETRY%";
/// Between a namespace and the name of a topic or a consumer group: the separator of the protocol.
const NAMESPACE_SEPARATOR: char = '%';

/// Kinds of what there is to protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nodes, broker groups, and what concerns all of it.
    Cluster,
    /// All topics and consumer groups of a namespace.
    Namespace,
    /// Topics.
    Topic,
    /// Consumer groups.
    Group,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Cluster, Kind::Namespace, Kind::Topic, Kind::Group];

    fn name(self) -> &'static str {
        match self {
            Kind::Cluster => "cluster",
            Kind::Namespace => "namespace",
            Kind::Topic => "topic",
            Kind::Group => "group",
        }
    }
}

/// Which names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Every one.
    Any,
    /// Those that begin so.
    Prefixed(String),
    /// This one.
    Literal(String),
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Prefixed(prefix) => name.starts_with(prefix.as_str()),
            Pattern::Literal(literal) => name == literal,
        }
    }

    /// The more, the more particular it is.
    fn rank(&self) -> (u8, usize) {
        match self {
            Pattern::Any => (0, 0),
            Pattern::Prefixed(prefix) => (1, prefix.len()),
            Pattern::Literal(_) => (2, 0),
        }
    }
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Everything there is.
    Everything,
    /// Those of a kind whose name fits.
    Named(Kind, Pattern),
}

/// What is no resource.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is no resource: write topic:NAME, group:NAME, namespace:NAME or cluster:NAME, where NAME may end in * for all \
     that begin so, or * for everything"
)]
pub struct ResourceError(String);

/// What a request is about: one of these, by its full name (with the namespace, if it has one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target<'a> {
    /// Its kind; never a namespace.
    pub kind: Kind,
    /// Its full name.
    pub name: &'a str,
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.kind.name(), self.name)
    }
}

impl<'a> Target<'a> {
    /// A topic. That of a consumer group's dead letters, or of its retries, belongs to the group.
    pub fn topic(name: &'a str) -> Target<'a> {
        let of_group =
            [DEAD_LETTERS_PREFIX, RETRIES_PREFIX].iter().find_map(|prefix| name.strip_prefix(prefix));
        match of_group {
            Some(group) => Target::group(group),
            None => Target { kind: Kind::Topic, name },
        }
    }

    /// A consumer group.
    pub fn group(name: &'a str) -> Target<'a> {
        Target { kind: Kind::Group, name }
    }

    /// The cluster, by its name.
    pub fn cluster(name: &'a str) -> Target<'a> {
        Target { kind: Kind::Cluster, name }
    }

    /// The namespace that it lies in.
    fn namespace(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Topic | Kind::Group => self.name.split_once(NAMESPACE_SEPARATOR).map(|(space, _)| space),
            Kind::Cluster | Kind::Namespace => None,
        }
    }
}

impl Resource {
    /// Whether it covers a target, and how particularly: a rule about the thing itself is more particular than one about
    /// its namespace, and that more than one about everything.
    pub(super) fn covers(&self, target: Target<'_>) -> Option<Rank> {
        match self {
            Resource::Everything => Some(Rank(0, (0, 0))),
            Resource::Named(Kind::Namespace, pattern) => {
                target.namespace().filter(|space| pattern.matches(space)).map(|_| Rank(1, pattern.rank()))
            }
            Resource::Named(kind, pattern) => {
                (*kind == target.kind && pattern.matches(target.name)).then(|| Rank(2, pattern.rank()))
            }
        }
    }
}

/// How particular a rule is: the more, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank(u8, (u8, usize));

impl Ord for Rank {
    fn cmp(&self, other: &Rank) -> Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Rank) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Resource, ResourceError> {
        if text == "*" {
            return Ok(Resource::Everything);
        }
        let wrong = || ResourceError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let kind = Kind::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(kind)).ok_or_else(wrong)?;
        let pattern = match name.strip_suffix('*') {
            Some("") => Pattern::Any,
            Some(prefix) => Pattern::Prefixed(prefix.to_owned()),
            None => Pattern::Literal(name.to_owned()),
        };
        let is_odd = |name: &str| {
            name.is_empty() || name.chars().any(|it| it == '*' || it.is_whitespace() || it.is_control())
        };
        match &pattern {
            Pattern::Prefixed(name) | Pattern::Literal(name) if is_odd(name) => Err(wrong()),
            _ => Ok(Resource::Named(kind, pattern)),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Everything => out.write_str("*"),
            Resource::Named(kind, Pattern::Any) => write!(out, "{}:*", kind.name()),
            Resource::Named(kind, Pattern::Prefixed(prefix)) => write!(out, "{}:{prefix}*", kind.name()),
            Resource::Named(kind, Pattern::Literal(name)) => write!(out, "{}:{name}", kind.name()),
        }
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Resource, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_written_as_they_are_read() {
        for text in
            ["*", "topic:orders", "topic:orders*", "group:*", "namespace:shop", "cluster:*", "topic:shop%a"]
        {
            assert_eq!(text.parse::<Resource>().unwrap().to_string(), text);
        }
        assert_eq!("Topic:a".parse::<Resource>().unwrap().to_string(), "topic:a");
        for wrong in
            ["", "topic", "topic:", "queue:a", "topic:a*b", "topic:**", "topic:a b", "**", ":a", "topic:a\n"]
        {
            assert!(wrong.parse::<Resource>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn what_is_nearer_to_the_thing_is_more_particular() {
        let order = [
            "*",
            "namespace:*",
            "namespace:s*",
            "namespace:shop",
            "topic:*",
            "topic:shop%*",
            "topic:shop%or*",
            "topic:shop%orders",
        ];
        let target = Target::topic("shop%orders");
        let ranks: Vec<Rank> =
            order.map(|text| text.parse::<Resource>().unwrap().covers(target).expect(text)).into();
        assert!(ranks.is_sorted_by(|one, next| one < next), "{ranks:?}");
    }

    #[test]
    fn what_does_not_fit_is_not_covered() {
        let covers = |resource: &str, target| resource.parse::<Resource>().unwrap().covers(target).is_some();
        assert!(!covers("group:*", Target::topic("a")));
        assert!(!covers("topic:a", Target::topic("ab")));
        assert!(!covers("namespace:*", Target::topic("a")), "it is in no namespace");
        assert!(!covers("namespace:*", Target::cluster("a%b")));
        assert!(covers("cluster:*", Target::cluster("prod")) && covers("*", Target::cluster("prod")));
    }

    #[test]
    fn dead_letters_belong_to_their_consumer_group() {
        for name in ["%DLQ%shop%workers", "%RETRY%shop%workers"] {
            assert_eq!(Target::topic(name), Target::group("shop%workers"));
            assert_eq!(Target::topic(name).namespace(), Some("shop"));
        }
    }
}
