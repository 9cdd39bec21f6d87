//! Broker groups that only some nodes hold: the others take clients for them all the same.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_process::local::Local;
use crate::cli_process::until_more;

const PATIENCE: Duration = Duration::from_secs(60);
/// Messages between two things that happen; every second one is for `g2`.
const SENT_BETWEEN: u64 = 20;

/// Five nodes; `g2` is on the first three.
fn placed() -> Local {
    let (local, _) = Local::start(5, 1);
    let added = local.client_of(5, &["cluster", "add-groups", "--nodes", "node1,node2,3", "-o", "json"]);
    assert_eq!(added.code(0).json()["groups"], serde_json::json!(["g2"]));
    // Its queues are in both groups: g1, which is everywhere, and g2.
    local.client_of(4, &["topic", "create", "orders", "--queues", "2"]).code(0);
    local.client_of(4, &["group", "create", "readers"]).code(0);
    local
}

/// What the status says of a group.
pub fn group(local: &Local, name: &str) -> Value {
    group_at(local, 5, name)
}

/// What it says at this node.
fn group_at(local: &Local, node: u64, name: &str) -> Value {
    let status = local.client_of(node, &["cluster", "status", "-o", "json"]).code(0).json();
    let groups = status["groups"].as_array().expect("groups").clone();
    groups.into_iter().find(|group| group["name"] == name).unwrap_or_else(|| panic!("no {name}: {status}"))
}

/// Where a node has what it holds of a group.
pub fn dir(local: &Local, node: u64, group: &str) -> PathBuf {
    local.data.path().join(format!("node{node}/data/groups/{group}"))
}

/// Receives at this node until everything that was sent has come.
pub fn receive_all(local: &Local, node: u64, sent: &BTreeSet<String>) {
    let (mut bodies, deadline) = (BTreeSet::new(), Instant::now() + PATIENCE);
    while bodies != *sent {
        assert!(bodies.is_subset(sent), "{bodies:?} came of {sent:?}");
        assert!(
            Instant::now() < deadline,
            "these do not come: {:?}: {}",
            sent - &bodies,
            local.client_of(node, &["group", "describe", "readers", "-o", "json"]).out
        );
        let received = local.client_of(
            node,
            &["receive", "orders", "--group", "readers", "--max", "32", "--wait", "2s", "-o", "json"],
        );
        assert!([0, 3].contains(&received.code), "{received:?}");
        bodies.extend(received.out.lines().map(|line| {
            let message: Value = serde_json::from_str(line).expect("JSON");
            message["body"].as_str().expect("a body").to_owned()
        }));
    }
}

#[test]
fn who_does_not_hold_a_group_serves_it_while_its_leader_is_killed() {
    let local = placed();
    assert_eq!(group(&local, "g2")["placed"], serde_json::json!([1, 2, 3]));
    assert_eq!(group(&local, "g2")["replicas"].as_array().map(Vec::len), Some(3));
    assert_eq!(group(&local, "g1")["placed"], Value::Null);
    assert!(dir(&local, 3, "g2").exists() && !dir(&local, 5, "g2").exists());

    let (ended, counted) = (AtomicBool::new(false), AtomicU64::new(0));
    let sent = std::thread::scope(|scope| {
        let load = |node: u64| {
            let (local, ended, counted) = (&local, &ended, &counted);
            scope.spawn(move || {
                let mut sent = BTreeSet::new();
                let mut longest = Duration::ZERO;
                while !ended.load(Ordering::Relaxed) {
                    let (body, began) = (format!("{node} {}", sent.len()), Instant::now());
                    local.client_of(node, &["send", "orders", "--body", &body, "--timeout", "30s"]).code(0);
                    longest = longest.max(began.elapsed());
                    sent.insert(body);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                println!("the longest send through node {node} took {longest:?}");
                sent
            })
        };
        let loads = [load(4), load(5)];
        until_more(&counted, SENT_BETWEEN);
        for _ in 0..2 {
            let leader = local.leader("g2");
            local.local(&["kill", &leader.to_string()]).code(0);
            until_more(&counted, SENT_BETWEEN);
            local.local(&["restart", &leader.to_string()]).code(0);
        }
        ended.store(true, Ordering::Relaxed);
        loads.into_iter().flat_map(|load| load.join().expect("no send failed")).collect::<BTreeSet<_>>()
    });
    assert!(sent.len() > 20, "{} messages are no load", sent.len());
    receive_all(&local, 5, &sent);
    assert!(!dir(&local, 4, "g2").exists(), "a node made a replica that it is not to hold");
}

#[test]
fn what_looks_at_all_groups_looks_at_those_that_are_elsewhere() {
    let local = placed();
    for body in ["a", "b", "c", "d", "e", "f"] {
        local.client_of(5, &["send", "orders", "--body", body, "--key", body]).code(0);
    }
    let described = local.client_of(5, &["topic", "describe", "orders", "-o", "json"]).code(0).json();
    let ends = described["queues"].as_array().expect("queues").iter();
    assert_eq!(ends.filter_map(|queue| queue["next_offset"].as_u64()).sum::<u64>(), 6, "{described}");
    for body in ["a", "b", "c", "d", "e", "f"] {
        local.client_of(5, &["message", "query", "orders", "--key", body, "-o", "json"]).code(0);
    }
    receive_all(&local, 4, &["a", "b", "c", "d", "e", "f"].map(str::to_owned).into());
    local.client_of(5, &["group", "describe", "readers"]).code(0);
    local.client_of(5, &["cluster", "digest", "--wait", "30s"]).code(0);
    local.client_of(5, &["cluster", "doctor"]).code(0);
    local.client_of(5, &["cluster", "transfer-leader", "g2", "--to", "node3"]).code(0);
    assert_eq!(local.leader("g2"), 3);
    let backup = local.data.path().join("backup");
    local.client_of(5, &["cluster", "backup", backup.to_str().expect("UTF-8")]).code(0);

    // A node that does not hold it starts without it, and goes without taking anything of it.
    local.local(&["restart", "5"]).code(0);
    local.client_of(5, &["send", "orders", "--body", "again"]).code(0);
    assert!(!dir(&local, 5, "g2").exists());
    local.client_of(1, &["cluster", "remove-node", "node5", "--yes"]).code(0);
    local.client_of(1, &["cluster", "remove-node", "node3", "--yes"]).code(0);
    assert_eq!(group_at(&local, 1, "g2")["placed"], serde_json::json!([1, 2]));
}

#[test]
fn broker_groups_are_not_placed_where_they_cannot_be() {
    let (local, _) = Local::start(3, 1);
    for (nodes, why) in [
        ("node1,node2", "one, three or five nodes"),
        ("node1,node2,node9", "there is no node node9"),
        ("node1,1,2", "2 are named"),
    ] {
        let refused = local.client(&["cluster", "add-groups", "--nodes", nodes]).code(1);
        assert!(refused.err.contains(why), "{refused:?}");
    }
    local.local(&["kill", "3"]).code(0);
    let refused = local.client(&["cluster", "add-groups", "--nodes", "1,2,3"]).code(1);
    assert!(refused.err.contains("node 3 does not answer"), "{refused:?}");
}
