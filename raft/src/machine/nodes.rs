//! Nodes come, move, and go; broker groups come.

use std::collections::{BTreeMap, BTreeSet};

use store::tables::TableStore;
use store::tables::catalog::CatalogKey;

use super::metadata::MetaMachine;
use crate::catalog::NodeInfo;
use crate::features::FeatureLevel;
use crate::limits::{BROKER_GROUPS_MAX, NODES_MAX};
use crate::names::{GroupId, NodeId};
use crate::outcome::Outcome;
use crate::request::Rejection;

impl<T: TableStore> MetaMachine<T> {
    /// A node says who and where it is.
    pub(super) fn register_node(&mut self, node: NodeInfo) -> Result<Outcome, Rejection> {
        if self.catalog.removed_nodes.contains(&node.id) {
            return Err(Rejection::Invalid(format!("node {} was removed from the cluster", node.id)));
        }
        self.counters.last_node = self.counters.last_node.max(node.id.0);
        if self.catalog.nodes.get(&node.id) != Some(&node) {
            self.put(CatalogKey::Node(node.id.0), &node);
            self.change().nodes.insert(node.id, node);
        }
        Ok(Outcome::Done)
    }

    /// A process that has no id gets the next one (rule R10). One that asked before has it already.
    pub(super) fn admit_node(&mut self, node: NodeInfo, above: NodeId) -> Result<Outcome, Rejection> {
        let is_it = |known: &NodeInfo| known.incarnation == node.incarnation;
        if self.catalog.nodes.values().any(is_it) {
            return Ok(Outcome::Done);
        }
        if self.catalog.nodes.len() >= NODES_MAX {
            return Err(Rejection::Invalid(format!("a cluster has at most {NODES_MAX} nodes")));
        }
        let highest = self.catalog.nodes.keys().chain(&self.catalog.removed_nodes).map(|id| id.0).max();
        let last = self.counters.last_node.max(above.0).max(highest.unwrap_or(0));
        self.register_node(NodeInfo { id: NodeId(last + 1), ..node })
    }

    /// A node is in the cluster no more. That it has no replica is for who asks to see to.
    pub(super) fn remove_node(&mut self, node: NodeId) -> Result<Outcome, Rejection> {
        if self.catalog.removed_nodes.contains(&node) {
            return Ok(Outcome::Done);
        }
        if !self.catalog.nodes.contains_key(&node) {
            return Err(Rejection::Invalid(format!("there is no node {node}")));
        }
        if self.catalog.nodes.len() == 1 {
            return Err(Rejection::Invalid(format!("node {node} is the only one")));
        }
        let mut holders = self.catalog.holders.clone();
        for (group, of) in &mut holders {
            of.remove(&node);
            if of.is_empty() {
                return Err(only_holder(*group, node));
            }
        }
        self.progress.batch().delete(&CatalogKey::Node(node.0).bytes());
        self.counters.removed_nodes.insert(node);
        self.counters.holders.clone_from(&holders);
        let catalog = self.change();
        catalog.nodes.remove(&node);
        catalog.removed_nodes.insert(node);
        catalog.holders = holders;
        Ok(Outcome::Done)
    }

    /// A node is to hold a broker group that was placed, or no more. What it has of it is for the node to see to.
    pub(super) fn place(&mut self, group: GroupId, node: NodeId, holds: bool) -> Result<Outcome, Rejection> {
        let Some(mut holders) = self.catalog.holders.get(&group).cloned() else {
            return Err(Rejection::Invalid(format!("{group} is on all nodes, or not there")));
        };
        match holds {
            true if !self.catalog.nodes.contains_key(&node) => {
                return Err(Rejection::Invalid(format!("there is no node {node}")));
            }
            true => holders.insert(node),
            false => holders.remove(&node),
        };
        if holders.is_empty() {
            return Err(only_holder(group, node));
        }
        self.counters.holders.insert(group, holders.clone());
        self.change().holders.insert(group, holders);
        Ok(Outcome::Done)
    }

    /// A level that was reached already is no refusal: it is what was asked for.
    pub(super) fn raise_feature_level(&mut self, level: FeatureLevel) -> Outcome {
        if level > self.catalog.feature_level {
            self.counters.feature_level = level;
            self.change().feature_level = level;
        }
        Outcome::Done
    }

    /// Broker groups with the next numbers.
    pub(super) fn add_groups(
        &mut self,
        count: u32,
        founders: Vec<NodeId>,
        placed: bool,
    ) -> Result<Outcome, Rejection> {
        let mut groups = self.catalog.groups.clone();
        let last = groups.iter().map(|group| group.0).max().unwrap_or(0);
        if count == 0 || count > BROKER_GROUPS_MAX.saturating_sub(last) {
            return Err(Rejection::Invalid(format!(
                "a cluster has at most {BROKER_GROUPS_MAX} broker groups; there are {last}, and {count} were to come"
            )));
        }
        if let Some(nobody) = founders.iter().find(|id| !self.catalog.nodes.contains_key(id)) {
            return Err(Rejection::Invalid(format!("there is no node {nobody}")));
        }
        if founders.is_empty() {
            return Err(Rejection::Invalid("nobody is named who is to begin the broker groups".into()));
        }
        let new: BTreeMap<GroupId, Vec<NodeId>> =
            (last + 1..=last + count).map(|number| (GroupId(number), founders.clone())).collect();
        groups.extend(new.keys());
        if placed {
            let holders = new.keys().map(|group| (*group, founders.iter().copied().collect::<BTreeSet<_>>()));
            let holders: BTreeMap<_, _> = holders.collect();
            self.counters.holders.extend(holders.clone());
            self.change().holders.extend(holders);
        }
        self.counters.founders.extend(new.clone());
        self.change().founders.extend(new);
        self.set_groups(groups)
    }
}

fn only_holder(group: GroupId, node: NodeId) -> Rejection {
    Rejection::Invalid(format!("node {node} is the only one that holds {group}"))
}
