//! What goes wrong in a run, and when.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::dice::Dice;

/// Something that goes wrong. Nodes are counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A process ends.
    Kill(usize),
    /// A node loses its power; what it did not sync is lost, or in part.
    PowerOff(usize),
    /// A node loses its power in the middle of the n-th call to its disk from now.
    PowerOffAt(usize, u64),
    /// All nodes lose their power at once.
    PowerOffAll,
    /// The n-th call to a disk from now fails: the node must stop.
    DiskFails(usize, u64),
    /// A node's disk takes nothing any more, and nothing fails.
    DiskStalls(usize),
    /// That of the node that leads the broker group.
    LeadersDiskStalls,
    /// All disks go on.
    DisksGoOn,
    /// A node is cut off from all others. Who dials is refused.
    CutOff(usize),
    /// The leader of the broker group is cut off from all others, if there is one.
    CutOffLeader,
    /// Two nodes do not hear each other.
    CutPair(usize, usize),
    /// What one sends to the other is lost, not the other way around.
    CutOneWay(usize, usize),
    /// What is sent between two waits, and arrives later: a black hole while it lasts.
    Hold(usize, usize),
    /// Messages take up to so long.
    Slow(Duration),
    /// A link loses messages now and then.
    Lossy(usize, usize),
    /// Tables go to disk now.
    Flush(usize),
    /// Starts what does not run.
    Start(usize),
    /// Heals all links.
    HealLinks,
}

/// A fault and its moment, since the load began.
#[derive(Clone, Debug)]
pub struct Step {
    pub at: Duration,
    pub fault: Fault,
}

/// A plan of so long for so many nodes.
pub fn plan(dice: &mut Dice, nodes: u64, lasting: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = dice.within(100..1000);
    let end = lasting.as_millis() as u64;
    let mut put = |at: u64, fault: Fault| steps.push(Step { at: Duration::from_millis(at), fault });
    while at < end {
        let (one, other) = two(dice, nodes);
        let lasts = *dice.pick(&[200, 700, 1500, 3000]) + dice.within(0..500);
        let fault = match dice.within(0..16) {
            0 | 1 => Fault::Kill(one),
            2 => Fault::PowerOff(one),
            3..=5 => Fault::PowerOffAt(one, dice.within(1..30)),
            6 => Fault::PowerOffAll,
            7 => Fault::DiskFails(one, dice.within(1..30)),
            8 | 9 => Fault::CutOff(one),
            10 => Fault::CutPair(one, other),
            11 => Fault::CutOneWay(one, other),
            12 => Fault::Hold(one, other),
            13 => Fault::Slow(Duration::from_millis(dice.within(10..200))),
            14 => Fault::Lossy(one, other),
            _ => Fault::Flush(one),
        };
        match &fault {
            Fault::Kill(node) | Fault::PowerOff(node) => put(at + lasts, Fault::Start(*node)),
            Fault::PowerOffAt(node, _) | Fault::DiskFails(node, _) => {
                put(at + lasts + 500, Fault::Start(*node))
            }
            Fault::PowerOffAll => {
                for node in 0..nodes as usize {
                    put(at + lasts + dice.within(0..1000), Fault::Start(node));
                }
            }
            Fault::Flush(_) | Fault::Start(_) | Fault::HealLinks => {}
            // They come from dice of their own.
            Fault::DiskStalls(_) | Fault::LeadersDiskStalls | Fault::DisksGoOn => {}
            _ => put(at + lasts, Fault::HealLinks),
        }
        put(at, fault);
        at += *dice.pick(&[50, 300, 900, 2000]) + dice.within(0..300);
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// Adds disks that stand still to a plan, one at a time. From dice of their own: the rest of the plan stays as it is.
pub fn add_stalls(steps: &mut Vec<Step>, dice: &mut Dice, nodes: u64, lasting: Duration) {
    let end = lasting.as_millis() as u64;
    let mut at = dice.within(500..2500);
    while at < end {
        let fault = match dice.once_in(2) {
            true => Fault::LeadersDiskStalls,
            false => Fault::DiskStalls(dice.within(0..nodes) as usize),
        };
        let lasts = *dice.pick(&[150, 600, 1500, 4000]);
        steps.push(Step { at: Duration::from_millis(at), fault });
        steps.push(Step { at: Duration::from_millis(at + lasts), fault: Fault::DisksGoOn });
        at += lasts + dice.within(300..3000);
    }
    steps.sort_by_key(|step| step.at);
}

/// Nothing but leaders that are cut off, each for longer than an election takes: chance hardly leaves a deposed leader
/// alone for so long that others acknowledge something which it does not know of.
pub fn leaders_cut_off(dice: &mut Dice, lasting: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = dice.within(300..1500);
    while at < lasting.as_millis() as u64 {
        let heals = at + dice.within(1500..4000);
        steps.push(Step { at: Duration::from_millis(at), fault: Fault::CutOffLeader });
        steps.push(Step { at: Duration::from_millis(heals), fault: Fault::HealLinks });
        at = heals + dice.within(300..1500);
    }
    steps
}

fn two(dice: &mut Dice, nodes: u64) -> (usize, usize) {
    let one = dice.within(0..nodes);
    let other = (one + dice.within(1..nodes)) % nodes;
    (one as usize, other as usize)
}

/// Lets it happen.
pub fn inject(cluster: &mut Cluster<'_>, fault: &Fault) {
    raft::simulation::note(format_args!("fault: {fault:?}"));
    let name = |cluster: &Cluster<'_>, at: usize| cluster.slots[at].name.clone();
    match fault {
        Fault::Kill(node) => cluster.kill(*node),
        Fault::PowerOff(node) => cluster.power_off(*node),
        Fault::PowerOffAt(node, calls) => cluster.slots[*node].disk.power_off_at(*calls),
        Fault::PowerOffAll => (0..cluster.size()).for_each(|node| cluster.power_off(node)),
        Fault::DiskFails(node, calls) => cluster.slots[*node].disk.fail_at(*calls),
        Fault::DiskStalls(node) => cluster.stall_disk(*node, true),
        Fault::LeadersDiskStalls => {
            if let Some(leader) = cluster.leader() {
                cluster.stall_disk(leader, true);
            }
        }
        Fault::DisksGoOn => (0..cluster.size()).for_each(|node| cluster.stall_disk(node, false)),
        Fault::CutOff(node) => cut_off(cluster, *node),
        Fault::CutOffLeader => {
            if let Some(node) = cluster.leader() {
                cut_off(cluster, node);
            }
        }
        Fault::CutPair(one, other) => cluster.sim.partition(name(cluster, *one), name(cluster, *other)),
        Fault::CutOneWay(from, to) => {
            cluster.sim.partition_oneway(name(cluster, *from), name(cluster, *to));
        }
        Fault::Hold(one, other) => cluster.sim.hold(name(cluster, *one), name(cluster, *other)),
        Fault::Slow(most) => cluster.sim.set_max_message_latency(*most),
        Fault::Lossy(one, other) => {
            let (one, other) = (name(cluster, *one), name(cluster, *other));
            cluster.sim.set_link_fail_rate(one, other, 0.02);
        }
        Fault::Flush(node) => flush(cluster, *node),
        Fault::Start(node) => cluster.restart(*node),
        Fault::HealLinks => heal_links(cluster),
    }
}

fn cut_off(cluster: &mut Cluster<'_>, node: usize) {
    for other in (0..cluster.size()).filter(|other| *other != node) {
        let (node, other) = (cluster.slots[node].name.clone(), cluster.slots[other].name.clone());
        cluster.sim.partition(node, other);
    }
}

/// Brings a node's tables to disk, as RocksDB does when it likes.
pub fn flush(cluster: &Cluster<'_>, at: usize) {
    let Some(node) = cluster.slots[at].node.borrow().clone() else { return };
    for replica in raft::simulation::view::replicas(&node) {
        // It fails when the disk did: then the node stops anyway.
        _ = raft::simulation::view::flush(&node, replica.group);
    }
}

/// Every message arrives again, and soon.
pub fn heal_links(cluster: &mut Cluster<'_>) {
    cluster.sim.set_max_message_latency(Duration::from_millis(3));
    for one in 0..cluster.size() {
        for other in 0..one {
            let (one, other) = (cluster.slots[one].name.clone(), cluster.slots[other].name.clone());
            cluster.sim.set_link_fail_rate(one.clone(), other.clone(), 0.0);
            cluster.sim.repair(one.clone(), other.clone());
            cluster.sim.release(one, other);
        }
    }
}
