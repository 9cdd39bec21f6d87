//! Replicas that have applied the same entries have the same rows (property 7, rule R4).

use std::collections::BTreeMap;

use raft::names::{GroupId, NodeId};
use raft::node::Node;
use raft::simulation::view;

use super::Held;

#[derive(Default)]
pub struct EqualDigests {
    digests: BTreeMap<(GroupId, u64), (NodeId, u64)>,
    compared: usize,
}

impl EqualDigests {
    pub fn look(&mut self, node: &Node) -> Held {
        for replica in view::replicas(node) {
            let digest = view::digest(node, replica.group).expect("a replica that it has");
            let (applied, digest) = digest.map_err(|error| error.to_string())?;
            let known = self.digests.entry((replica.group, applied)).or_insert((node.id(), digest));
            if known.1 != digest {
                return Err(format!(
                    "{} at {applied}: {} and {} have other rows",
                    replica.group,
                    known.0,
                    node.id()
                ));
            }
            self.compared += usize::from(known.0 != node.id());
        }
        Ok(())
    }

    pub fn compared(&self) -> usize {
        self.compared
    }
}
