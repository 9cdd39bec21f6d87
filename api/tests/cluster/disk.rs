//! A full disk and a read-only one: the node says so and ends, and nothing acknowledged is lost.
//!
//! The disks are file systems in memory, mounted in a mount namespace that the test makes for itself.

use std::process::{Command, Output};

use crate::cli_process::ports::free_base_port;
use crate::cli_process::skipped;

/// Runs a script in a mount namespace of its own, with the binary as $0, an empty directory as $1 and an endpoint
/// as $2. Without the right to make one the test says so: a container without privileges cannot run it.
fn in_a_namespace(script: &str) -> Option<Output> {
    let allowed = Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        skipped("this machine does not let the test make a mount namespace (unshare -rm)");
        return None;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let endpoint = format!("127.0.0.1:{}", free_base_port(1));
    let mut command = Command::new("unshare");
    command.args(["-rm", "bash", "-euo", "pipefail", "-c", script, env!("CARGO_BIN_EXE_ledgermq")]);
    let output = command.arg(dir.path()).arg(endpoint).output().expect("unshare runs");
    assert!(output.status.success(), "{}", show(&output));
    Some(output)
}

fn show(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_full_disk_stops_the_node_and_loses_nothing() {
    let script = r#"
        disk=$1/disk; endpoint=$2; port=${2#*:}
        mkdir "$disk"
        # Without the marks, which keep a disk from getting full: with so much free it counts as empty.
        cat >"$1/node.toml" <<TOML
        node.data = "$disk/data"
        log.segment_bytes = "128MiB"
        disk.spare_bytes = 0
        grpc.bind = "$endpoint"
        http.bind = "127.0.0.1:$((port + 1))"
        peer.bind = "127.0.0.1:$((port + 2))"
TOML
        answers() { "$0" cluster status --endpoint "$endpoint" >/dev/null 2>&1; }
        # Two segments of each of two logs fit, and little more.
        mount -t tmpfs -o size=420m none "$disk"
        "$0" serve --config "$1/node.toml" >"$1/err" 2>&1 &
        node=$!
        until answers; do kill -0 $node; done
        : >"$1/sent"
        while kill -0 $node 2>/dev/null; do
            "$0" bench send --endpoint "$endpoint" --topic fill --size 60000 --in-flight 8 --warm-up 0 --seconds 4 -o json >>"$1/sent" 2>/dev/null || true
        done
        code=0; wait $node || code=$?
        echo "exit code $code"
        cat "$1/err"
        mount -o remount,size=1g "$disk"
        "$0" serve --config "$1/node.toml" >"$1/err2" 2>&1 &
        node=$!
        until answers; do kill -0 $node; done
        "$0" topic describe fill --endpoint "$endpoint" -o json
        cat "$1/sent"
        kill $node; wait $node
    "#;
    let Some(output) = in_a_namespace(script) else { return };
    let text = show(&output);
    assert!(text.contains("exit code 74"), "{text}");
    assert!(text.contains("No space left") && text.contains("Nothing acknowledged is lost"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    println!("{text}");
    let stored: u64 = lines
        .iter()
        .filter_map(|line| line["queues"].as_array())
        .flatten()
        .filter_map(|queue| queue["next_offset"].as_u64())
        .sum();
    let acked: u64 = lines.iter().filter_map(|line| line["messages"].as_u64()).sum();
    assert!(acked > 0 && stored >= acked, "{acked} acked, {stored} stored: {text}");
}

#[test]
fn a_read_only_disk_is_named() {
    let script = r#"
        disk=$1/disk
        mkdir "$disk"
        mount -t tmpfs -o ro none "$disk"
        code=0; "$0" dev --bind "$2" --data "$disk/data" || code=$?
        echo "exit code $code"
    "#;
    let Some(output) = in_a_namespace(script) else { return };
    let text = show(&output);
    assert!(text.contains("exit code 74") && text.contains("Read-only file system"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}
