//! Disks that are full, stand still, are slow, and syncs that fail.

use std::time::{Duration, Instant};

use chaos::{Backend, Injected};

use crate::probe::{answers, ask, ask_within, cluster_of, installed, machines, template, until};

#[test]
fn a_full_disk_takes_no_byte_more_and_is_empty_again_when_healed() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let address = cluster.node(1).address();
    let Some(guard) = installed(&cluster, "disk-full", &[1]) else { return };
    let answer = ask(address, "write file some-bytes").expect("an answer");
    assert!(answer.contains("No space left"), "{answer}");
    assert_eq!(ask(cluster.node(2).address(), "write file some-bytes").as_deref(), Some("ok"));
    guard.heal().expect("healed");
    assert_eq!(ask(address, "write file some-bytes").as_deref(), Some("ok"));
    assert_eq!(ask(address, "sync file").as_deref(), Some("ok"));
}

#[test]
fn a_stalled_disk_holds_writes_up_until_it_is_healed() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let address = cluster.node(3).address();
    let Some(guard) = installed(&cluster, "disk-stall", &[3]) else { return };
    let waits = std::thread::spawn(move || {
        let began = Instant::now();
        (ask_within(address, "write file x", Duration::from_secs(30)), began.elapsed())
    });
    assert!(ask(address, "wall").is_some(), "the process itself goes on");
    match cluster.inject(&"kill".parse().unwrap(), &[3]) {
        Injected::Skipped { why } => assert!(why.contains("stalled"), "{why}"),
        other => panic!("who waits for a disk does not die: {other:?}"),
    }
    std::thread::sleep(Duration::from_millis(500));
    guard.heal().expect("healed");
    let (answer, took) = waits.join().unwrap();
    assert_eq!(answer.as_deref(), Some("ok"));
    assert!(took >= Duration::from_millis(500), "it took {took:?}");
}

#[test]
fn a_slow_disk_takes_as_long_as_its_bytes() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let address = cluster.node(2).address();
    let write = |file: &str| {
        let began = Instant::now();
        assert_eq!(
            ask_within(address, &format!("fill {file} 1048576"), Duration::from_secs(30)).as_deref(),
            Some("ok")
        );
        assert_eq!(
            ask_within(address, &format!("sync {file}"), Duration::from_secs(60)).as_deref(),
            Some("ok")
        );
        began.elapsed()
    };
    let Some(guard) = installed(&cluster, "disk-slow:bytes_per_second=524288", &[2]) else { return };
    let slow = write("slow");
    assert!(slow >= Duration::from_millis(1500), "a MiB at half a MiB a second took {slow:?}");
    guard.heal().expect("healed");
    let quick = write("quick");
    assert!(quick < slow, "{quick:?} after {slow:?}");
}

#[test]
fn syncs_fail_while_they_are_told_to_and_are_counted() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster_of(root.path(), Backend::Loopback, &template().with_faults());
    let tell = |node: usize, line: &str| ask(cluster.node(node).address(), line).expect("an answer");
    for node in [1, 2] {
        assert_eq!([tell(node, "write file x"), tell(node, "sync file")], ["ok", "ok"]);
    }
    let Some(guard) = installed(&cluster, "fsync-error", &[1]) else { return };
    let answer = tell(1, "sync file");
    assert!(answer.contains("Input/output error"), "{answer}");
    assert_eq!(tell(2, "sync file"), "ok");
    assert_eq!([cluster.failed_syncs(1), cluster.failed_syncs(2)], [1, 0]);
    guard.heal().expect("healed");
    assert_eq!(tell(1, "sync file"), "ok");
}

#[test]
fn who_was_started_without_the_library_is_skipped() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster_of(root.path(), Backend::Loopback, &template());
    answers(cluster.node(1).address());
    for fault in ["fsync-error", "clock-jump"] {
        match cluster.inject(&fault.parse().unwrap(), &[1]) {
            Injected::Skipped { why } => {
                assert!(why.contains("with_faults") || why.contains("apt-get install"), "{fault}: {why}");
            }
            other => panic!("{fault}: {other:?}"),
        }
    }
    until("nothing is left of it", || cluster.status().ok()?[0].faults.is_empty().then_some(()));
}
