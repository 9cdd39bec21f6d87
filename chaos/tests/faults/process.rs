//! Kill, pause, terminate, restart, and clusters that come and go.

use std::time::Duration;

use chaos::{Backend, Cluster, ClusterOptions, Exit, Fault, Injected, Template, heal};

use crate::probe::{PATIENCE, answers, ask_within, cluster, template};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const GRACE: u64 = 10_000;

fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Whether a process runs. One that is dead and not yet waited for does not.
fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state comes behind the name, which is in parentheses and may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_killed_node_is_gone_until_the_guard_is_dropped() {
    let root = root();
    let cluster = cluster(root.path(), Backend::Loopback);
    let address = cluster.node(2).address();
    let before = answers(address);
    let guard = cluster.inject(&Fault::Kill {}, &[2]).installed().expect("killed");
    assert!(!is_there(before), "process {before} is there");
    assert_eq!(cluster.wait_exit(2, PATIENCE).unwrap(), Exit::Signal(SIGKILL));
    assert_eq!(cluster.pid(2), None);
    assert!(cluster.start(2, &template()).unwrap_err().to_string().contains("held down"));
    assert_eq!(guard.effects()[0].what, format!("killed process {before}"));
    drop(guard);
    assert_ne!(answers(address), before);
}

#[test]
fn what_does_not_run_cannot_be_killed_or_paused() {
    let root = root();
    let cluster = cluster(root.path(), Backend::Loopback);
    let first = cluster.inject(&Fault::Kill {}, &[1]).installed().expect("killed");
    assert!(
        matches!(cluster.inject(&Fault::Kill {}, &[1]), Injected::Skipped { why } if why.contains("node 1 does not run")),
        "what does not run cannot be killed"
    );
    let second = cluster.inject(&Fault::Pause {}, &[1, 2]);
    assert!(matches!(second, Injected::Skipped { .. }), "{second:?}");
    assert_eq!(cluster.status().unwrap()[1].faults, [], "nothing was done to node 2");
    first.heal().expect("healed");
    answers(cluster.node(1).address());
}

#[test]
fn a_paused_node_keeps_its_process_and_answers_nothing() {
    let root = root();
    let cluster = cluster(root.path(), Backend::Loopback);
    let address = cluster.node(3).address();
    let pid = answers(address);
    let twice = [0, 1].map(|_| cluster.inject(&Fault::Pause {}, &[3]).installed().expect("paused"));
    let [first, second] = twice;
    for guard in [first, second] {
        assert!(cluster.status().unwrap()[2].paused);
        assert_eq!(ask_within(address, "pid", Duration::from_millis(300)), None);
        guard.heal().expect("healed");
    }
    assert_eq!(answers(address), pid);
}

#[test]
fn sigterm_ends_a_node_and_a_restart_gives_it_another_process() {
    let root = root();
    let cluster = cluster(root.path(), Backend::Loopback);
    let before = answers(cluster.node(1).address());
    let guard = cluster.inject(&Fault::Terminate { grace_ms: GRACE }, &[1]).installed().expect("terminated");
    assert_eq!(cluster.wait_exit(1, PATIENCE).unwrap(), Exit::Signal(SIGTERM));
    guard.heal().expect("healed");
    let second = answers(cluster.node(1).address());
    assert_ne!(second, before);
    let guard = cluster.inject(&Fault::Restart {}, &[1]).installed().expect("restarted");
    assert_ne!(answers(cluster.node(1).address()), second);
    drop(guard);
    assert_eq!(cluster.status().unwrap()[0].faults, []);
}

#[test]
fn who_ignores_sigterm_is_killed_after_the_grace() {
    let root = root();
    let options = ClusterOptions { nodes: 1, root: root.path().join("cluster"), backend: Backend::Loopback };
    let cluster = Cluster::create(&options).expect("a cluster");
    let line = "sh -c 'trap \"\" TERM; touch {directory}/ready; while true; do sleep 1; done'";
    cluster.start(1, &Template::parse(line).unwrap()).expect("a shell");
    let ready = cluster.node(1).directory().join("ready");
    crate::probe::until("the shell ignores SIGTERM", || ready.exists().then_some(()));
    let guard = cluster.inject(&Fault::Terminate { grace_ms: 100 }, &[1]).installed().expect("terminated");
    assert!(guard.effects()[0].what.contains("had to be killed"), "{:?}", guard.effects());
    guard.leave();
}

#[test]
fn a_cluster_that_is_left_is_found_and_taken_down_by_another() {
    let root = root();
    let first = cluster(root.path(), Backend::Loopback);
    let state = first.state_file().to_owned();
    first.inject(&Fault::Pause {}, &[2]).installed().expect("paused").leave();
    first.leave();
    let second = Cluster::open(&state).expect("found");
    let pids: Vec<u32> = (1..=3).filter_map(|index| second.pid(index)).collect();
    assert_eq!(pids.len(), 3);
    second.heal_faults().expect("healed");
    assert_eq!(answers(second.node(2).address()), pids[1]);
    second.down(Duration::from_secs(10)).expect("down");
    assert!(!state.exists());
    assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
}

/// A zombie, whose parent is this test, does not.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn heal_finds_processes_that_no_file_names() {
    let root = root();
    let cluster = cluster(root.path(), Backend::Loopback);
    let state = cluster.state_file().to_owned();
    let pids: Vec<u32> = (1..=3).filter_map(|index| cluster.pid(index)).collect();
    cluster.leave();
    // As if the tool had been killed between a start and the note of it.
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    json["nodes"][0]["process"] = serde_json::Value::Null;
    std::fs::write(&state, json.to_string()).unwrap();
    let healed = heal(&state).expect("healed");
    assert_eq!(healed.processes, pids);
    assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
    assert_eq!(heal(&state).expect("nothing left"), chaos::Healed::default());
}

#[test]
fn a_root_in_use_is_refused_and_says_what_to_do() {
    let root = root();
    let cluster = cluster(root.path(), Backend::Loopback);
    let options = ClusterOptions { nodes: 3, root: root.path().join("cluster"), backend: Backend::Loopback };
    let error = Cluster::create(&options).expect_err("in use").to_string();
    assert!(error.contains("ledgermq-chaos heal --state"), "{error}");
    assert!(cluster.pid(1).is_some(), "the other one is left alone");
}
