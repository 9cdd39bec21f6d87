//! What must hold after every tick. One invariant a file; each says what it saw when it does not hold.

mod digests;
mod leaders;
mod marks;
mod prefix;
mod votes;

use raft::node::Node;
use raft::simulation::view::{self, ReplicaView};

/// What one of them says that does not hold.
pub type Held = Result<(), String>;

/// What was seen so far of a run.
#[derive(Default)]
pub struct Invariants {
    prefix: prefix::CommittedPrefix,
    votes: votes::VotesStay,
    digests: digests::EqualDigests,
}

impl Invariants {
    /// After every tick.
    pub fn look(&mut self, nodes: &[Node]) -> Held {
        self.votes.look(raft::simulation::votes_granted())?;
        for node in nodes {
            for replica in view::replicas(node) {
                self.look_at(node, &replica)?;
            }
        }
        Ok(())
    }

    fn look_at(&mut self, node: &Node, replica: &ReplicaView) -> Held {
        marks::look(replica)?;
        self.prefix.look(node, replica)
    }

    /// Reads every row: less often.
    pub fn compare_digests(&mut self, nodes: &[Node]) -> Held {
        nodes.iter().try_for_each(|node| self.digests.look(node))
    }

    /// Entries that were committed, and digests that were compared with others: a run without is no run.
    pub fn seen(&self) -> (usize, usize) {
        (self.prefix.entries(), self.digests.compared())
    }
}
