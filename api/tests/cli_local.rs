//! Three processes on this machine: started, killed, restarted, stopped.

mod cli_process;

use cli_process::ledgermq;
use cli_process::local::Local;
use serde_json::Value;

#[test]
fn a_cluster_outlives_its_leader() {
    let (local, started) = Local::start(3, 1);
    let nodes = started["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3, "{started}");
    assert!(nodes.iter().all(|node| node["alive"] == true && node["pid"].as_u64().unwrap() > 0), "{started}");
    for key in ["id", "name", "grpc", "http", "peer", "pid", "alive"] {
        assert!(!nodes[0][key].is_null(), "{key} is missing: {started}");
    }
    let group = started["groups"].as_array().unwrap().iter().find(|group| group["name"] == "g1").unwrap();
    for key in ["node", "role", "last_index", "applied_index", "durable_index"] {
        assert!(!group["replicas"][0][key].is_null(), "{key} is missing: {started}");
    }
    let again = local.local(&["start", "--detach"]).code(1);
    assert!(again.err.contains("stop it with `ledgermq local stop`"), "{again:?}");

    local.client(&["send", "demo", "--body", "before"]).code(0);
    let leader = local.leader("g1");
    // The endpoint of the client commands is node 1: another one is asked where that is the dead one.
    let endpoint = started["nodes"][(leader % 3) as usize]["grpc"].as_str().unwrap();
    let pid = started["nodes"][leader as usize - 1]["pid"].clone();
    local.local(&["kill", &leader.to_string()]).code(0);
    let status = local.status();
    let dead = &status["nodes"][leader as usize - 1];
    assert_eq!((&dead["alive"], &dead["pid"]), (&false.into(), &pid), "{status}");
    local.local(&["kill", &leader.to_string()]).code(3);
    ledgermq(&["send", "demo", "--body", "after", "--endpoint", endpoint]).code(0);
    let args = ["receive", "demo", "-g", "g", "--max", "2", "-o", "json", "--endpoint", endpoint];
    let received = ledgermq(&args).code(0).out;
    assert!(received.contains("\"before\"") && received.contains("\"after\""), "{received}");
    assert_ne!(local.leader("g1"), leader);

    let restarted = local.local(&["restart", &format!("node{leader}"), "-o", "json"]).code(0).json();
    assert_ne!(restarted["pid"], pid);
    local.leader("g1");
    let moved =
        local.client(&["cluster", "transfer-leader", "g1", "--to", &leader.to_string(), "-o", "json"]);
    assert_eq!(moved.code(0).json()["leader"], leader);

    local.local(&["stop"]).code(0);
    let stopped = local.status();
    assert!(stopped["nodes"].as_array().unwrap().iter().all(|node| node["alive"] == false), "{stopped}");
    assert_eq!(stopped["groups"], Value::Array(Vec::new()));

    // Started again it is the same cluster.
    local.local(&["start", "--detach", "--nodes", "5"]).code(2);
    local.local(&["start", "--detach"]).code(0);
    local.client(&["receive", "demo", "-g", "other", "--max", "2"]).code(0);
}

#[test]
fn several_groups_have_leaders_on_several_nodes() {
    let (local, started) = Local::start(3, 3);
    let mut leaders: Vec<u64> = ["g1", "g2", "g3"].iter().map(|group| local.leader(group)).collect();
    leaders.sort_unstable();
    leaders.dedup();
    assert!(leaders.len() > 1, "one node leads everything: {started}");
    local.client(&["send", "demo", "--body", "{i}", "--count", "20"]).code(0);
    let received = local.client(&["receive", "demo", "-g", "g", "--max", "20", "-o", "json"]).code(0).out;
    assert_eq!(received.lines().count(), 20);
}
