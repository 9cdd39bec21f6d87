//! Which nodes a fault happens to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::seeded::Seeded;

/// Which nodes. Never part of a fault's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One, by chance.
    One,
    /// As many as may be lost, by chance: 1 of 3, 2 of 5.
    Minority,
    /// One more than may be lost, by chance: 2 of 3, 3 of 5.
    Majority,
    /// All of them.
    All,
    /// Those that have a role just now, by the caller's knowledge: "leader", "followers", "leader of g1".
    Role(String),
    /// Those with these indices, from 1.
    Nodes(Vec<usize>),
}

/// Why a target is nobody.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Nobody has the role now, or the caller knows no such role.
    #[error("no node is known to be {0:?} now")]
    NobodyIs(String),
    /// The cluster has no such node.
    #[error("there is no node {index}: the cluster has nodes 1 to {size}")]
    NoSuchNode {
        /// The one asked for.
        index: usize,
        /// How many there are.
        size: usize,
    },
}

impl Target {
    /// The indices of the nodes, ascending. Chance follows from the seed; `role` says who has a role now.
    pub fn resolve(
        &self,
        size: usize,
        seed: u64,
        role: &mut dyn FnMut(&str) -> Option<Vec<usize>>,
    ) -> Result<Vec<usize>, TargetError> {
        let all: Vec<usize> = (1..=size).collect();
        let by_chance = |count| Seeded::new(seed).some_of(&all, count);
        let mut nodes = match self {
            Target::One => by_chance(1),
            Target::Minority => by_chance((size - 1) / 2),
            Target::Majority => by_chance(size / 2 + 1),
            Target::All => all.clone(),
            Target::Role(name) => role(name)
                .filter(|nodes| !nodes.is_empty())
                .ok_or_else(|| TargetError::NobodyIs(name.clone()))?,
            Target::Nodes(nodes) => nodes.clone(),
        };
        nodes.sort_unstable();
        nodes.dedup();
        match nodes.iter().find(|index| !(1..=size).contains(*index)) {
            Some(&index) => Err(TargetError::NoSuchNode { index, size }),
            None => Ok(nodes),
        }
    }
}

/// A text that is no target.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no target: one, minority, majority, all, nodes such as 1 or 1,3, or role:NAME")]
pub struct TargetParseError(String);

impl FromStr for Target {
    type Err = TargetParseError;

    fn from_str(text: &str) -> Result<Target, TargetParseError> {
        let wrong = || TargetParseError(text.to_owned());
        match text {
            "one" => Ok(Target::One),
            "minority" => Ok(Target::Minority),
            "majority" => Ok(Target::Majority),
            "all" => Ok(Target::All),
            _ => match text.strip_prefix("role:") {
                Some("") => Err(wrong()),
                Some(name) => Ok(Target::Role(name.to_owned())),
                None => {
                    let nodes: Result<Vec<usize>, _> =
                        text.split(',').map(|part| part.trim().parse()).collect();
                    nodes.ok().filter(|nodes| !nodes.contains(&0)).map(Target::Nodes).ok_or_else(wrong)
                }
            },
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::One => formatter.write_str("one"),
            Target::Minority => formatter.write_str("minority"),
            Target::Majority => formatter.write_str("majority"),
            Target::All => formatter.write_str("all"),
            Target::Role(name) => write!(formatter, "role:{name}"),
            Target::Nodes(nodes) => {
                let nodes: Vec<String> = nodes.iter().map(usize::to_string).collect();
                formatter.write_str(&nodes.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(_: &str) -> Option<Vec<usize>> {
        None
    }

    #[test]
    fn counts_follow_from_the_size() {
        for (target, of_three, of_five) in
            [(Target::One, 1, 1), (Target::Minority, 1, 2), (Target::Majority, 2, 3), (Target::All, 3, 5)]
        {
            assert_eq!(target.resolve(3, 1, &mut nobody).unwrap().len(), of_three, "{target}");
            assert_eq!(target.resolve(5, 1, &mut nobody).unwrap().len(), of_five, "{target}");
        }
    }

    #[test]
    fn chance_reaches_every_node_and_follows_from_the_seed() {
        let one = |seed| Target::One.resolve(5, seed, &mut nobody).unwrap();
        assert_eq!(one(9), one(9));
        let mut met: Vec<usize> = (0..100).flat_map(one).collect();
        met.sort_unstable();
        met.dedup();
        assert_eq!(met, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn roles_are_the_callers() {
        let mut leader = |name: &str| (name == "leader").then(|| vec![2]);
        assert_eq!(Target::Role("leader".into()).resolve(3, 0, &mut leader), Ok(vec![2]));
        assert_eq!(
            Target::Role("king".into()).resolve(3, 0, &mut leader),
            Err(TargetError::NobodyIs("king".into()))
        );
        assert_eq!(
            Target::Nodes(vec![4]).resolve(3, 0, &mut leader),
            Err(TargetError::NoSuchNode { index: 4, size: 3 })
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["one", "minority", "majority", "all", "role:leader of g1", "1,3"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "0", "none", "role:", "1,x"] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
