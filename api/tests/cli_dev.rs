//! One node: what was acknowledged is there again, also after a crash.

mod cli_process;

use std::path::Path;

use cli_process::ports::free_base_port;
use cli_process::{Background, ledgermq};

fn start(port: u16, data: &Path) -> Background {
    let bind = format!("127.0.0.1:{port}");
    Background::start(&["dev", "--bind", &bind, "--data", data.to_str().unwrap()], "Ctrl-C stops it")
}

#[test]
fn a_message_survives_a_crash_and_is_received_once() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| ledgermq(&[args, &["--endpoint", &endpoint]].concat());

    let node = start(port, &data);
    assert!(node.greeting.contains("ledgermq send demo --body hello"), "{}", node.greeting);
    let sent =
        run(&["send", "demo", "--body", "hello", "--key", "k1", "--tag", "t1", "-o", "json"]).code(0).json();
    let id = sent["message_id"].as_str().unwrap().to_owned();

    // A second process must not touch the directory.
    let other = format!("127.0.0.1:{}", free_base_port(1));
    let refused = ledgermq(&["dev", "--bind", &other, "--data", data.to_str().unwrap()]).code(1);
    assert!(refused.err.contains(&format!("is held by process {}", node.child.id())), "{refused:?}");

    node.kill();
    let node = start(port, &data);
    let received = run(&["receive", "demo", "--group", "g", "-o", "json"]).code(0).json();
    assert_eq!(received["message_id"], id.as_str());
    assert_eq!((&received["body"], &received["tag"]), (&"hello".into(), &"t1".into()), "{received}");
    assert_eq!(received["keys"][0], "k1");
    assert_eq!(received["attempt"], 1);

    // It was acknowledged, and stays so.
    node.kill();
    let node = start(port, &data);
    run(&["receive", "demo", "--group", "g", "--wait", "1s"]).code(3);
    assert_eq!(node.signal("TERM"), Some(0));
    let inspected = ledgermq(&["log", "inspect", data.to_str().unwrap(), "-o", "json"]).code(0).json();
    assert_eq!(inspected["logs"].as_array().unwrap().len(), 2, "meta and g1: {inspected}");
    let checked = ledgermq(&["log", "check", data.to_str().unwrap(), "-o", "json"]).code(0).json();
    assert_eq!(checked["sound"], true, "{checked}");
    let listed = ledgermq(&["log", "messages", data.to_str().unwrap(), "-o", "jsonl"]).code(0);
    let lines: Vec<serde_json::Value> =
        listed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let record = &lines[0]["record"];
    assert_eq!((&record["message"], &record["topic"]), (&id.as_str().into(), &"demo".into()), "{listed:?}");
    // FNV-1a of "hello".
    assert_eq!(record["body"], 0xa430_d846_80aa_bd0b_u64, "{listed:?}");
    let last = &lines[lines.len() - 1]["log"];
    assert!(last["committed_index"].as_u64() >= record["index"].as_u64(), "{listed:?}");
    assert!(lines.iter().any(|line| line["digest"]["to_index"] == last["committed_index"]), "{listed:?}");
}

#[test]
fn a_sql_filter_picks_by_properties() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| ledgermq(&[args, &["--endpoint", &endpoint]].concat());
    let _node = start(port, scratch.path());
    for (body, amount) in [("small", "amount=5"), ("large", "amount=500")] {
        run(&["send", "demo", "--body", body, "--property", amount, "--property", "b=x"]).code(0);
    }
    let sql = "amount > 100 AND b = 'x'";
    let received = run(&["receive", "demo", "--group", "g", "--sql", sql, "-o", "json"]).code(0).json();
    assert_eq!(received["body"], "large", "{received}");
    run(&["receive", "demo", "--group", "g", "--sql", sql, "--wait", "1s"]).code(3);
}

#[test]
fn messages_are_pulled_found_traced_and_explained() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| ledgermq(&[args, &["--endpoint", &endpoint]].concat());
    let _node = start(port, scratch.path());
    run(&["topic", "create", "demo", "--queues", "3"]).code(0);
    for body in ["a", "b", "c"] {
        run(&["send", "demo", "--body", body, "--key", &format!("key-{body}")]).code(0);
    }
    // Everybody who broadcasts gets everything, and takes nothing.
    for args in [&["--broadcast"][..], &["--pull", "--from-replica"]] {
        let all = ["receive", "demo", "--max", "3", "--wait", "10s", "-o", "json"];
        let received = run(&[&all[..], args].concat()).code(0).out;
        let bodies = received.lines().map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["body"].as_str().unwrap().to_owned()
        });
        let mut bodies: Vec<String> = bodies.collect();
        bodies.sort();
        assert_eq!(bodies, ["a", "b", "c"], "{args:?}");
    }
    run(&["receive", "demo", "--broadcast", "--from", "last", "--wait", "1s"]).code(3);

    let page = run(&["message", "query", "demo", "--key", "key-b", "-o", "json"]).code(0).json();
    let found = &page["messages"][0];
    assert_eq!((&found["body"], page["messages"].as_array().unwrap().len()), (&"b".into(), 1), "{page}");
    let id = found["message_id"].as_str().unwrap();
    let (queue, offset) = (found["queue"].to_string(), found["offset"].to_string());
    let place =
        ["message", "query", "demo", "--queue", &queue, "--offset", &offset, "--limit", "1", "-o", "json"];
    assert_eq!(run(&place).code(0).json()["messages"][0]["message_id"], id);
    let first =
        run(&["message", "query", "demo", "--time", "1h..", "--limit", "2", "-o", "json"]).code(0).json();
    let next = first["continuation"].as_str().expect("there is more");
    let rest = ["message", "query", "demo", "--time", "1h..", "--continuation", next, "-o", "json"];
    let rest = run(&rest).code(0).json();
    assert_eq!((rest["messages"].as_array().unwrap().len(), rest["continuation"].is_null()), (1, true));
    run(&["message", "query", "demo", "--key", "no such key"]).code(3);

    run(&["group", "create", "g"]).code(0);
    let why = || run(&["message", "why", id, "--group", "g", "-o", "json"]).code(0).json()["reason"].clone();
    assert_eq!(why(), "consumer_offline");
    run(&["receive", "demo", "-g", "g", "--max", "3", "--wait", "10s"]).code(0);
    assert_eq!(why(), "acknowledged");
    let traced = run(&["message", "trace", id, "-o", "json"]).code(0).json();
    let what: Vec<_> =
        traced["messages"][0]["deliveries"].as_array().unwrap().iter().map(|it| &it["what"]).collect();
    assert_eq!(what, ["leased", "settled"], "{traced}");

    let to = ["group", "reset-offset", "g", "demo", "--queue", &queue, "--to-offset", &offset, "--yes"];
    run(&to).code(0);
    let offsets = run(&["group", "offsets", "g", "demo", "-o", "json"]).code(0).json();
    let lags: u64 =
        offsets["queues"].as_array().unwrap().iter().map(|queue| queue["lag"].as_u64().unwrap()).sum();
    assert!(lags >= 1, "{offsets}");
    assert_eq!(why(), "consumer_offline", "it is to come again");

    let begun = || {
        let offsets = run(&["group", "offsets", "g", "demo", "-o", "json"]).code(0).json();
        let queues = offsets["queues"].as_array().unwrap().iter();
        queues.filter(|queue| queue["begun"].as_bool().unwrap()).count()
    };
    assert!(begun() > 0);
    run(&["group", "delete-subscription", "g", "demo", "--yes"]).code(0);
    assert_eq!(begun(), 0, "the group has forgotten the topic");
    for (args, tip) in [
        (["group", "offsets", "nobody", "demo"], "ledgermq group create nobody"),
        (["group", "offsets", "g", "nothing"], "ledgermq topic create nothing"),
        (["message", "why", id, "--group=nobody"], "ledgermq group create nobody"),
    ] {
        let missing = run(&args).code(1);
        assert!(missing.err.contains(tip), "{args:?}: {missing:?}");
    }
}

#[test]
fn topics_and_groups_are_made_shown_changed_and_deleted() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| ledgermq(&[args, &["--endpoint", &endpoint]].concat());
    let _node = start(port, scratch.path());

    let made =
        run(&["topic", "create", "orders", "--queues", "4", "--type", "fifo", "-o", "json"]).code(0).json();
    assert_eq!((&made["queues"], &made["type"]), (&4.into(), &"fifo".into()), "{made}");
    run(&["topic", "create", "orders"]).code(1);
    run(&["topic", "create", "orders", "--if-not-exists"]).code(0);
    run(&["topic", "update", "orders", "--queues", "6"]).code(0);
    for number in 0..5 {
        let body = format!("order {number}");
        run(&["send", "orders", "--body", &body, "--message-group", "customer-1"]).code(0);
    }
    let described = run(&["topic", "describe", "orders", "-o", "json"]).code(0).json();
    let queues = described["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 6);
    assert_eq!(queues.iter().map(|queue| queue["messages"].as_u64().unwrap()).sum::<u64>(), 5);

    run(&["group", "create", "billing", "--fifo", "--from", "first"]).code(0);
    let received = run(&["receive", "orders", "-g", "billing", "--max", "5", "-o", "json"]).code(0).out;
    let bodies: Vec<String> = received
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["body"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(bodies, ["order 0", "order 1", "order 2", "order 3", "order 4"]);
    let group = run(&["group", "describe", "billing", "-o", "json"]).code(0).json();
    assert_eq!(group["lag"], 0, "{group}");
    run(&["group", "reset-offset", "billing", "orders", "--from", "first", "--yes"]).code(0);
    let again = run(&["receive", "orders", "-g", "billing", "--max", "5", "-o", "json"]).code(0).out;
    assert_eq!(again.lines().count(), 5);

    let status = run(&["cluster", "status", "-o", "json"]).code(0).json();
    assert_eq!(status["nodes"][0]["alive"], true, "{status}");
    assert!(status["groups"].as_array().unwrap().iter().all(|group| group["leader"] == 1), "{status}");

    run(&["group", "delete", "billing", "--yes"]).code(0);
    run(&["topic", "delete", "orders", "--yes"]).code(0);
    let missing = run(&["topic", "describe", "orders"]).code(1);
    assert!(missing.err.contains("create it with `ledgermq topic create orders`"), "{missing:?}");
}

#[test]
fn the_bench_drives_a_broker() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| {
        let common = ["--endpoint", &endpoint, "--warm-up", "0", "-o", "json"];
        ledgermq(&[&["bench"], args, &common].concat()).code(0).json()
    };
    let _node = start(port, scratch.path());
    let sent = run(&["send", "--seconds", "2", "--batch", "4", "--in-flight", "16"]);
    assert_eq!(sent["errors"], 0, "{sent}");
    assert!(sent["messages"].as_u64().unwrap() > 0, "{sent}");
    let received = run(&["receive", "--seconds", "20"]);
    assert!(
        received["messages"].as_u64().unwrap() >= sent["messages"].as_u64().unwrap(),
        "{received} {sent}"
    );
    // Half messages are there once they are committed, and held messages come to nobody else.
    let half = run(&["send", "--transaction", "--messages", "20", "--in-flight", "4"]);
    let committed = run(&["send", "--transaction", "--commit", "--messages", "20", "--in-flight", "4"]);
    assert_eq!((&half["errors"], &committed["errors"]), (&0.into(), &0.into()), "{half} {committed}");
    let held = run(&["receive", "--topic", "bench-transaction", "--hold", "1h"]);
    assert_eq!(held["messages"], committed["messages"], "{held}");
    let rest = ["receive", "--topic", "bench-transaction", "--endpoint", &endpoint, "--seconds", "1"];
    ledgermq(&[&["bench"], &rest[..]].concat()).code(3);
    let lite = run(&["send", "--lite-topics", "10", "--messages", "20", "--in-flight", "4"]);
    assert_eq!(lite["errors"], 0, "{lite}");
    let through = run(&["e2e", "--seconds", "2", "--rate", "200"]);
    assert_eq!(through["errors"], 0, "{through}");
    assert!(through["messages"].as_u64().unwrap() > 300, "{through}");
}

#[test]
fn a_node_that_is_told_to_stop_ends_with_0_every_time() {
    for round in 0..15 {
        let scratch = tempfile::tempdir().unwrap();
        let node = start(free_base_port(1), &scratch.path().join("data"));
        // RocksDB's threads, if they still ran at the end of the process, would end one in five by a signal.
        assert_eq!(node.signal("TERM"), Some(0), "round {round}");
    }
}
