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

/// Does it until the nodes lead so many broker groups each: on a busy machine somebody else may be elected meanwhile.
fn until_leads(local: &Local, wanted: impl Fn(&[usize]) -> bool, act: impl Fn()) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        act();
        if wanted(&leads(local)) {
            return;
        }
        assert!(Instant::now() < deadline, "this is not what was wanted: {}", local.status());
    }
}

#[test]
fn leaders_are_spread_under_load_after_it_was_said_how() {
    let (local, _) = Local::start(3, 4);
    local.client(&["topic", "create", "orders", "--queues", "4"]).code(0);
    let all_to_one = || {
        for group in ["g1", "g2", "g3", "g4"] {
            local.client(&["cluster", "transfer-leader", group, "--to", "node1"]).code(0);
        }
    };
    until_leads(&local, |leads| leads == [4, 0, 0], all_to_one);

    let planned = local.client(&["cluster", "rebalance", "--dry-run", "-o", "json"]).code(0).json();
    let moves = planned["plan"]["leaders"]["moves"].as_array().map(Vec::len);
    assert!(moves.is_some_and(|moves| moves > 0), "{planned}");
    // What nobody confirmed is not done.
    let unasked = || {
        all_to_one();
        let unasked = local.client(&["cluster", "rebalance"]).code(2);
        assert!(unasked.out.contains("LEADER OF") && unasked.err.contains("will move"), "{unasked:?}");
    };
    until_leads(&local, |leads| leads == [4, 0, 0], unasked);

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
    assert!(done.iter().all(|it| it["from"] == 1) && !done.is_empty(), "{moved}");
    let rebalance = || drop(local.client(&["cluster", "rebalance", "--yes"]).code(0));
    let even = |leads: &[usize]| leads.iter().max() == Some(&2) && leads.iter().min() == Some(&1);
    until_leads(&local, even, rebalance);
    let again = local.client(&["cluster", "rebalance", "--yes"]).code(0);
    assert!(again.out.contains("nothing to do") || !even(&leads(&local)), "{again:?}");

    // Who was told to step aside gets nothing.
    local.client_of(2, &["cluster", "drain"]).code(0);
    assert_eq!(local.status()["nodes"][1]["draining"], true, "{}", local.status());
    until_leads(&local, |leads| leads == [2, 0, 2], rebalance);
}
