//! A replica whose log is damaged refuses to start, and is rebuilt from the others without endangering them.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_process::local::Local;

pub(crate) const MESSAGES: usize = 400;
/// Behind the segment's header, and before what was written last.
const DAMAGE_AT: u64 = 16 << 10;
const DAMAGE: [u8; 4096] = [0xAA; 4096];
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Many election timeouts.
const LONG: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often these nodes have seen one of them lead g1 so far. Of another one they may still believe it.
fn led(local: &Local, nodes: [u64; 2]) -> usize {
    let said = nodes.map(|node| local.log_of(node)).concat();
    nodes.map(|node| said.matches(&format!("leader group=g1 leader=Some({node})")).count()).iter().sum()
}

pub(crate) fn send(local: &Local, messages: usize) {
    let count = messages.to_string();
    local.client(&["send", "orders", "--body", "what must not be lost", "--count", &count]).code(0);
}

fn damage(local: &Local, node: u64) {
    let path = format!("node{node}/data/groups/g1/log/00000000000000000000.log");
    let file = OpenOptions::new().write(true).open(local.data.path().join(path)).expect("a segment");
    file.write_all_at(&DAMAGE, DAMAGE_AT).expect("written");
}

/// `cluster repair` on the node; what it prints.
pub(crate) fn repair(local: &Local, node: u64, code: i32) -> Value {
    let (data, node) = (local.data.path().to_str().expect("UTF-8"), node.to_string());
    let args = ["cluster", "repair", &node, "--data", data, "--yes", "-o", "json"];
    let ended = crate::cli_process::ledgermq(&args).code(code);
    if code == 0 { ended.json() } else { Value::Null }
}

/// What the status says of a node's replica of g1.
fn replica(status: &Value, node: u64) -> Value {
    let groups = status["groups"].as_array().expect("groups");
    let group = groups.iter().find(|group| group["name"] == "g1").expect("g1");
    let replicas = group["replicas"].as_array().expect("replicas");
    replicas.iter().find(|replica| replica["node"] == node).cloned().unwrap_or_default()
}

pub(crate) fn until(local: &Local, what: &str, fits: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = local.status();
        if fits(&status) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {status}");
    }
}

fn received(local: &Local, group: &str) -> usize {
    let max = (2 * MESSAGES).to_string();
    let args = ["receive", "orders", "--group", group, "--max", &max, "--wait", "3s", "-o", "json"];
    let ended = local.client(&args).code(0);
    ended.out.lines().filter(|line| line.contains("what must not be lost")).count()
}

#[test]
fn a_damaged_replica_is_refused_with_a_precise_message_and_rebuilt_with_nothing_lost() {
    let (local, _) = Local::start(3, 1);
    local.client(&["topic", "create", "orders", "--queues", "1"]).code(0);
    send(&local, MESSAGES);
    let leader = local.leader("g1");
    let follower = if leader == 3 { 2 } else { 3 };
    repair(&local, follower, 1);
    local.local(&["kill", &follower.to_string()]).code(0);
    repair(&local, follower, 3);
    damage(&local, follower);

    let refused = local.local(&["restart", &follower.to_string()]).code(1);
    for part in ["00000000000000000000", "position", "ledgermq cluster repair"] {
        assert!(refused.err.contains(part), "no {part:?} in: {}", refused.err);
    }
    let repaired = repair(&local, follower, 0);
    let group = |name: &str| {
        let groups = repaired["groups"].as_array().expect("groups");
        groups.iter().find(|group| group["group"] == name).expect("the group").clone()
    };
    assert_eq!(group("g1")["rebuilt_at_next_start"], true, "{repaired}");
    assert_eq!(group("meta")["rebuilt_at_next_start"], false, "{repaired}");
    local.local(&["restart", &follower.to_string()]).code(0);
    until(&local, "whole again", |status| replica(status, follower)["role"] == "follower");
    let kept = local.data.path().join(format!("node{follower}/data/groups/g1/damaged"));
    until(&local, "what was damaged goes when it is not needed any more", |_| !kept.exists());

    // The rebuilt one has everything: with it the leader of before can go.
    local.local(&["kill", &leader.to_string()]).code(0);
    local.leader("g1");
    assert_eq!(received(&local, "audit"), MESSAGES);
}

#[test]
fn a_replica_that_lost_what_it_acknowledged_elects_nobody_who_lacks_it() {
    let (local, _) = Local::start(3, 1);
    local.client(&["topic", "create", "orders", "--queues", "1"]).code(0);
    let leader = local.leader("g1");
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    let (behind, damaged) = (others[0], others[1]);
    // One replica has nothing of what the other two acknowledge.
    local.local(&["kill", &behind.to_string()]).code(0);
    send(&local, MESSAGES);
    for node in [damaged, leader] {
        local.local(&["kill", &node.to_string()]).code(0);
    }
    damage(&local, damaged);
    repair(&local, damaged, 0);
    let led_before = led(&local, [behind, damaged]);
    std::thread::scope(|scope| {
        // They are not ready before somebody leads.
        for node in [behind, damaged] {
            let local = &local;
            scope.spawn(move || local.local(&["restart", &node.to_string()]));
        }
        let began = Instant::now();
        while began.elapsed() < LONG {
            let led = led(&local, [behind, damaged]);
            assert_eq!(led, led_before, "{behind} never had what {leader} and {damaged} acknowledged");
            std::thread::sleep(LOOK_EVERY);
        }
        local.local(&["restart", &leader.to_string()]).code(0);
    });
    until(&local, "whole again", |status| replica(status, damaged)["role"] == "follower");
    assert_eq!(received(&local, "audit"), MESSAGES);
}
