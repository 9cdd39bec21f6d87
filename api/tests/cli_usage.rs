//! What the command line says and how it ends when no node is needed, or none is there.

mod cli_process;

use cli_process::ports::free_base_port;
use cli_process::{command, ended, ledgermq};

#[test]
fn nothing_listens_says_what_to_do() {
    let endpoint = format!("127.0.0.1:{}", free_base_port(1));
    for args in [
        vec!["send", "demo"],
        vec!["receive", "demo", "--group", "g"],
        vec!["topic", "list"],
        vec!["group", "list"],
        vec!["cluster", "status"],
        vec!["bench", "send", "--seconds", "1"],
    ] {
        let args = [args.as_slice(), &["--endpoint", &endpoint]].concat();
        let ended = ledgermq(&args).code(4);
        let expected = format!("error: nothing listens on {endpoint}: start a broker with `ledgermq dev`");
        assert!(ended.err.starts_with(&expected), "{args:?}: {ended:?}");
        assert_eq!(ended.out, "");
    }
}

#[test]
fn usage_errors_end_with_2() {
    ledgermq(&["send"]).code(2);
    ledgermq(&["no-such-command"]).code(2);
    ledgermq(&["send", "demo", "--endpoint", "nowhere"]).code(2);
    ledgermq(&["topic", "create", "demo", "--queues", "0"]).code(2);
    ledgermq(&["group", "create", "g", "--from", "someday"]).code(2);
    ledgermq(&["receive", "demo", "-g", "g", "--tag", "a", "--sql", "b = 1"]).code(2);
    let refused = ledgermq(&["receive", "demo", "-g", "g", "--sql", "a > 'x'"]).code(2);
    assert!(
        refused.err.contains("at character 5: a text") && refused.err.contains("\n      ^"),
        "{refused:?}"
    );
    ledgermq(&["receive", "demo"]).code(2);
    ledgermq(&["receive", "demo", "-g", "g", "--broadcast"]).code(2);
    ledgermq(&["receive", "demo", "--pull", "--offset", "3"]).code(2);
    ledgermq(&["receive", "demo", "-g", "g", "--from-replica"]).code(2);
    ledgermq(&["message", "query", "demo", "--key", "a", "--id", "b"]).code(2);
    ledgermq(&["message", "query", "demo", "--time", "1h..2h"]).code(2);
    ledgermq(&["group", "reset-offset", "g", "demo", "--to-offset", "3", "--yes"]).code(2);
    ledgermq(&["--log", "a=b=c", "topic", "list"]).code(2);
    let refused = ledgermq(&["topic", "delete", "demo"]).code(2);
    assert!(refused.err.contains("--yes"), "{refused:?}");
    for args in [
        &["group", "reset-offset", "g", "demo", "--from", "first"][..],
        &["group", "delete", "g"],
        &["group", "delete-subscription", "g", "demo"],
        &["dlq", "resend", "g", "--all"],
        &["transaction", "rollback", "demo", "transaction", "--id", "message"],
    ] {
        let refused = ledgermq(args).code(2);
        assert!(refused.err.contains("Repeat the command with --yes"), "{args:?}: {refused:?}");
    }
}

#[test]
fn a_configuration_is_printed_and_its_errors_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("node.toml");
    let path = path.to_str().unwrap();
    let printed = ledgermq(&["serve", "--print-config"]).code(0);
    assert!(printed.out.contains("segment_bytes = \"1GiB\""), "{}", printed.out);
    std::fs::write(path, &printed.out).unwrap();
    let again = ledgermq(&["serve", "--config", path, "--print-config"]).code(0);
    assert_eq!(again.out, printed.out);

    std::fs::write(path, "[node]\nnmae = \"a\"\n").unwrap();
    let refused = ledgermq(&["serve", "--config", path]).code(2);
    assert!(refused.err.contains("unknown key `node.nmae`: did you mean `node.name`?"), "{refused:?}");
    std::fs::write(path, "[raft]\nelection_timeout_ms = \"20ms\"\n").unwrap();
    let refused = ledgermq(&["serve", "--config", path]).code(2);
    assert!(refused.err.contains("raft.election_timeout_ms is 20"), "{refused:?}");
    let refused = ledgermq(&["serve", "--config", "/no/such/file.toml"]).code(2);
    assert!(refused.err.contains("/no/such/file.toml"), "{refused:?}");
}

#[test]
fn what_the_network_reaches_wants_protection_or_a_word() {
    let scratch = tempfile::tempdir().unwrap();
    let (path, data) = (scratch.path().join("node.toml"), scratch.path().join("data"));
    let path = path.to_str().unwrap();
    // An address of documentation (RFC 5737), which no machine has.
    let text = format!(
        "[node]\ndata = {data:?}\n[grpc]\nbind = \"203.0.113.1:8081\"\n[peer]\nbind = \"203.0.113.1:8083\"\n"
    );
    std::fs::write(path, text).unwrap();
    let refused = ledgermq(&["serve", "--config", path]).code(2);
    for port in ["grpc.bind is 203.0.113.1:8081", "peer.bind is 203.0.113.1:8083"] {
        assert!(refused.err.contains(port), "{refused:?}");
    }
    assert!(refused.err.contains("--insecure=plaintext,access,peers"), "{refused:?}");
    assert!(!data.exists(), "a node that may not start touches nothing");
    let refused = ledgermq(&["serve", "--config", path, "--insecure=plaintext,access"]).code(2);
    assert!(refused.err.contains("--insecure=peers") && !refused.err.contains("grpc.bind"), "{refused:?}");
    ledgermq(&["serve", "--config", path, "--insecure=everything"]).code(2);

    // Allowed: it is told, and goes on as far as it gets.
    let failed = ledgermq(&["serve", "--config", path, "--insecure"]).code(1);
    assert!(failed.err.contains("INSECURE: peer.bind is 203.0.113.1:8083"), "{failed:?}");
    let mut by_variable = command(&["dev", "--bind", "203.0.113.1", "--data", path]);
    let refused = ended(command(&["dev", "--bind", "203.0.113.1", "--data", path])).code(2);
    assert!(refused.err.ends_with("--insecure=plaintext,access\n"), "{refused:?}");
    by_variable.env("LEDGERMQ_INSECURE", "plaintext,access");
    assert!(ended(by_variable).err.contains("INSECURE: grpc.bind is 203.0.113.1:8081"));
}

#[test]
fn nothing_there_ends_with_3() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_str().unwrap();
    let ended = ledgermq(&["local", "status", "--data", directory]).code(3);
    assert!(ended.err.contains("start one with `ledgermq local start --nodes 3`"), "{ended:?}");
    ledgermq(&["local", "kill", "node1", "--data", directory]).code(3);
    ledgermq(&["log", "inspect", directory]).code(3);
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = ledgermq(&["completion", shell]).code(0).out;
        assert!(script.contains("transfer-leader"), "{shell}: {script}");
    }
}

#[test]
fn the_ceiling_is_measured_without_a_broker() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_str().unwrap();
    let args = ["bench", "ceiling", "--data", directory, "--seconds", "1", "--warm-up", "0", "-o", "json"];
    let json = ledgermq(&args).code(0).json();
    assert!(json["messages_per_second"].as_f64().unwrap() > 100.0, "{json}");
    assert!(json["disk"]["sequential_write_mib_per_second"].as_f64().unwrap() > 0.0, "{json}");
    assert_eq!(json["errors"], 0, "{json}");
}
