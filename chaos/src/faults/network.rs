//! Partitions and loss, by rules in the bridge's namespace.
//!
//! The rules follow from all the faults that are there and are replaced as a whole.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Refusal, effect};
use crate::cluster::Inner;
use crate::cluster::namespace::{HOST_PORT, path_of, port_of, relayed_port_of, switch_of};
use crate::cluster::options::Backend;
use crate::cluster::state::{ActiveFault, State};
use crate::error::ChaosError;
use crate::fault::{Fault, Shape};
use crate::injection::Effect;
use crate::tool;

/// Somebody on the bridge: a node's index, or this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Port {
    Host,
    Node(usize),
}

impl Port {
    /// As rules name it: with the port that stands in for a node's.
    fn matched(self) -> String {
        match self {
            Port::Host => format!("\"{HOST_PORT}\""),
            Port::Node(index) => format!("{{ \"{}\", \"{}\" }}", port_of(index), relayed_port_of(index)),
        }
    }

    fn name(self) -> String {
        match self {
            Port::Host => HOST_PORT.into(),
            Port::Node(index) => port_of(index),
        }
    }
}

/// From whom to whom nothing, or not everything, arrives: percent that is lost.
type Losses = BTreeMap<(Port, Port), u8>;

/// Why this cluster has no such faults, if so.
pub(super) fn refused(state: &State) -> Result<(), Refusal> {
    match state.backend {
        Backend::Namespaces { .. } => has_nft().map_err(Refusal::Skipped),
        Backend::Loopback => {
            Err(Refusal::Skipped("processes on loopback share this machine's network: use namespaces".into()))
        }
    }
}

pub(super) fn partition(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    refused(&state)?;
    let Fault::Partition { shape, clients } = active.fault else { return Ok(Vec::new()) };
    let cuts = cuts(shape, clients, &active.nodes, state.nodes.len());
    if let Err(why) = cuts {
        return Err(Refusal::Skipped(why));
    }
    apply(&state)?;
    let losses = losses(&state);
    let of = |node: usize| {
        let names = |heard: bool| -> String {
            let gone = losses.iter().filter(|(_, percent)| **percent == 100);
            let names: Vec<String> = gone
                .filter_map(|((from, to), _)| match heard {
                    true => (*to == Port::Node(node)).then_some(from.name()),
                    false => (*from == Port::Node(node)).then_some(to.name()),
                })
                .collect();
            if names.is_empty() { "nobody".into() } else { names.join(", ") }
        };
        effect(node, format!("cut off from hearing {}, from reaching {}", names(true), names(false)))
    };
    Ok((1..=state.nodes.len()).map(of).collect())
}

pub(super) fn loss(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    refused(&state)?;
    let Fault::Loss { percent } = active.fault else { return Ok(Vec::new()) };
    apply(&state)?;
    Ok(active.nodes.iter().map(|node| effect(*node, format!("loses {percent}% each way"))).collect())
}

fn has_nft() -> Result<(), String> {
    match tool::find("nft") {
        Some(_) => Ok(()),
        None => Err("there is no nft on this machine (apt-get install nftables)".into()),
    }
}

/// Tries it in a namespace that goes with the command.
pub(crate) fn rules_work() -> Result<(), String> {
    let losses = Losses::from([((Port::Node(1), Port::Node(2)), 100), ((Port::Host, Port::Node(1)), 20)]);
    has_nft()?;
    let tried = tool::run_with_input("unshare", &["-n", "nft", "-f", "-"], &script(&losses));
    tried.map(|_| ()).map_err(|error| error.to_string())
}

/// Makes the rules such as the faults in the state file want them.
pub(super) fn apply(state: &State) -> Result<(), ChaosError> {
    if state.backend == Backend::Loopback {
        return Ok(());
    }
    let namespace = format!("--net={}", path_of(&switch_of(state)).display());
    tool::run_with_input("nsenter", &[&namespace, "nft", "-f", "-"], &script(&losses(state))).map(|_| ())
}

fn losses(state: &State) -> Losses {
    let size = state.nodes.len();
    let mut losses = Losses::new();
    let mut lose = |from: Port, to: Port, percent: u8| {
        let loss = losses.entry((from, to)).or_insert(0);
        *loss = percent.max(*loss);
    };
    for active in &state.active {
        let everybody = || (1..=size).map(Port::Node).chain([Port::Host]);
        let percent = match active.fault {
            Fault::Partition { shape, clients } => {
                let cuts = cuts(shape, clients, &active.nodes, size).unwrap_or_default();
                cuts.into_iter().for_each(|(from, to)| lose(from, to, 100));
                continue;
            }
            Fault::Loss { percent } => percent,
            // A machine without power says nothing: no reset, no end.
            Fault::PowerFailure {} => 100,
            _ => continue,
        };
        for node in active.nodes.iter().map(|node| Port::Node(*node)) {
            for other in everybody().filter(|other| *other != node) {
                lose(node, other, percent);
                lose(other, node, percent);
            }
        }
    }
    losses
}

/// Who is cut off from whom; or why there is no such shape here.
pub(crate) fn cuts(
    shape: Shape,
    clients: bool,
    targets: &[usize],
    size: usize,
) -> Result<Vec<(Port, Port)>, String> {
    let all = || 1..=size;
    let is_target = |node: &usize| targets.contains(node);
    let mut cuts = Vec::new();
    let mut cut = |from: usize, to: usize| cuts.push((Port::Node(from), Port::Node(to)));
    match shape {
        Shape::Isolate | Shape::OneWayIn | Shape::OneWayOut => {
            for &target in targets {
                for other in all().filter(|other| *other != target) {
                    if shape != Shape::OneWayIn {
                        cut(target, other);
                    }
                    if shape != Shape::OneWayOut {
                        cut(other, target);
                    }
                }
            }
        }
        Shape::Split => {
            for &target in targets {
                for other in all().filter(|other| !is_target(other)) {
                    cut(target, other);
                    cut(other, target);
                }
            }
        }
        Shape::Bridge => {
            let rest: Vec<usize> = all().filter(|node| !is_target(node)).collect();
            let (left, right) = rest.split_at(rest.len() / 2);
            for (&one, &other) in left.iter().flat_map(|one| right.iter().map(move |other| (one, other))) {
                cut(one, other);
                cut(other, one);
            }
        }
        Shape::MajoritiesRing => {
            if size < 5 {
                return Err(format!("a ring of majorities needs 5 nodes, not {size}"));
            }
            // As many on each side as make a majority together with the node itself.
            let reach = (size / 2).div_ceil(2);
            for one in all() {
                for other in all() {
                    let apart = one.abs_diff(other).min(size - one.abs_diff(other));
                    if apart > reach {
                        cut(one, other);
                    }
                }
            }
        }
    }
    if clients {
        for &target in targets {
            if matches!(shape, Shape::Isolate | Shape::Split | Shape::OneWayOut) {
                cuts.push((Port::Node(target), Port::Host));
            }
            if matches!(shape, Shape::Isolate | Shape::Split | Shape::OneWayIn) {
                cuts.push((Port::Host, Port::Node(target)));
            }
        }
    }
    match cuts.is_empty() {
        true => Err(format!("nodes {targets:?} of {size} have nobody to be cut off from in this way")),
        false => Ok(cuts),
    }
}

/// Replaces all rules at once. Only IP is dropped: were the question for a neighbour's address (ARP) dropped too, one
/// way that is cut would soon be two.
fn script(losses: &Losses) -> String {
    let mut script = String::from("table bridge chaos\ndelete table bridge chaos\ntable bridge chaos {\n");
    script.push_str("  chain forward {\n    type filter hook forward priority 0; policy accept;\n");
    for ((from, to), percent) in losses {
        let chance = match percent {
            0 => continue,
            100.. => String::new(),
            percent => format!("numgen random mod 100 < {percent} "),
        };
        let (from, to) = (from.matched(), to.matched());
        let _ =
            writeln!(script, "    iifname {from} oifname {to} ether type {{ ip, ip6 }} {chance}counter drop");
    }
    script.push_str("  }\n}\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is cut off from whom, as "from>to".
    fn drawn(shape: Shape, clients: bool, targets: &[usize], size: usize) -> Vec<String> {
        let mut drawn: Vec<String> = cuts(shape, clients, targets, size)
            .unwrap()
            .into_iter()
            .map(|(from, to)| format!("{}>{}", from.name(), to.name()))
            .collect();
        drawn.sort_unstable();
        drawn
    }

    #[test]
    fn shapes_cut_what_they_say() {
        assert_eq!(drawn(Shape::Isolate, false, &[2], 3), ["n1>n2", "n2>n1", "n2>n3", "n3>n2"]);
        assert_eq!(drawn(Shape::OneWayIn, true, &[2], 3), ["host>n2", "n1>n2", "n3>n2"]);
        assert_eq!(drawn(Shape::OneWayOut, true, &[2], 3), ["n2>host", "n2>n1", "n2>n3"]);
        assert_eq!(drawn(Shape::Split, false, &[1, 2], 3), ["n1>n3", "n2>n3", "n3>n1", "n3>n2"]);
        assert_eq!(drawn(Shape::Bridge, false, &[2], 3), ["n1>n3", "n3>n1"]);
        assert!(cuts(Shape::Split, false, &[1, 2, 3], 3).is_err(), "nobody is on the other side");
        assert!(cuts(Shape::MajoritiesRing, false, &[1], 3).is_err());
    }

    #[test]
    fn on_the_ring_everybody_sees_another_majority() {
        let cut = drawn(Shape::MajoritiesRing, false, &[], 5);
        let sees = |node: usize| -> Vec<usize> {
            (1..=5).filter(|other| !cut.contains(&format!("n{other}>n{node}"))).collect()
        };
        let seen: Vec<Vec<usize>> = (1..=5).map(sees).collect();
        assert!(seen.iter().all(|seen| seen.len() == 3), "{seen:?}");
        assert!((0..5).all(|one| (0..one).all(|other| seen[one] != seen[other])), "{seen:?}");
    }
}
