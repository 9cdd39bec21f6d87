//! `ledgermq verify`: what it says of a sound broker, and what it leaves behind.

mod cli_process;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use checkers::history::{Call, History};
use cli_process::local::Local;
use cli_process::ports::free_base_port;
use cli_process::{Background, command, ended, ledgermq};
use serde_json::Value;

fn start(port: u16, data: &Path) -> Background {
    let bind = format!("127.0.0.1:{port}");
    Background::start(&["dev", "--bind", &bind, "--data", data.to_str().unwrap()], "Ctrl-C stops it")
}

/// Topics (those of dead letters too) and consumer groups that are there.
fn left(endpoint: &str) -> (Vec<Value>, Vec<Value>) {
    let list = |args: &[&str], of: &str| {
        let listed = ledgermq(&[args, &["-o", "json", "--endpoint", endpoint]].concat()).code(0).json();
        listed[of].as_array().unwrap_or_else(|| panic!("no {of}: {listed}")).clone()
    };
    (list(&["topic", "list", "--all"], "topics"), list(&["group", "list"], "groups"))
}

fn verdict<'v>(judged: &'v Value, property: &str) -> &'v Value {
    let properties = judged["properties"].as_array().unwrap();
    let line = properties.iter().find(|line| line["property"] == property);
    &line.unwrap_or_else(|| panic!("no {property}: {judged}"))["verdict"]
}

#[test]
fn a_sound_broker_keeps_its_promises_and_nothing_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let _node = start(port, scratch.path());
    let file = scratch.path().join("history.jsonl");
    let args = ["verify", "--seconds", "3", "--rate", "300", "--endpoint", &endpoint, "-o", "json"];
    let judged = ledgermq(&[&args[..], &["--history", file.to_str().unwrap()]].concat()).code(0).json();
    assert_eq!((&judged["held"], &judged["complete"]), (&true.into(), &true.into()), "{judged}");
    let all =
        ["durability", "no_phantom", "offset_agreement", "producer_order", "fifo", "delay", "redelivery"];
    for property in all.into_iter().chain(["acknowledgement", "receive_linearizability", "conservation"]) {
        assert_eq!(verdict(&judged, property), "held", "{property}: {judged}");
    }
    assert!(judged["work"]["acknowledged"].as_u64().unwrap() > 500, "{judged}");
    assert!(judged["work"]["longest_send_gap_ms"].as_f64().unwrap() > 0.0, "{judged}");
    assert_eq!(left(&endpoint), (Vec::new(), Vec::new()));

    // The history shows that some leases were left to end, and that those messages came again.
    let history = History::open(&file).unwrap();
    assert!(history.is_complete(), "{:?}", history.finish);
    let attempts = history.operations.iter().filter_map(|operation| match &operation.call {
        Call::Receive(receive) => Some(receive.delivered.iter().map(|delivery| delivery.attempt)),
        _ => None,
    });
    assert_eq!(attempts.flatten().max(), Some(2), "no message came again");

    let text = ledgermq(&["verify", "--seconds", "1", "--types", "fifo", "--endpoint", &endpoint]).code(0);
    assert!(text.out.contains("Every promise held."), "{text:?}");
    assert!(text.out.contains("one batch at a time, in order"), "{text:?}");
}

#[test]
fn promises_are_kept_while_the_leader_is_killed() {
    let (local, started) = Local::start(3, 1);
    let leader = local.leader("g1");
    let other = started["nodes"][(leader % 3) as usize]["grpc"].as_str().unwrap().to_owned();
    let mut verify = command(&["verify", "--seconds", "6", "--endpoint", &other, "-o", "json"]);
    let running = verify.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once its topics are there it sends.
    let deadline = Instant::now() + Duration::from_secs(20);
    while left(&other).1.len() < 3 {
        assert!(Instant::now() < deadline, "nothing was made: {:?}", left(&other));
    }
    local.local(&["kill", &leader.to_string()]).code(0);
    let output = running.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}{}", String::from_utf8_lossy(&output.stdout));
    let judged: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(judged["held"], true, "{judged}");
    assert_eq!(verdict(&judged, "durability"), "held", "{judged}");
    assert_eq!(left(&other), (Vec::new(), Vec::new()));
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let _node = start(port, scratch.path());
    for name in ["INT", "TERM"] {
        let mut verify = command(&["verify", "--seconds", "60", "--endpoint", &endpoint]);
        let running = verify.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while left(&endpoint).1.is_empty() {
            assert!(Instant::now() < deadline, "nothing was made");
        }
        let mut kill = std::process::Command::new("kill");
        kill.args([format!("-{name}"), running.id().to_string()]);
        assert_eq!(ended(kill).code, 0);
        let output = running.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&format!("SIG{name}")), "{errors}");
        assert_eq!(left(&endpoint), (Vec::new(), Vec::new()), "after SIG{name}");
    }
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_made() {
    let nowhere = format!("127.0.0.1:{}", free_base_port(1));
    ledgermq(&["verify", "--endpoint", &nowhere]).code(4);
    let refused = ledgermq(&["verify", "--rate", "100000", "--seconds", "3600"]).code(2);
    assert!(refused.err.contains("at most"), "{refused:?}");
    ledgermq(&["verify", "--types", "transaction"]).code(2);
    let unwritable =
        ledgermq(&["verify", "--history", "/nowhere/history.jsonl", "--endpoint", &nowhere]).code(1);
    assert!(unwritable.err.contains("write the history"), "{unwritable:?}");
}
