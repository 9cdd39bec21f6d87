//! Whoever has applied an entry has the same one, at the same place (property 6).

use std::collections::BTreeMap;

use raft::names::{GroupId, NodeId};
use raft::node::Node;
use raft::simulation::view::{self, EntryView, ReplicaView};

use super::{Held, leaders};

#[derive(Default)]
pub struct CommittedPrefix {
    entries: BTreeMap<(GroupId, u64), (NodeId, EntryView)>,
    /// Up to where a replica was looked at.
    looked: BTreeMap<(GroupId, NodeId), u64>,
}

impl CommittedPrefix {
    pub fn look(&mut self, node: &Node, replica: &ReplicaView) -> Held {
        let Some(applied) = replica.applied else { return Ok(()) };
        let looked = self.looked.entry((replica.group, replica.node)).or_insert(0);
        // It may have been set back by a crash: what it applies again must be the same.
        let from = (*looked).min(applied).max(replica.log.first_index);
        *looked = applied + 1;
        for index in from..=applied {
            let Some(entry) = view::entry(node, replica.group, index) else { continue };
            let known = self.entries.entry((replica.group, index)).or_insert((replica.node, entry));
            if known.1 != entry {
                return Err(format!(
                    "{} {index}: {} has applied {:?}, {} has {entry:?}",
                    replica.group, known.0, known.1, replica.node
                ));
            }
            let before = index.checked_sub(1).and_then(|before| self.entries.get(&(replica.group, before)));
            if let Some((_, before)) = before {
                leaders::look(replica.group, index, before, &entry)?;
            }
        }
        Ok(())
    }

    pub fn entries(&self) -> usize {
        self.entries.len()
    }
}
