//! A power failure takes what was not synced, and nothing else.

use std::time::Duration;

use crate::probe::{answers, ask, ask_within, installed, machines, template};

#[test]
fn what_was_synced_stays_and_everything_else_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let node = cluster.node(2);
    let before = answers(node.address());
    let tell = |line: &str| ask(node.address(), line).unwrap_or_else(|| panic!("no answer to {line}"));
    assert_eq!(tell("write kept synced"), "ok");
    assert_eq!(tell("sync kept"), "ok");
    assert_eq!(tell("write kept -and-not"), "ok");
    assert_eq!(tell("write gone unsynced"), "ok");
    assert_eq!(std::fs::read_to_string(node.directory().join("kept")).unwrap(), "synced-and-not");
    let Some(guard) = installed(&cluster, "power-failure", &[2]) else { return };
    assert_eq!(cluster.pid(2), None);
    assert_eq!(std::fs::read_to_string(node.directory().join("kept")).unwrap(), "synced");
    assert!(!node.directory().join("gone").exists(), "what was not synced is there");
    guard.heal().expect("healed");
    assert_ne!(answers(node.address()), before);
    assert_eq!(ask(node.address(), "write kept -again").as_deref(), Some("ok"));
}

/// A process that is killed resets its connections; a machine without power says nothing.
#[test]
fn a_peer_hears_nothing_of_it() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let Some(guard) = installed(&cluster, "power-failure", &[1, 2]) else { return };
    let dial = format!("dial {}", cluster.node(1).address());
    let answer =
        ask_within(cluster.node(3).address(), &dial, Duration::from_secs(5)).expect("node 3 is there");
    assert!(answer.contains("timed out"), "{answer}");
    drop(guard);
    for node in [1, 2] {
        answers(cluster.node(node).address());
    }
    let kill = installed(&cluster, "kill", &[1]).expect("kills work everywhere");
    let answer =
        ask_within(cluster.node(3).address(), &dial, Duration::from_secs(5)).expect("node 3 is there");
    assert!(answer.contains("refused"), "{answer}");
    drop(kill);
}

/// Whoever let the power fail was killed after the file system was shut down: the process stands still, nothing can be
/// written.
#[test]
fn a_power_failure_that_got_stuck_halfway_is_healed() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let node = cluster.node(1);
    let before = answers(node.address());
    let Some(guard) = installed(&cluster, "power-failure", &[1]) else { return };
    guard.heal().expect("healed");
    // As it is left: the fault is noted, the node's process is alive and stopped, its disk is gone.
    let after = answers(node.address());
    assert_ne!(after, before);
    let state = cluster.state_file();
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    let fault =
        serde_json::json!({ "id": 99, "fault": { "fault": "power-failure" }, "nodes": [1], "since_ns": 1 });
    json["active"] = serde_json::json!([fault]);
    std::fs::write(state, json.to_string()).unwrap();
    let stop = std::process::Command::new("kill").args(["-STOP", &after.to_string()]).status().unwrap();
    assert!(stop.success());
    let mount = node.directory().parent().unwrap();
    let shutdown = "import fcntl, os, struct, sys; \
        fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
    let python =
        std::process::Command::new("/usr/bin/python3").args(["-c", shutdown]).arg(mount).status().unwrap();
    assert!(python.success());
    assert!(std::fs::write(mount.join("file"), "x").is_err(), "the file system is shut down");
    cluster.heal_faults().expect("healed");
    assert_ne!(answers(node.address()), after);
    assert_eq!(ask(node.address(), "write file x").as_deref(), Some("ok"));
}
