//! Replicas of placed broker groups that move from node to node under load.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::cli_process::local::Local;
use crate::placement::{dir, group, receive_all};

fn sorted(of: &Value) -> Vec<u64> {
    let mut ids: Vec<u64> = of.as_array().expect("ids").iter().filter_map(Value::as_u64).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn replicas_move_under_load_and_no_send_fails() {
    let (local, _) = Local::start(5, 1);
    local.client(&["cluster", "add-groups", "3", "--nodes", "1,2,3"]).code(0);
    local.client_of(4, &["topic", "create", "orders", "--queues", "4"]).code(0);
    local.client_of(4, &["group", "create", "readers"]).code(0);
    let unasked = local.client(&["cluster", "move-replica", "g2", "--from", "1", "--to", "4"]).code(2);
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    for (args, why) in [
        (["g1", "1", "4"], "is on all nodes"),
        (["g2", "5", "4"], "node 5 does not hold g2"),
        (["g2", "1", "2"], "node 2 holds g2 already"),
    ] {
        let [group, from, to] = args;
        let refused =
            local.client(&["cluster", "move-replica", group, "--from", from, "--to", to, "--yes"]).code(1);
        assert!(refused.err.contains(why), "{refused:?}");
    }

    let ended = AtomicBool::new(false);
    let (sent, planned) = std::thread::scope(|scope| {
        let load = |node: u64| {
            let (local, ended) = (&local, &ended);
            scope.spawn(move || {
                let mut sent = BTreeSet::new();
                while !ended.load(Ordering::Relaxed) {
                    let body = format!("{node} {}", sent.len());
                    local.client_of(node, &["send", "orders", "--body", &body, "--timeout", "30s"]).code(0);
                    sent.insert(body);
                }
                sent
            })
        };
        let loads = [load(1), load(5)];
        // Whoever leads it goes: the leadership goes along.
        let leader = local.leader("g2").to_string();
        let moved = ["cluster", "move-replica", "g2", "--from", &leader, "--to", "node4", "--yes"];
        let first = local.client_of(5, &moved);
        let again = local.client_of(2, &moved);
        let planned = local.client_of(3, &["cluster", "rebalance", "--yes", "-o", "json"]);
        ended.store(true, Ordering::Relaxed);
        let sent: BTreeSet<String> =
            loads.into_iter().flat_map(|load| load.join().expect("no send failed")).collect();
        first.code(0);
        again.code(0);
        (sent, planned.code(0).json())
    });
    assert!(sent.len() > 20, "{} messages are no load", sent.len());
    for name in ["g2", "g3", "g4"] {
        let group = group(&local, name);
        assert_eq!(sorted(&group["placed"]), sorted(&group["voters"]), "{group}");
        assert_eq!(sorted(&group["placed"]).len(), 3, "{group}");
    }
    let holds = planned["plan"]["replicas"]["nodes"].as_array().expect("nodes").iter();
    let holds: Vec<u64> = holds.filter_map(|node| node["after"].as_u64()).collect();
    assert_eq!(holds.iter().sum::<u64>(), 9);
    assert!(holds.iter().all(|count| (1..=2).contains(count)), "{planned}");
    let again = local.client(&["cluster", "rebalance", "--yes", "-o", "json"]).code(0).json();
    // On a busy machine somebody else may be elected meanwhile.
    assert_eq!(again["plan"]["replicas"]["moves"], json!([]), "{again}");

    // What a node gave up it deletes when it starts, and nothing else.
    let gone: Vec<(u64, &str)> = (1..=5)
        .flat_map(|node| ["g2", "g3", "g4"].map(|name| (node, name)))
        .filter(|(node, name)| {
            let is_placed = sorted(&group(&local, name)["placed"]).contains(node);
            !is_placed && dir(&local, *node, name).exists()
        })
        .collect();
    assert!(!gone.is_empty());
    for node in 1..=5_u64 {
        local.local(&["restart", &node.to_string()]).code(0);
    }
    for node in 1..=5 {
        for name in ["g1", "g2", "g3", "g4"] {
            let placed = &group(&local, name)["placed"];
            let holds = placed.is_null() || sorted(placed).contains(&node);
            assert_eq!(dir(&local, node, name).exists(), holds, "{name} at node {node}: {placed}");
        }
    }
    receive_all(&local, 5, &sent);
}
