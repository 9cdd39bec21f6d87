//! Which leaderships move where, so that every node leads as many broker groups as any other, or one more.
//!
//! Who may lead a group: a voter that answers, has settled, has not stepped aside, and has everything. Leaderships move
//! along chains: where the node with the most has nothing that the node with the fewest could take, a third one takes
//! from the first and gives to the second. A chain that makes two loads more even exists as long as the whole is not as
//! even as it can be; the shortest one is taken. `meta` is left where it is: what it does costs nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::{is_level, is_sound};
use crate::client::cluster_view::{ClusterView, GroupView};
use crate::sentence::Sentence;

/// One leadership that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaderMove {
    /// The broker group.
    pub group: String,
    /// Who leads it now.
    pub from: u64,
    /// Who is to lead it.
    pub to: u64,
}

/// How many broker groups a node leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeLeads {
    /// The node.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// As it is.
    pub before: usize,
    /// As it will be.
    pub after: usize,
}

/// A broker group that nothing is planned for, though something is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The broker group.
    pub group: String,
    /// What is the matter.
    pub why: Sentence,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeaderPlan {
    /// The leaderships that move, by group.
    pub moves: Vec<LeaderMove>,
    /// Every node.
    pub nodes: Vec<NodeLeads>,
    /// What is left as it is.
    pub left: Vec<Left>,
}

/// A broker group that is led.
struct Led<'v> {
    view: &'v GroupView,
    /// Who leads it now.
    from: u64,
    /// Who is to.
    to: u64,
    /// Who may.
    candidates: BTreeSet<u64>,
}

/// Who may lead a group.
fn candidates(view: &ClusterView, group: &GroupView) -> BTreeSet<u64> {
    let sound = |id: &u64| view.nodes.iter().any(|node| node.id == *id && is_sound(node));
    let level =
        |id: &u64| group.replicas.iter().any(|replica| replica.node == *id && is_level(group, replica));
    group.voters.iter().copied().filter(|id| sound(id) && (Some(*id) == group.leader || level(id))).collect()
}

/// Plans.
pub fn plan(view: &ClusterView) -> LeaderPlan {
    let mut plan = LeaderPlan::default();
    let mut led = Vec::new();
    for group in view.groups.iter().filter(|group| group.name != "meta") {
        let left = |code, why| Left { group: group.name.clone(), why: Sentence::new(code, why) };
        let candidates = candidates(view, group);
        match group.leader {
            None => plan.left.push(left("unled", "nobody leads it now")),
            Some(from) if !view.nodes.iter().any(|node| node.id == from && node.alive) => {
                plan.left.push(left("leader_silent", "its leader does not answer"));
            }
            Some(from) if candidates.is_empty() => {
                plan.left.push(left("no_candidate", "no voter that may lead it is sound and has everything"));
                led.push(Led { view: group, from, to: from, candidates });
            }
            Some(from) => led.push(Led { view: group, from, to: from, candidates }),
        }
    }
    leave_unsound(&mut led);
    while shift(&mut led) {}
    let leads =
        |node: u64, of: &dyn Fn(&Led<'_>) -> u64| led.iter().filter(|group| of(group) == node).count();
    plan.nodes = view
        .nodes
        .iter()
        .map(|node| NodeLeads {
            node: node.id,
            name: node.name.clone(),
            before: leads(node.id, &|group| group.from),
            after: leads(node.id, &|group| group.to),
        })
        .collect();
    let moving = led.iter().filter(|group| group.from != group.to);
    plan.moves = moving
        .map(|group| LeaderMove { group: group.view.name.clone(), from: group.from, to: group.to })
        .collect();
    plan
}

/// How many groups each node would lead, of those that may lead any.
fn loads(led: &[Led<'_>]) -> BTreeMap<u64, usize> {
    let mut loads: BTreeMap<u64, usize> =
        led.iter().flat_map(|group| &group.candidates).map(|id| (*id, 0)).collect();
    for group in led {
        // Who leads what nobody else can take leads it still.
        *loads.entry(group.to).or_default() += 1;
    }
    loads
}

/// What a node leads that should not is given to whoever leads the fewest.
fn leave_unsound(led: &mut [Led<'_>]) {
    for at in 0..led.len() {
        let group = &led[at];
        if group.candidates.contains(&group.to) {
            continue;
        }
        let loads = loads(led);
        let fewest = group.candidates.iter().copied().min_by_key(|id| loads.get(id));
        led[at].to = fewest.unwrap_or(group.to);
    }
}

/// Makes the loads of two nodes more even. Whether that went.
fn shift(led: &mut [Led<'_>]) -> bool {
    let loads = loads(led);
    let mut nodes: Vec<(u64, usize)> = loads.iter().map(|(id, load)| (*id, *load)).collect();
    nodes.sort_by_key(|(id, load)| (std::cmp::Reverse(*load), *id));
    for (start, load) in nodes {
        let came_by = reachable(led, start);
        let lighter = came_by.iter().filter(|(id, _)| loads[*id] + 2 <= load);
        let Some((end, _)) = lighter.min_by_key(|(id, step)| (loads[*id], step.length, **id)) else {
            continue;
        };
        let mut at = *end;
        while at != start {
            let step = &came_by[&at];
            let before = std::mem::replace(&mut led[step.group].to, at);
            at = before;
        }
        return true;
    }
    false
}

/// How a leadership can come to a node.
struct Step {
    /// Which one: the place in the list.
    group: usize,
    /// After so many moves.
    length: usize,
}

/// To whom the leaderships of a node can go, by the fewest moves.
fn reachable(led: &[Led<'_>], start: u64) -> BTreeMap<u64, Step> {
    let mut came_by = BTreeMap::new();
    let mut open = VecDeque::from([(start, 0)]);
    while let Some((at, length)) = open.pop_front() {
        for (place, group) in led.iter().enumerate().filter(|(_, group)| group.to == at) {
            for to in group.candidates.iter().filter(|to| **to != start) {
                if !came_by.contains_key(to) {
                    came_by.insert(*to, Step { group: place, length: length + 1 });
                    open.push_back((*to, length + 1));
                }
            }
        }
    }
    came_by
}

#[cfg(test)]
mod tests {
    use super::super::LEVEL_WITHIN;
    use super::super::sample::{cluster, group};
    use super::*;
    use crate::client::cluster_view::NodeView;

    fn after(plan: &LeaderPlan) -> Vec<usize> {
        plan.nodes.iter().map(|node| node.after).collect()
    }

    #[test]
    fn what_is_even_stays() {
        for leaders in [&[1, 2, 3][..], &[3, 1, 2, 1], &[2], &[]] {
            assert_eq!(plan(&cluster(3, leaders)).moves, [], "{leaders:?}");
        }
        // Who leads `meta` besides has no more to do for that.
        assert_eq!(plan(&cluster(2, &[1, 2])).moves, []);
    }

    #[test]
    fn one_node_gives_to_the_others_what_is_too_much() {
        let plan = plan(&cluster(3, &[1, 1, 1, 1, 1, 1]));
        assert_eq!(after(&plan), [2, 2, 2]);
        assert_eq!(plan.moves.len(), 4, "more moves than it takes: {plan:?}");
        assert!(plan.moves.iter().all(|it| it.from == 1));
        assert_eq!(plan.nodes[0].before, 6);
    }

    #[test]
    fn a_node_that_is_dead_drained_or_joins_gets_nothing() {
        for unsound in [
            |node: &mut NodeView| node.alive = false,
            |node: &mut NodeView| node.draining = true,
            |node: &mut NodeView| node.joining = true,
        ] {
            let mut view = cluster(3, &[1, 1, 1, 1]);
            unsound(&mut view.nodes[2]);
            assert_eq!(after(&plan(&view)), [2, 2, 0]);
        }
    }

    #[test]
    fn a_node_that_stepped_aside_leads_nothing_any_more() {
        let mut view = cluster(3, &[1, 1, 2]);
        view.nodes[0].draining = true;
        let plan = plan(&view);
        assert_eq!(after(&plan)[0], 0);
        assert_eq!(plan.moves.len(), 2);
    }

    #[test]
    fn who_is_behind_or_has_no_vote_gets_nothing() {
        let mut view = cluster(3, &[1, 1, 1]);
        for group in &mut view.groups {
            group.replicas[1].applied_index = 5000 - LEVEL_WITHIN - 1;
            group.voters.retain(|id| *id != 3);
        }
        assert_eq!(plan(&view).moves, []);
        for group in &mut view.groups {
            group.replicas[1].applied_index += 1;
        }
        assert_eq!(after(&plan(&view)).iter().max(), Some(&2));
        view.groups[1].replicas[1].role = "rejoining".to_owned();
        assert!(plan(&view).moves.iter().all(|it| it.group != "g1"));
    }

    #[test]
    fn a_third_node_takes_what_it_can_and_gives_what_it_has() {
        // Node 1 leads two groups that node 3 does not hold; node 2 leads one that it holds.
        let mut view = cluster(3, &[1, 1, 2]);
        view.groups[1] = group(1, 1, &[1, 2]);
        view.groups[2] = group(2, 1, &[1, 2]);
        view.groups[3] = group(3, 2, &[2, 3]);
        let plan = plan(&view);
        assert_eq!(after(&plan), [1, 1, 1]);
        assert_eq!(plan.moves.len(), 2);
        assert!(plan.moves.contains(&LeaderMove { group: "g3".to_owned(), from: 2, to: 3 }));
    }

    #[test]
    fn what_cannot_be_helped_is_said() {
        let mut view = cluster(2, &[0, 1]);
        view.nodes.iter_mut().for_each(|node| node.draining = true);
        let plan = plan(&view);
        assert_eq!(plan.moves, []);
        let left: Vec<&str> = plan.left.iter().map(|left| left.group.as_str()).collect();
        assert_eq!(left, ["g1", "g2"]);
    }

    /// The sum of the squares of the loads: the smaller, the more even.
    fn unevenness(leaders: &[u64]) -> usize {
        (1..=4).map(|node| leaders.iter().filter(|it| **it == node).count().pow(2)).sum()
    }

    #[test]
    fn no_other_way_would_be_more_even() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..300 {
            let mut view = cluster(4, &[]);
            let mut all: Vec<Vec<u64>> = vec![Vec::new()];
            for number in 1..=5 {
                let voters: Vec<u64> = (1..=4).filter(|_| random(2) == 0).collect();
                let voters = if voters.is_empty() { vec![1 + random(4)] } else { voters };
                let leader = voters[random(voters.len() as u64) as usize];
                all = all
                    .iter()
                    .flat_map(|so_far| voters.iter().map(|id| [&so_far[..], &[*id]].concat()))
                    .collect();
                view.groups.push(group(number, leader, &voters));
            }
            let best = all.iter().map(|leaders| unevenness(leaders)).min();
            let plan = plan(&view);
            let planned: usize = after(&plan).iter().map(|leads| leads.pow(2)).sum();
            assert_eq!(Some(planned), best, "round {round}: {view:?}");
        }
    }
}
