//! Settings, paused groups and dead letters, at the command line.

mod cli_process;

use std::path::Path;

use cli_process::ports::free_base_port;
use cli_process::{Background, ledgermq};

fn start(port: u16, data: &Path) -> Background {
    let bind = format!("127.0.0.1:{port}");
    Background::start(&["dev", "--bind", &bind, "--data", data.to_str().unwrap()], "Ctrl-C stops it")
}

#[test]
fn settings_are_shown_as_they_were_written_and_a_paused_group_waits() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| ledgermq(&[args, &["--endpoint", &endpoint]].concat());
    let _node = start(port, scratch.path());

    let quota = ["--ttl", "1h30m", "--max-messages-per-second", "1000", "--max-bytes-per-second", "1MiB"];
    run(&[&["topic", "create", "demo"][..], &quota].concat()).code(0);
    let shown = run(&["topic", "describe", "demo", "-o", "json"]).code(0).json();
    let settings = &shown["settings"];
    assert_eq!((&settings["ttl"], &settings["max_bytes_per_second"]), (&"1h30m".into(), &"1MiB".into()));
    let changed = run(&["topic", "update", "demo", "--ttl", "none", "--retention", "72h", "-o", "json"]);
    let changed = changed.code(0).json();
    assert_eq!((&changed["settings"]["retention"], changed["settings"].get("ttl")), (&"3d".into(), None));
    run(&["topic", "update", "demo"]).code(2);

    let retry = "exponential:1s,1m,x1.5";
    run(&["group", "create", "g", "--retry", retry, "--in-flight-max", "100"]).code(0);
    run(&["group", "update", "g", "--max-attempts", "3"]).code(0);
    let shown = run(&["group", "describe", "g", "-o", "json"]).code(0).json();
    assert_eq!((&shown["retry"], &shown["in_flight_max"]), (&retry.into(), &100.into()), "{shown}");
    assert_eq!((&shown["max_attempts"], &shown["paused"]), (&3.into(), &false.into()), "{shown}");

    run(&["send", "demo", "--body", "later"]).code(0);
    let paused = run(&["group", "pause", "g"]).code(0);
    assert!(paused.out.contains("PAUSED"), "{paused:?}");
    run(&["receive", "demo", "--group", "g", "--wait", "1s"]).code(3);
    run(&["group", "resume", "g"]).code(0);
    let received = run(&["receive", "demo", "--group", "g", "-o", "json"]).code(0).json();
    assert_eq!(received["body"], "later", "{received}");
}

#[test]
fn dead_letters_are_listed_and_sent_again() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_base_port(1);
    let endpoint = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| ledgermq(&[args, &["--endpoint", &endpoint]].concat());
    let _node = start(port, scratch.path());
    run(&["topic", "create", "demo"]).code(0);
    run(&["group", "create", "g", "--max-attempts", "1"]).code(0);
    let sent = run(&["send", "demo", "--body", "poison", "-o", "json"]).code(0).json();
    let id = sent["message_id"].as_str().unwrap();

    // Delivered once and given back: the next one who looks buries it.
    run(&["receive", "demo", "--group", "g", "--no-ack"]).code(0);
    run(&["receive", "demo", "--group", "g", "--wait", "2s"]).code(3);
    let listed = run(&["dlq", "list", "g", "-o", "json"]).code(0).json();
    let letter = &listed["dead_letters"][0];
    assert_eq!((&letter["message_id"], &letter["topic"]), (&id.into(), &"demo".into()), "{listed}");
    assert_eq!((&letter["attempts"], &letter["body"]), (&1.into(), &"poison".into()), "{listed}");
    let dead = run(&["receive", "%DLQ%g", "--group", "inspectors", "-o", "json"]).code(0).json();
    assert_eq!(dead["body"], "poison", "{dead}");

    let refused = run(&["dlq", "resend", "g", "--all"]).code(2);
    assert!(refused.err.contains("--yes"), "{refused:?}");
    run(&["dlq", "resend", "g", "--yes"]).code(2);
    let resent = run(&["dlq", "resend", "g", "--id", id, "--yes", "-o", "json"]).code(0).json();
    assert_eq!((&resent["resent"], &resent["already"]), (&1.into(), &0.into()), "{resent}");
    let again = run(&["dlq", "resend", "g", "--all", "--yes", "-o", "json"]).code(0).json();
    assert_eq!(again["resent"], 0, "{again}");
    let gone = run(&["dlq", "resend", "g", "--id", id, "--yes"]).code(3);
    assert!(gone.err.contains("--resent"), "{gone:?}");
    let received = run(&["receive", "demo", "--group", "g", "-o", "json"]).code(0).json();
    assert_eq!((&received["message_id"], &received["attempt"]), (&id.into(), &1.into()), "{received}");
    let listed = run(&["dlq", "list", "g", "--resent", "-o", "json"]).code(0).json();
    assert!(listed["dead_letters"][0]["resent_unix_ms"].is_number(), "{listed}");
    run(&["dlq", "list", "nobody"]).code(1);
}
