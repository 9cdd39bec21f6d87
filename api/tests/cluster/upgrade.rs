//! A cluster of an older version that becomes one of this version, one node after the other, while clients work.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_process::local::Local;
use crate::cli_process::{Ended, by, ended, ledgermq, skipped, until_more};

/// Names the binary of the older version: the last one that landed, where a check keeps it.
const PREVIOUS: &str = "LEDGERMQ_PREVIOUS";
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages between two restarts, so that each meets traffic.
const SENT_BETWEEN: u64 = 20;

/// What was sent, by commands of both versions in turn.
#[derive(Default)]
struct Load {
    sent: AtomicU64,
    ended: AtomicBool,
}

impl Load {
    fn run(&self, previous: &str, endpoint: &str) {
        while !self.ended.load(Ordering::Relaxed) {
            let number = self.sent.load(Ordering::Relaxed);
            let body = number.to_string();
            let args = ["send", "orders", "--body", &body, "--message-group", "one", "--endpoint", endpoint];
            match number % 2 {
                0 => ledgermq(&args),
                _ => ended(by(previous, &args)),
            }
            .code(0);
            self.sent.store(number + 1, Ordering::Relaxed);
        }
    }

    fn until_more(&self) {
        until_more(&self.sent, SENT_BETWEEN);
    }
}

fn restarted_by(previous: &str, local: &Local, node: u64) -> Ended {
    let data = local.data.path().to_str().expect("UTF-8");
    ended(by(previous, &["local", "restart", &node.to_string(), "--data", data]))
}

fn level(local: &Local) -> Value {
    local.client(&["cluster", "feature-level", "-o", "json"]).code(0).json()
}

#[test]
fn nodes_of_two_versions_are_one_cluster_until_the_feature_level_is_raised() {
    let Ok(previous) = std::env::var(PREVIOUS) else {
        return skipped(&format!("{PREVIOUS} names no binary of an earlier version to upgrade from"));
    };
    let known = Command::new(&previous).arg("--version").output();
    assert!(known.is_ok_and(|known| known.status.success()), "{PREVIOUS}: {previous} does not run");
    let (local, _) = Local::start_by(&previous, 3, 2);
    local.client(&["topic", "create", "orders", "--type", "fifo"]).code(0);
    local.client(&["group", "create", "readers", "--fifo"]).code(0);
    let load = Load::default();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| load.run(&previous, &local.endpoint));
        load.until_more();
        // There and back again: until the level is raised, the older version may be started again.
        local.restart_with(2, &[]);
        load.until_more();
        restarted_by(&previous, &local, 2).code(0);
        load.until_more();
        for node in [3, 2, 1] {
            local.restart_with(node, &[]);
            load.until_more();
        }
        let before = level(&local);
        local.client(&["cluster", "feature-level", "--raise", "--yes"]).code(0);
        let after = level(&local);
        println!("{before}, and after the upgrade {after}");
        load.until_more();
        if before["feature_level"] != after["feature_level"] {
            restarted_by(&previous, &local, 3).code(1);
            let said = local.log_of(3);
            assert!(said.contains("is at feature level"), "{said}");
            local.restart_with(3, &[]);
            load.until_more();
        }
        load.ended.store(true, Ordering::Relaxed);
        sending.join().expect("no send failed");
    });
    let sent = load.sent.load(Ordering::Relaxed);
    let (mut read, deadline) = (0, Instant::now() + PATIENCE);
    while read < sent {
        assert!(Instant::now() < deadline, "{read} of {sent} messages came back");
        let args = ["receive", "orders", "--group", "readers", "--max", "32", "--wait", "2s", "-o", "json"];
        for message in local.client(&args).code(0).out.lines() {
            let message: Value = serde_json::from_str(message).expect("a line of JSON for each message");
            assert_eq!(message["body"], read.to_string(), "after {read} of {sent}");
            read += 1;
        }
    }
}
