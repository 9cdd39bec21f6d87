//! What the status of a cluster tells. Nothing is asked here: each check judges what the nodes said.

use proto::admin::{BrokerGroup, ClusterStatusResponse, Node};

use super::{Finding, Level};
use crate::client::cluster_view::ClusterView;
use crate::rebalance::leaders::{NodeLeads, plan};

/// Clocks that differ by more are told of.
const CLOCKS_WARN_MS: u64 = 250;
/// A node's clock that is off by more is not followed by the stamps of the log.
const CLOCKS_BAD_MS: u64 = 1_000;
/// A replica that is so many entries behind is told of.
const LAG_WARN: u64 = 10_000;
/// Message groups that are being spread for longer are told of.
const SPREADING_WARN_MS: u64 = 5_000;

/// Every check, over what the cluster says of itself.
pub fn findings(status: &ClusterStatusResponse) -> Vec<Finding> {
    let mut found = Vec::new();
    nodes(status, &mut found);
    disks(status, &mut found);
    versions(status, &mut found);
    feature_level(status, &mut found);
    clocks(status, &mut found);
    for group in &status.groups {
        leader(group, &mut found);
        voters(status, group, &mut found);
        replicas(status, group, &mut found);
    }
    spread(status, &mut found);
    spreading(status, &mut found);
    found
}

/// As people call it.
fn name(node: &Node) -> String {
    format!("{} ({})", node.name, node.id)
}

fn living(status: &ClusterStatusResponse) -> impl Iterator<Item = &Node> {
    status.nodes.iter().filter(|node| node.alive)
}

fn nodes(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    let dead: Vec<&Node> = status.nodes.iter().filter(|node| !node.alive).collect();
    for node in &dead {
        let advice =
            "start it, or look at its log for why it ended; `ledgermq cluster repair` if its data is damaged";
        found.push(Finding::new(Level::Bad, "nodes", name(node), "it does not answer", advice));
    }
    if dead.is_empty() {
        found.push(Finding::ok("nodes", "cluster", format!("all {} answer", status.nodes.len())));
    }
}

fn disks(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    for (node, disk) in living(status).filter_map(|node| Some((node, node.disk.as_ref()?))) {
        let used = format!("{} % used, {} MiB free", disk.used_percent, disk.free_bytes >> 20);
        let (level, what, advice) = match disk.level.as_str() {
            "normal" => {
                found.push(Finding::ok("disk", name(node), used));
                continue;
            }
            "warn" => (
                Level::Warn,
                "it fills up",
                "give it room, or lower retention.keep_ms or retention.log_bytes",
            ),
            "clean" => (Level::Bad, "the oldest messages go", "give it room, or lower retention.keep_ms"),
            _ => (Level::Bad, "no messages are taken, on any node", "give it room at once"),
        };
        found.push(Finding::new(level, "disk", name(node), format!("{used}: {what}"), advice));
    }
}

fn versions(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    let mut known: Vec<&str> =
        living(status).map(|node| node.version.as_str()).filter(|version| !version.is_empty()).collect();
    known.sort_unstable();
    known.dedup();
    let silent = living(status).any(|node| node.version.is_empty());
    match known.as_slice() {
        [version] if !silent => {
            found.push(Finding::ok("versions", "cluster", format!("all nodes run {version}")));
        }
        _ => {
            let listed: Vec<String> = living(status)
                .map(|node| {
                    let version =
                        if node.version.is_empty() { "one that does not say" } else { &node.version };
                    format!("{} runs {version}", name(node))
                })
                .collect();
            let advice = "fine during an upgrade; bring all nodes to one version";
            found.push(Finding::new(Level::Warn, "versions", "cluster", listed.join(", "), advice));
        }
    }
}

/// An upgrade is over when nobody is to go back: what newer versions write is held back until then.
fn feature_level(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    let common = status.nodes.iter().map(|node| node.reads_up_to).min().unwrap_or(0);
    if common == 0 || status.feature_level == 0 {
        return;
    }
    let level = status.feature_level;
    if common <= level {
        found.push(Finding::ok("feature level", "cluster", format!("it is {level}")));
        return;
    }
    let advice = "if no node is to run an older version again: ledgermq cluster feature-level --raise";
    let what = format!("it is {level}, and all nodes can read {common}: features are held back");
    found.push(Finding::new(Level::Warn, "feature level", "cluster", what, advice));
}

/// What is known of clocks comes with a doubt: half the time that the question was under way.
fn clocks(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    let told: Vec<(&Node, i64, i64)> = living(status)
        .filter_map(|node| Some((node, node.clock_ahead_ms?, i64::from(node.clock_doubt_ms))))
        .collect();
    let lowest = told.iter().min_by_key(|(_, ahead, doubt)| ahead + doubt);
    let highest = told.iter().max_by_key(|(_, ahead, doubt)| ahead - doubt);
    let (Some((low, low_ahead, low_doubt)), Some((high, high_ahead, high_doubt))) = (lowest, highest) else {
        return;
    };
    let apart = (high_ahead - high_doubt - low_ahead - low_doubt).max(0) as u64;
    let level = match apart {
        apart if apart <= CLOCKS_WARN_MS => Level::Ok,
        apart if apart <= CLOCKS_BAD_MS => Level::Warn,
        _ => Level::Bad,
    };
    if level == Level::Ok {
        let within = format!("those of {} nodes are within {CLOCKS_WARN_MS} ms", told.len());
        found.push(Finding::ok("clocks", "cluster", within));
        return;
    }
    let what = format!("that of {} is at least {apart} ms ahead of that of {}", name(high), name(low));
    let advice = "run chrony or ntpd on every node; delays and leases go by these clocks";
    found.push(Finding::new(level, "clocks", "cluster", what, advice));
}

fn leader(group: &BrokerGroup, found: &mut Vec<Finding>) {
    match group.leader {
        0 => {
            let advice = "start the nodes that hold it: a majority of its voters must run";
            found.push(Finding::new(Level::Bad, "leader", &group.name, "nobody leads it", advice));
        }
        leader => found.push(Finding::ok("leader", &group.name, format!("node {leader} leads it"))),
    }
}

fn voters(status: &ClusterStatusResponse, group: &BrokerGroup, found: &mut Vec<Finding>) {
    let voters = group.voters.len();
    let alive = group.voters.iter().filter(|id| living(status).any(|node| node.id == **id));
    let speaks =
        |id: &&u64| group.replicas.iter().any(|replica| replica.node == **id && replica.role != "rejoining");
    let (alive, majority) = (alive.filter(speaks).count(), voters / 2 + 1);
    let counted = format!("{alive} of {voters} voters run, {majority} are needed");
    let place = group.name.as_str();
    if voters == 0 {
        return;
    }
    if alive < majority {
        let advice = "start the others: until then it takes and gives no messages";
        found.push(Finding::new(Level::Bad, "voters", place, counted, advice));
    } else if voters == 1 {
        let advice = "what its disk loses is lost: add nodes, or back it up often";
        found.push(Finding::new(Level::Warn, "voters", place, "one node alone holds it", advice));
    } else if alive == majority {
        let advice = "the next failure stops it: start the others, or `ledgermq cluster add-voter`";
        found.push(Finding::new(Level::Warn, "voters", place, format!("{counted}: none to spare"), advice));
    } else if voters.is_multiple_of(2) {
        let fewer = voters - 1;
        let what = format!("{voters} voters survive no more failures than {fewer}");
        let advice = "`ledgermq cluster add-voter` or `remove-voter`: an odd number is as safe and faster";
        found.push(Finding::new(Level::Warn, "voters", place, what, advice));
    } else {
        found.push(Finding::ok("voters", place, counted));
    }
}

fn replicas(status: &ClusterStatusResponse, group: &BrokerGroup, found: &mut Vec<Finding>) {
    let mut behind = 0;
    for replica in &group.replicas {
        let of = status.nodes.iter().find(|node| node.id == replica.node);
        let place = format!("{} of {}", group.name, of.map_or(replica.node.to_string(), name));
        if replica.role == "rejoining" {
            let what = "it is being rebuilt, and has no vote before it is whole";
            let advice = "keep the other nodes running until it is";
            found.push(Finding::new(Level::Warn, "replication", place, what, advice));
            continue;
        }
        let lag = group.committed.saturating_sub(replica.applied_index);
        behind = behind.max(lag);
        if lag >= LAG_WARN {
            let advice = "look at its disk and network; it catches up by itself if it is fast enough";
            found.push(Finding::new(
                Level::Warn,
                "replication",
                place,
                format!("it is {lag} entries behind"),
                advice,
            ));
        }
    }
    if behind < LAG_WARN {
        let what = format!("no replica is more than {behind} entries behind");
        found.push(Finding::ok("replication", &group.name, what));
    }
}

/// Leaders of broker groups have the work: they should be spread over the nodes that could lead.
fn spread(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    let plan = plan(&ClusterView::from(status.clone()));
    let most = plan.nodes.iter().max_by_key(|node| node.before);
    let fewest = plan.nodes.iter().min_by_key(|node| node.before);
    let (Some(most), Some(fewest)) = (most, fewest) else { return };
    if plan.moves.is_empty() {
        let what = "broker groups are led by all nodes alike, as far as these may lead them";
        found.push(Finding::ok("spread", "cluster", what));
        return;
    }
    let of = |node: &NodeLeads| format!("{} leads {}", node.name, node.before);
    let what = format!("{} broker groups, and {}", of(most), of(fewest));
    let advice = "`ledgermq cluster rebalance` spreads them";
    found.push(Finding::new(Level::Warn, "spread", "cluster", what, advice));
}

/// Nobody is held up for longer than a moment while message groups are spread over more queues; it gives up by itself.
fn spreading(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    for topic in status.spreading.iter().filter(|topic| topic.for_ms > SPREADING_WARN_MS) {
        let what = format!("its message groups are being spread for {} s, and wait", topic.for_ms / 1000);
        let advice = format!(
            "look whether every group has a leader; `ledgermq topic spread {} --abort` has it go on as before",
            topic.name
        );
        found.push(Finding::new(Level::Bad, "topics", format!("topic {}", topic.name), what, advice));
    }
}

#[cfg(test)]
mod tests {
    use proto::admin::{Disk, Replica, SpreadingTopic};

    use super::*;

    fn node(id: u64) -> Node {
        Node {
            id,
            name: format!("node{id}"),
            alive: true,
            disk: Some(Disk {
                total_bytes: 1 << 40,
                free_bytes: 1 << 39,
                used_percent: 50,
                level: "normal".into(),
            }),
            version: "0.1.0".into(),
            clock_ahead_ms: Some(0),
            clock_doubt_ms: 1,
            reads_up_to: 2,
            ..Node::default()
        }
    }

    fn replica(node: u64) -> Replica {
        Replica {
            node,
            role: "follower".into(),
            last_index: 100,
            applied_index: 100,
            durable_index: 100,
            term: 1,
        }
    }

    fn group(name: &str, leader: u64) -> BrokerGroup {
        BrokerGroup {
            name: name.into(),
            leader,
            term: 1,
            committed: 100,
            replicas: (1..=3).map(replica).collect(),
            voters: vec![1, 2, 3],
            placed: Vec::new(),
        }
    }

    fn sound() -> ClusterStatusResponse {
        ClusterStatusResponse {
            cluster: "test".into(),
            nodes: (1..=3).map(node).collect(),
            groups: vec![group("meta", 1), group("g1", 1), group("g2", 2), group("g3", 3)],
            feature_level: 2,
            spreading: Vec::new(),
        }
    }

    /// What is not well, as `level check where`.
    fn unwell(change: impl FnOnce(&mut ClusterStatusResponse)) -> Vec<String> {
        let mut status = sound();
        change(&mut status);
        let unwell = findings(&status).into_iter().filter(|finding| finding.level > Level::Ok);
        unwell
            .map(|finding| {
                assert!(!finding.advice.is_empty(), "{finding:?} does not say what to do");
                format!("{} {} {}", finding.level.name(), finding.check, finding.place)
            })
            .collect()
    }

    #[test]
    fn a_sound_cluster_has_only_good_findings() {
        assert_eq!(unwell(|_| {}), Vec::<String>::new());
        let checks: std::collections::BTreeSet<_> = findings(&sound()).iter().map(|it| it.check).collect();
        let all = [
            "clocks",
            "disk",
            "feature level",
            "leader",
            "nodes",
            "replication",
            "spread",
            "versions",
            "voters",
        ];
        assert_eq!(checks.into_iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn each_thing_that_is_wrong_is_found() {
        type Change = fn(&mut ClusterStatusResponse);
        let cases: [(&[&str], Change); 14] = [
            (&["warn feature level cluster"], |it| it.feature_level = 1),
            (
                &[
                    "bad nodes node3 (3)",
                    "warn voters meta",
                    "warn voters g1",
                    "warn voters g2",
                    "warn voters g3",
                ],
                |it| it.nodes[2].alive = false,
            ),
            (&["warn disk node2 (2)"], |it| it.nodes[1].disk.as_mut().unwrap().level = "warn".into()),
            (&["bad disk node2 (2)"], |it| it.nodes[1].disk.as_mut().unwrap().level = "clean".into()),
            (&["bad disk node2 (2)"], |it| it.nodes[1].disk.as_mut().unwrap().level = "refuse".into()),
            (&["warn versions cluster"], |it| it.nodes[0].version = "0.2.0".into()),
            (&["warn versions cluster"], |it| it.nodes[0].version = String::new()),
            (&["warn clocks cluster"], |it| it.nodes[1].clock_ahead_ms = Some(-400)),
            (&["bad clocks cluster"], |it| it.nodes[1].clock_ahead_ms = Some(60_000)),
            (&["bad topics topic orders"], |it| {
                let topic = |name: &str, for_ms| SpreadingTopic { name: name.into(), for_ms };
                it.spreading = vec![topic("orders", 6_000), topic("others", 1_000)];
            }),
            (&["bad leader g2", "warn spread cluster"], |it| {
                it.groups[2].leader = 0;
                it.groups[3].leader = 1;
            }),
            (&["warn replication g1 of node2 (2)"], |it| it.groups[1].committed = 10_100),
            (&["warn voters g1"], |it| {
                it.nodes.push(node(4));
                it.nodes[3].clock_ahead_ms = None;
                it.groups[1].voters.push(4);
                it.groups[1].replicas.push(replica(4));
            }),
            (&["warn voters g1", "warn replication g1 of node2 (2)"], |it| {
                it.groups[1].replicas[1].role = "rejoining".into();
            }),
        ];
        for (number, (expected, change)) in cases.into_iter().enumerate() {
            let mut found = unwell(change);
            if number == 11 {
                // All three of them.
                found.retain(|it| it.contains("node2"));
            }
            assert_eq!(found, expected, "case {number}");
        }
    }

    #[test]
    fn a_clock_is_not_blamed_for_a_slow_network() {
        let slow = |it: &mut ClusterStatusResponse| {
            it.nodes[1].clock_ahead_ms = Some(400);
            it.nodes[1].clock_doubt_ms = 300;
        };
        assert_eq!(unwell(slow), Vec::<String>::new());
    }

    #[test]
    fn a_single_node_and_a_lost_majority_are_told_apart() {
        let alone = unwell(|it| {
            it.nodes.truncate(1);
            it.groups.truncate(2);
            it.groups.iter_mut().for_each(|group| {
                group.voters.truncate(1);
                group.replicas.truncate(1);
            });
        });
        assert_eq!(alone, ["warn voters meta", "warn voters g1"]);
        let lost = unwell(|it| {
            it.nodes[1].alive = false;
            it.nodes[2].alive = false;
        });
        assert!(lost.contains(&"bad voters g1".to_owned()), "{lost:?}");
    }
}
