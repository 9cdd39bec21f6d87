//! What the status of a cluster tells. Nothing is asked here: each check judges what the nodes said.

use proto::admin::{BrokerGroup, ClusterStatusResponse, Node};

use super::{Finding, Level};
use crate::client::cluster_view::ClusterView;
use crate::rebalance::leaders::plan;
use crate::sentence::Sentence;

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
        let advice = Sentence::new(
            "start_node",
            "start it, or look at its log for why it ended; `ledgermq cluster repair` if its data is damaged",
        );
        let what = Sentence::new("node_silent", "it does not answer");
        found.push(Finding::new(Level::Bad, "nodes", name(node), what, advice));
    }
    if dead.is_empty() {
        let what = Sentence::new("nodes_answer", "all {nodes} answer").with("nodes", status.nodes.len());
        found.push(Finding::ok("nodes", "cluster", what));
    }
}

fn disks(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    for (node, disk) in living(status).filter_map(|node| Some((node, node.disk.as_ref()?))) {
        let used = |code, template| {
            let sentence = Sentence::new(code, template).with("percent", disk.used_percent);
            sentence.with("mib", disk.free_bytes >> 20)
        };
        let (level, what, advice) = match disk.level.as_str() {
            "normal" => {
                found.push(Finding::ok(
                    "disk",
                    name(node),
                    used("disk_used", "{percent} % used, {mib} MiB free"),
                ));
                continue;
            }
            "warn" => (
                Level::Warn,
                used("disk_fills", "{percent} % used, {mib} MiB free: it fills up"),
                Sentence::new(
                    "disk_room_or_less",
                    "give it room, or lower retention.keep_ms or retention.log_bytes",
                ),
            ),
            "clean" => (
                Level::Bad,
                used("disk_cleans", "{percent} % used, {mib} MiB free: the oldest messages go"),
                Sentence::new("disk_room_or_shorter", "give it room, or lower retention.keep_ms"),
            ),
            _ => (
                Level::Bad,
                used("disk_full", "{percent} % used, {mib} MiB free: no messages are taken, on any node"),
                Sentence::new("disk_room", "give it room at once"),
            ),
        };
        found.push(Finding::new(level, "disk", name(node), what, advice));
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
            let what = Sentence::new("versions_same", "all nodes run {version}").with("version", version);
            found.push(Finding::ok("versions", "cluster", what));
        }
        _ => {
            let listed: Vec<String> = living(status)
                .map(|node| {
                    let version = if node.version.is_empty() { "?" } else { &node.version };
                    format!("{} {version}", name(node))
                })
                .collect();
            let what = Sentence::new("versions_differ", "not all nodes run the same: {listed}")
                .with("listed", listed.join(", "));
            let advice =
                Sentence::new("one_version", "fine during an upgrade; bring all nodes to one version");
            found.push(Finding::new(Level::Warn, "versions", "cluster", what, advice));
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
        let what = Sentence::new("feature_level", "it is {level}").with("level", level);
        found.push(Finding::ok("feature level", "cluster", what));
        return;
    }
    let advice = Sentence::new(
        "raise_feature_level",
        "if no node is to run an older version again: `ledgermq cluster feature-level --raise`",
    );
    let what = Sentence::new(
        "feature_level_low",
        "it is {level}, and all nodes can read {common}: features are held back",
    );
    let what = what.with("level", level).with("common", common);
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
        let within = Sentence::new("clocks_agree", "those of {nodes} nodes are within {ms} ms");
        let within = within.with("nodes", told.len()).with("ms", CLOCKS_WARN_MS);
        found.push(Finding::ok("clocks", "cluster", within));
        return;
    }
    let what = Sentence::new("clocks_differ", "that of {high} is at least {ms} ms ahead of that of {low}");
    let what = what.with("high", name(high)).with("ms", apart).with("low", name(low));
    let advice =
        Sentence::new("set_clocks", "run chrony or ntpd on every node; delays and leases go by these clocks");
    found.push(Finding::new(level, "clocks", "cluster", what, advice));
}

fn leader(group: &BrokerGroup, found: &mut Vec<Finding>) {
    match group.leader {
        0 => {
            let advice = Sentence::new(
                "start_holders",
                "start the nodes that hold it: a majority of its voters must run",
            );
            let what = Sentence::new("no_leader", "nobody leads it");
            found.push(Finding::new(Level::Bad, "leader", &group.name, what, advice));
        }
        leader => {
            let what = Sentence::new("leader", "node {leader} leads it").with("leader", leader);
            found.push(Finding::ok("leader", &group.name, what));
        }
    }
}

fn voters(status: &ClusterStatusResponse, group: &BrokerGroup, found: &mut Vec<Finding>) {
    let voters = group.voters.len();
    let alive = group.voters.iter().filter(|id| living(status).any(|node| node.id == **id));
    let speaks =
        |id: &&u64| group.replicas.iter().any(|replica| replica.node == **id && replica.role != "rejoining");
    let (alive, majority) = (alive.filter(speaks).count(), voters / 2 + 1);
    if voters == 0 {
        return;
    }
    let counted = |code, template| {
        let sentence = Sentence::new(code, template).with("alive", alive);
        sentence.with("voters", voters).with("majority", majority)
    };
    let (level, what, advice) = if alive < majority {
        (
            Level::Bad,
            counted("voters_too_few", "{alive} of {voters} voters run, {majority} are needed"),
            Sentence::new("start_the_others", "start the others: until then it takes and gives no messages"),
        )
    } else if voters == 1 {
        (
            Level::Warn,
            Sentence::new("voter_alone", "one node alone holds it"),
            Sentence::new("add_nodes", "what its disk loses is lost: add nodes, or back it up often"),
        )
    } else if alive == majority {
        (
            Level::Warn,
            counted(
                "voters_none_to_spare",
                "{alive} of {voters} voters run, {majority} are needed: none to spare",
            ),
            Sentence::new(
                "next_failure_stops",
                "the next failure stops it: start the others, or `ledgermq cluster add-voter`",
            ),
        )
    } else if voters.is_multiple_of(2) {
        (
            Level::Warn,
            Sentence::new("voters_even", "{voters} voters survive no more failures than {fewer}")
                .with("voters", voters)
                .with("fewer", voters - 1),
            Sentence::new(
                "odd_number",
                "`ledgermq cluster add-voter` or `remove-voter`: an odd number is as safe and faster",
            ),
        )
    } else {
        let what = counted("voters_run", "{alive} of {voters} voters run, {majority} are needed");
        found.push(Finding::ok("voters", &group.name, what));
        return;
    };
    found.push(Finding::new(level, "voters", &group.name, what, advice));
}

fn replicas(status: &ClusterStatusResponse, group: &BrokerGroup, found: &mut Vec<Finding>) {
    let mut behind = 0;
    for replica in &group.replicas {
        let of = status.nodes.iter().find(|node| node.id == replica.node);
        let place = format!("{} of {}", group.name, of.map_or(replica.node.to_string(), name));
        if replica.role == "rejoining" {
            let what =
                Sentence::new("replica_rebuilt", "it is being rebuilt, and has no vote before it is whole");
            let advice = Sentence::new("keep_others", "keep the other nodes running until it is");
            found.push(Finding::new(Level::Warn, "replication", place, what, advice));
            continue;
        }
        let lag = group.committed.saturating_sub(replica.applied_index);
        behind = behind.max(lag);
        if lag >= LAG_WARN {
            let advice = Sentence::new(
                "look_at_replica",
                "look at its disk and network; it catches up by itself if it is fast enough",
            );
            let what = Sentence::new("replica_behind", "it is {entries} entries behind").with("entries", lag);
            found.push(Finding::new(Level::Warn, "replication", place, what, advice));
        }
    }
    if behind < LAG_WARN {
        let what = Sentence::new("replicas_level", "no replica is more than {entries} entries behind")
            .with("entries", behind);
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
        let what = Sentence::new(
            "leaders_even",
            "broker groups are led by all nodes alike, as far as these may lead them",
        );
        found.push(Finding::ok("spread", "cluster", what));
        return;
    }
    let what = Sentence::new("leaders_uneven", "{most} leads {many} broker groups, and {fewest} leads {few}");
    let what = what.with("most", &most.name).with("many", most.before);
    let what = what.with("fewest", &fewest.name).with("few", fewest.before);
    let advice = Sentence::new("rebalance", "`ledgermq cluster rebalance` spreads them");
    found.push(Finding::new(Level::Warn, "spread", "cluster", what, advice));
}

/// Nobody is held up for longer than a moment while message groups are spread over more queues; it gives up by itself.
fn spreading(status: &ClusterStatusResponse, found: &mut Vec<Finding>) {
    for topic in status.spreading.iter().filter(|topic| topic.for_ms > SPREADING_WARN_MS) {
        let what =
            Sentence::new("spread_long", "its message groups are being spread for {seconds} s, and wait")
                .with("seconds", topic.for_ms / 1000);
        let advice = Sentence::new(
            "abort_spread",
            "look whether every group has a leader; `ledgermq topic spread {topic} --abort` has it go on as before",
        )
        .with("topic", &topic.name);
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
