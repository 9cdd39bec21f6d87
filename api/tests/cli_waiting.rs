//! Messages that wait, through the loss of the leader: three processes, one of them killed.

mod cli_process;

use cli_process::ledgermq;
use cli_process::local::Local;
use serde_json::Value;

/// The bodies that a receive printed, sorted.
fn bodies(lines: &str) -> Vec<String> {
    let body = |line: &str| {
        let message: Value = serde_json::from_str(line).expect("a line of JSON");
        message["body"].as_str().expect("a body").to_owned()
    };
    let mut bodies: Vec<String> = lines.lines().map(body).collect();
    bodies.sort();
    bodies
}

#[test]
fn what_waits_survives_the_leader_and_comes_once() {
    let (local, started) = Local::start(3, 1);
    let delayed = ["send", "demo", "--body", "later {i}", "--count", "20", "--delay", "6s", "-o", "json"];
    let delayed = local.client(&delayed).code(0).out;
    let recalled: Value = serde_json::from_str(delayed.lines().next().expect("a line")).expect("JSON");
    let open = ["send", "demo", "--body", "half", "--transaction", "leave-open", "-o", "json"];
    let open = local.client(&open).code(0).json();
    let dropped = ["send", "demo", "--body", "dropped", "--transaction", "rollback"];
    local.client(&dropped).code(0);

    let leader = local.leader("g1");
    let endpoint = started["nodes"][(leader % 3) as usize]["grpc"].as_str().unwrap();
    local.local(&["kill", &leader.to_string()]).code(0);

    let with = |args: &[&str]| ledgermq(&[args, &["--endpoint", endpoint]].concat());
    let listed = with(&["transaction", "list", "-o", "json"]).code(0).json();
    assert_eq!(listed["transactions"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["transactions"][0]["transaction_id"], open["transaction_id"], "{listed}");
    let (transaction, id) = (open["transaction_id"].as_str().unwrap(), open["message_id"].as_str().unwrap());
    let commit = ["transaction", "commit", "demo", transaction, "--id", id];
    with(&commit).code(2);
    let commit = [&commit[..], &["--yes"]].concat();
    with(&commit).code(0);
    with(&commit).code(0);
    let rollback = ["transaction", "rollback", "demo", transaction, "--id", id, "--yes"];
    assert!(with(&rollback).code(1).err.contains("committed"), "the other end is refused");
    let recall = ["message", "recall", "demo", recalled["recall_handle"].as_str().unwrap()];
    with(&recall).code(0);

    let receive = ["receive", "demo", "-g", "g", "--max", "20", "--wait", "20s", "-o", "json"];
    let mut expected: Vec<String> = (1..20).map(|number| format!("later {number}")).collect();
    expected.push("half".to_owned());
    expected.sort();
    assert_eq!(bodies(&with(&receive).code(0).out), expected);
    let nothing = with(&["receive", "demo", "-g", "g", "--max", "1", "--wait", "5s", "-o", "json"]);
    assert_eq!(nothing.out, "", "a message came twice, or one that was recalled or rolled back came");
}
