//! Who has a vote in a group of replicas: changes of it, and what the cluster said about it.

use serde::{Deserialize, Serialize};

/// A node is given a vote in a group of replicas, or loses it. The caller repeats the call until it is done. A try of
/// which nobody knows what became of it is an operation of its own, with [`super::Outcome::Info`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeVotes<S = String> {
    /// The group of replicas (`g1`).
    pub group: S,
    /// The node.
    pub node: u32,
    /// Whether it is to have a vote.
    pub votes: bool,
    /// The nodes with a vote, as was answered when it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<Vec<u32>>,
}

/// The cluster is asked who has a vote in each group of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadVoters<S = String> {
    /// The node that was asked, and asked all others.
    pub through: u32,
    /// What was answered, group by group.
    pub groups: Vec<GroupVoters<S>>,
}

/// Who has a vote in a group of replicas, as an answer has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupVoters<S = String> {
    /// The group of replicas (`g1`).
    pub group: S,
    /// The node that leads it, and says so itself, as no other one does; 0: there is none like that.
    pub leader: u32,
    /// The newest term that any node said.
    pub term: u64,
    /// How many nodes said where their replica stands.
    pub replicas: u32,
    /// The nodes with a vote, as the leader knows them.
    pub voters: Vec<u32>,
}

/// Who has a vote in a group of replicas at the end, after every node was given its vote back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voters<S = String> {
    /// The node that was asked.
    pub through: u32,
    /// The group of replicas.
    pub group: S,
    /// The nodes with a vote.
    pub voters: Vec<u32>,
    /// When it answered.
    pub at_ns: u64,
}

impl<S> ChangeVotes<S> {
    /// The same with other texts.
    pub(super) fn map<T>(self, f: &mut impl FnMut(S) -> T) -> ChangeVotes<T> {
        ChangeVotes { group: f(self.group), node: self.node, votes: self.votes, voters: self.voters }
    }
}

impl<S> ReadVoters<S> {
    /// The same with other texts.
    pub(super) fn map<T>(self, f: &mut impl FnMut(S) -> T) -> ReadVoters<T> {
        let groups = self.groups.into_iter();
        let groups = groups.map(|of| GroupVoters {
            group: f(of.group),
            leader: of.leader,
            term: of.term,
            replicas: of.replicas,
            voters: of.voters,
        });
        ReadVoters { through: self.through, groups: groups.collect() }
    }
}

impl<S> Voters<S> {
    /// The same with other texts.
    pub(super) fn map<T>(self, f: &mut impl FnMut(S) -> T) -> Voters<T> {
        Voters { through: self.through, group: f(self.group), voters: self.voters, at_ns: self.at_ns }
    }
}
