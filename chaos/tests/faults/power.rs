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
