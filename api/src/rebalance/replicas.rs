//! Which replicas of placed broker groups move where, so that every node holds as many as any other, or one more.
//!
//! As long as one node holds two more than another one, it holds a group that the other one does not: that replica moves.
//! One that does not lead is preferred, for no leadership has to move with it. A group is left alone unless all of its
//! voters run and have everything: while a replica moves the group has an even number of voters, and bears one failure less.

use std::collections::BTreeMap;

use serde::Serialize;

use super::leaders::Left;
use super::{is_level, is_sound};
use crate::client::cluster_view::{ClusterView, GroupView};
use crate::sentence::Sentence;

/// One replica that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaMove {
    /// The broker group.
    pub group: String,
    /// Who holds it now.
    pub from: u64,
    /// Who is to hold it instead.
    pub to: u64,
}

/// How many placed replicas a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeHolds {
    /// The node.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// As it is.
    pub before: usize,
    /// As it will be.
    pub after: usize,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplicaPlan {
    /// The replicas that move, in this order.
    pub moves: Vec<ReplicaMove>,
    /// Every node.
    pub nodes: Vec<NodeHolds>,
    /// What is left as it is.
    pub left: Vec<Left>,
}

/// Whether nothing is the matter with a group.
fn is_whole(view: &ClusterView, group: &GroupView) -> bool {
    let alive = |id: &u64| view.nodes.iter().any(|node| node.id == *id && node.alive);
    let level = |id: &u64| group.replicas.iter().any(|it| it.node == *id && is_level(group, it));
    let voters = &group.voters;
    // A move that was cut short goes on, or is undone, before another one begins.
    let settled = group.placed.as_ref().is_some_and(|placed| placed.len() == voters.len());
    group.leader.is_some() && settled && voters.iter().all(|id| alive(id) && level(id))
}

fn held(view: &ClusterView, node: u64) -> usize {
    let placed = view.groups.iter().filter_map(|group| group.placed.as_ref());
    placed.filter(|placed| placed.contains(&node)).count()
}

/// Plans. Also the cluster as it will be then.
pub fn plan(view: &ClusterView) -> (ReplicaPlan, ClusterView) {
    let mut plan = ReplicaPlan::default();
    let mut after = view.clone();
    for group in view.groups.iter().filter(|group| group.placed.is_some() && !is_whole(view, group)) {
        let why = Sentence::new("not_whole", "not all of its voters run and have everything");
        plan.left.push(Left { group: group.name.clone(), why });
    }
    let movable: Vec<usize> = (0..view.groups.len())
        .filter(|at| view.groups[*at].placed.is_some() && is_whole(view, &view.groups[*at]))
        .collect();
    while let Some((at, from, to)) = next(&after, &movable) {
        let group = &mut after.groups[at];
        plan.moves.push(ReplicaMove { group: group.name.clone(), from, to });
        carry_out(group, from, to);
    }
    plan.nodes = view
        .nodes
        .iter()
        .map(|node| NodeHolds {
            node: node.id,
            name: node.name.clone(),
            before: held(view, node.id),
            after: held(&after, node.id),
        })
        .collect();
    (plan, after)
}

/// The next move that makes it more even.
fn next(view: &ClusterView, movable: &[usize]) -> Option<(usize, u64, u64)> {
    let sound = view.nodes.iter().filter(|node| is_sound(node)).map(|node| node.id);
    let loads: BTreeMap<u64, usize> = sound.map(|id| (id, held(view, id))).collect();
    let mut pairs: Vec<(usize, u64, u64)> = Vec::new();
    for (from, most) in &loads {
        for (to, fewest) in &loads {
            if *most >= fewest + 2 {
                pairs.push((most - fewest, *from, *to));
            }
        }
    }
    pairs.sort_by_key(|(difference, from, to)| (std::cmp::Reverse(*difference), *from, *to));
    pairs.into_iter().find_map(|(_, from, to)| {
        let fits = |at: &&usize| {
            let placed = view.groups[**at].placed.as_deref().unwrap_or_default();
            placed.contains(&from) && !placed.contains(&to)
        };
        let best = movable.iter().filter(fits).min_by_key(|at| view.groups[**at].leader == Some(from));
        best.map(|at| (*at, from, to))
    })
}

/// A group as it will be when a replica has moved. Who leads it hands that on with its replica.
fn carry_out(group: &mut GroupView, from: u64, to: u64) {
    let swap = |id: &mut u64| {
        if *id == from {
            *id = to;
        }
    };
    group.placed.iter_mut().flatten().for_each(swap);
    group.voters.iter_mut().for_each(swap);
    group.leader.iter_mut().for_each(swap);
    group.replicas.iter_mut().for_each(|replica| swap(&mut replica.node));
}

#[cfg(test)]
mod tests {
    use super::super::sample::{cluster, group};
    use super::*;

    /// Placed groups on these nodes, of which the first one leads.
    fn placed(nodes: u64, on: &[&[u64]]) -> ClusterView {
        let mut view = cluster(nodes, &[]);
        for (at, nodes) in on.iter().enumerate() {
            let mut group = group(at + 1, nodes[0], nodes);
            group.placed = Some(nodes.to_vec());
            view.groups.push(group);
        }
        view
    }

    fn after(plan: &ReplicaPlan) -> Vec<usize> {
        plan.nodes.iter().map(|node| node.after).collect()
    }

    #[test]
    fn replicas_are_spread_and_leaders_stay_if_they_can() {
        let (plan, view) = plan(&placed(5, &[&[1, 2, 3], &[2, 1, 3], &[3, 1, 2], &[1, 2, 3], &[2, 3, 1]]));
        assert_eq!(after(&plan), [3, 3, 3, 3, 3]);
        assert_eq!(plan.moves.len(), 6, "more moves than it takes: {plan:?}");
        for group in view.groups.iter().filter_map(|group| group.placed.as_ref()) {
            let mut nodes = group.clone();
            nodes.sort_unstable();
            nodes.dedup();
            assert_eq!(nodes.len(), 3, "a node holds a group twice: {group:?}");
        }
        assert!(plan.moves.iter().all(|it| it.group != "g1" || it.from != 1), "a leader moved: {plan:?}");
    }

    #[test]
    fn what_is_even_or_everywhere_stays() {
        assert_eq!(plan(&placed(3, &[&[1, 2, 3]])).0.moves, []);
        assert_eq!(plan(&cluster(5, &[1, 1, 1])).0.moves, []);
        assert_eq!(plan(&placed(4, &[&[1], &[2], &[3]])).0.moves, []);
    }

    #[test]
    fn a_group_that_misses_a_voter_is_left_alone() {
        let mut view = placed(5, &[&[1, 2, 3], &[1, 2, 3]]);
        view.nodes[2].alive = false;
        let (plan, _) = plan(&view);
        assert_eq!(plan.moves, []);
        assert_eq!(plan.left.len(), 2);
    }

    #[test]
    fn a_drained_node_gets_nothing() {
        let mut view = placed(4, &[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]]);
        view.nodes[3].draining = true;
        assert_eq!(plan(&view).0.moves, []);
        view.nodes[3].draining = false;
        assert_eq!(after(&plan(&view).0).iter().min(), Some(&2));
    }
}
