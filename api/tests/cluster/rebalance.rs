//! Leaders that are spread over the nodes again by `cluster rebalance`, under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_process::ledgermq;
use crate::cli_process::local::Local;

/// How many broker groups each node leads, by node.
fn leads(local: &Local) -> Vec<usize> {
    let status = local.status();
    let groups = status["groups"].as_array().expect("groups");
    let leaders: Vec<u64> = groups
        .iter()
        .filter(|group| group["name"] != "meta")
        .filter_map(|it| it["leader"].as_u64())
        .collect();
    (1..=3).map(|node| leaders.iter().filter(|leader| **leader == node).count()).collect()
}

#[test]
fn leaders_are_spread_under_load_after_it_was_said_how() {
    let (local, _) = Local::start(3, 4);
    local.client(&["topic", "create", "orders", "--queues", "4"]).code(0);
    // On a busy machine somebody else may be elected meanwhile.
    let deadline = Instant::now() + Duration::from_secs(60);
    while leads(&local) != [4, 0, 0] {
        assert!(Instant::now() < deadline, "node 1 does not get to lead: {}", local.status());
        for group in ["g1", "g2", "g3", "g4"] {
            local.client(&["cluster", "transfer-leader", group, "--to", "node1"]).code(0);
        }
    }

    let planned = local.client(&["cluster", "rebalance", "--dry-run", "-o", "json"]).code(0).json();
    assert_eq!(planned["plan"]["leaders"]["moves"].as_array().map(Vec::len), Some(2), "{planned}");
    let unasked = local.client(&["cluster", "rebalance"]).code(2);
    assert!(
        unasked.out.contains("LEADER OF") && unasked.err.contains("2 leaderships will move"),
        "{unasked:?}"
    );
    assert_eq!(leads(&local), [4, 0, 0], "something was done that nobody asked for");

    let ended = AtomicBool::new(false);
    let moved = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut sent = 0;
            while !ended.load(Ordering::Relaxed) {
                let body = sent.to_string();
                ledgermq(&["send", "orders", "--body", &body, "--endpoint", &local.endpoint]).code(0);
                sent += 1;
            }
            sent
        });
        let moved = local.client_of(2, &["cluster", "rebalance", "--yes", "-o", "json"]);
        ended.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no send failed") > 0);
        moved.code(0).json()
    });
    let done: Vec<&Value> = moved["moved"].as_array().expect("moves").iter().collect();
    assert!(done.iter().all(|it| it["from"] == 1) && done.len() == 2, "{moved}");
    assert_eq!(leads(&local), [2, 1, 1]);
    let again = local.client(&["cluster", "rebalance", "--yes"]).code(0);
    assert!(again.out.contains("nothing to do"), "{again:?}");

    // Who was told to step aside gets nothing.
    local.client_of(2, &["cluster", "drain"]).code(0);
    assert_eq!(local.status()["nodes"][1]["draining"], true, "{}", local.status());
    local.client(&["cluster", "rebalance", "--yes"]).code(0);
    assert_eq!(leads(&local), [2, 0, 2]);
}
