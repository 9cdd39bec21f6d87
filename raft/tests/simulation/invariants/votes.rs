//! A vote never goes back, however often its node crashes.
//!
//! openraft's leader ids are pairs of term and node, in this order: a node may follow its vote for node 2 in a term by one
//! for node 3 in the same term, but never the other way around.

use std::collections::BTreeMap;

use raft::names::{GroupId, NodeId};
use raft::simulation::Vote;

use super::Held;

#[derive(Default)]
pub struct VotesStay {
    given: BTreeMap<(GroupId, NodeId), (u64, u64)>,
}

impl VotesStay {
    pub fn look(&mut self, granted: Vec<Vote>) -> Held {
        for vote in granted {
            let before = self.given.insert((vote.group, vote.voter), (vote.term, vote.candidate));
            let Some((term, candidate)) = before else { continue };
            if (term, candidate) > (vote.term, vote.candidate) {
                return Err(format!("{vote:?}, who had voted for {candidate} in term {term}"));
            }
        }
        Ok(())
    }
}
