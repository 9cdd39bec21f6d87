//! Disks that do not give back what they were given: a replica whose files are damaged stops or does not start, says
//! what to do, and is rebuilt from the others. Nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use serde_json::Value;

use crate::cli_process::command;
use crate::cli_process::local::Local;
use crate::repair::{MESSAGES, PATIENCE, repair, send, until};

/// What [`send`] puts into every message.
pub(crate) const BODY: &[u8] = b"what must not be lost";
/// The smallest that a broker takes.
const SMALL_SEGMENTS: [(&str, &str); 1] = [("LEDGERMQ_LOG__SEGMENT_BYTES", "64MiB")];
/// What fills a segment.
pub(crate) const FILLER_BYTES: usize = 100 << 10;
const FILLERS: usize = 700;

pub(crate) const FIRST_SEGMENT: &str = "00000000000000000000.log";

pub(crate) fn group_dir(local: &Local, node: u64, group: &str) -> PathBuf {
    local.data.path().join(format!("node{node}/data/groups/{group}"))
}

/// SIGTERM: the node brings everything to disk, and ends.
pub(crate) fn stop(local: &Local, node: u64) {
    let pid = view(&local.status(), node)["pid"].as_u64().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    ended(local, node);
}

/// Waits until the node's process is gone.
pub(crate) fn ended(local: &Local, node: u64) {
    until(local, "the node ends", |status| view(status, node)["alive"] == false);
}

fn view(status: &Value, node: u64) -> Value {
    let nodes = status["nodes"].as_array().expect("nodes");
    nodes.iter().find(|view| view["id"] == node).cloned().expect("the node")
}

/// A start fails, and says all this, and what to do.
pub(crate) fn refuses(local: &Local, node: u64, parts: &[&str]) {
    let refused = local.local(&["restart", &node.to_string()]).code(1);
    for part in parts.iter().chain(&["ledgermq cluster repair"]) {
        assert!(refused.err.contains(part), "no {part:?} in: {}", refused.err);
    }
}

pub(crate) fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], at).expect("written");
}

/// Where the messages of the log's first segment have their bodies, ascending.
fn bodies(segment: &Path) -> Vec<u64> {
    let bytes = std::fs::read(segment).expect("a segment");
    let starts = bytes.windows(BODY.len()).enumerate().filter(|(_, window)| *window == BODY);
    starts.map(|(at, _)| at as u64).collect()
}

/// Starts a node as a child of this process, to see how it ends.
fn serve(local: &Local, node: u64, log: &Path) -> Child {
    let config = local.data.path().join(format!("node{node}/node.toml"));
    let log = File::create(log).expect("a file");
    let mut serve = command(&["serve", "--config", config.to_str().expect("UTF-8")]);
    serve.envs(SMALL_SEGMENTS).stdout(log.try_clone().expect("a file")).stderr(log);
    serve.spawn().expect("the binary runs")
}

/// The offsets of the messages that a consumer group gets from this node until nothing comes, and how often the one
/// that was tried most was tried.
pub(crate) fn receive(local: &Local, node: u64, group: &str) -> (BTreeSet<u64>, u64) {
    let max = MESSAGES.to_string();
    let args = ["receive", "orders", "--group", group, "--max", &max, "--invisible", "10s", "--wait", "3s"];
    let ended = local.client_of(node, &[&args[..], &["-o", "json"]].concat());
    let got = ended.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut offsets, mut attempts) = (BTreeSet::new(), 0);
    for message in got {
        offsets.extend(message["offset"].as_u64());
        attempts = attempts.max(message["attempt"].as_u64().unwrap_or(0));
    }
    (offsets, attempts)
}

/// Waits until the node's replicas are whole, and compares those of all nodes.
pub(crate) fn whole_and_equal(local: &Local, node: u64) {
    until(local, "whole again", |status| {
        let groups = status["groups"].as_array().expect("groups");
        let replicas = |group: &Value| group["replicas"].as_array().expect("replicas").clone();
        let mut own = groups.iter().flat_map(replicas).filter(|replica| replica["node"] == node);
        let whole = |replica: Value| replica["role"] == "follower" || replica["role"] == "leader";
        own.clone().count() == groups.len() && own.all(whole)
    });
    let compared = local.client(&["cluster", "digest", "--wait", "60s", "-o", "json"]).code(0);
    assert!(!compared.out.contains("not-compared") && !compared.out.contains("different"), "{compared:?}");
}

#[test]
fn a_leader_that_cannot_read_what_it_has_stops_before_anything_is_buried() {
    let (local, _) = Local::start_with(3, 1, &SMALL_SEGMENTS);
    local.client(&["topic", "create", "orders", "--queues", "1"]).code(0);
    local.client(&["topic", "create", "filler", "--queues", "1"]).code(0);
    send(&local, MESSAGES);
    let filler = "x".repeat(FILLER_BYTES);
    local.client(&["send", "filler", "--body", &filler, "--count", &FILLERS.to_string()]).code(0);
    let damaged = local.leader("g1");
    let other = damaged % 3 + 1;
    local.local(&["kill", &damaged.to_string()]).code(0);
    let segment = group_dir(&local, damaged, "g1").join("log").join(FIRST_SEGMENT);
    assert!(segment.with_extension("idx").exists(), "the segment is sealed");
    let found = bodies(&segment);
    assert_eq!(found.len(), MESSAGES);
    let at = found[MESSAGES / 2] + 3;

    // What its tables lack after a kill is read at the start.
    flip(&segment, at);
    refuses(&local, damaged, &["segment 00000000000000000000.log", "position", "checksum"]);
    flip(&segment, at);
    local.restart_with(damaged, &SMALL_SEGMENTS);
    assert!(local.log_of(damaged).contains("no damage was found"), "it did not look");
    stop(&local, damaged);

    // What its tables have is not: a start trusts what is sealed.
    flip(&segment, at);
    let said = local.data.path().join("said");
    let mut child = serve(&local, damaged, &said);
    let (group, to) = ("g1", damaged.to_string());
    let deadline = Instant::now() + PATIENCE;
    while local.client_of(other, &["cluster", "transfer-leader", group, "--to", &to]).code != 0 {
        assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(&said).unwrap_or_default());
    }
    let (mut got, mut attempts) = (BTreeSet::new(), 0);
    while got.len() < MESSAGES {
        let (offsets, most) = receive(&local, other, "audit");
        got.extend(offsets);
        attempts = attempts.max(most);
        assert!(Instant::now() < deadline, "{} of {MESSAGES}", got.len());
    }
    assert!(attempts <= 2, "the leader went on with what it could not read: attempt {attempts}");
    let dead = local.client_of(other, &["dlq", "list", "audit", "-o", "json"]);
    assert!(!dead.out.contains("offset"), "something was buried: {dead:?}");

    let ended = child.wait().expect("a child of this process");
    let said = std::fs::read_to_string(&said).expect("what it said");
    assert_eq!(ended.code(), Some(74), "{said}");
    let sentence = said.lines().find(|line| line.starts_with("error: the node stopped: g1: ")).expect(&said);
    let todo = format!("ledgermq cluster repair {damaged} --data ");
    for part in ["segment 00000000000000000000.log, position ", "checksum", &todo, " --group g1`"] {
        assert!(sentence.contains(part), "no {part:?} in: {sentence}");
    }
    // It stays down until it is repaired, whoever starts it.
    refuses(&local, damaged, &["segment 00000000000000000000.log", "position", "checksum"]);
    let repaired = repair(&local, damaged, 0);
    assert!(repaired["groups"].to_string().contains("checksum"), "{repaired}");
    local.restart_with(damaged, &SMALL_SEGMENTS);
    whole_and_equal(&local, damaged);
}
