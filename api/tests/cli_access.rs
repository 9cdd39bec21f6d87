//! Access control from the command line, over a cluster of processes.

mod cli_process;

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cli_process::local::Local;
use cli_process::ports::free_base_port;
use cli_process::{Background, Ended, command, ended, ledgermq};

const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that lets nobody in but its users.
fn guarded(nodes: u16) -> Local {
    let local = Local::guarded(nodes);
    assert_eq!(local.status()["nodes"].as_array().map(Vec::len), Some(usize::from(nodes)));
    local
}

/// A client command at a node, as a user with this secret.
fn as_user(local: &Local, node: u64, (user, secret): (&str, &str), args: &[&str]) -> Ended {
    let endpoint = local.endpoint_of(node);
    let mut command = command(&[args, &["--endpoint", &endpoint]].concat());
    command.env("LEDGERMQ_ACCESS_KEY", user).env("LEDGERMQ_SECRET_KEY", secret);
    ended(command)
}

/// The secret of the first administrator.
fn admin_secret(local: &Local) -> String {
    let text = std::fs::read_to_string(local.data.path().join("access").join("admin-secret"));
    text.expect("the secret").trim_end().to_owned()
}

#[test]
fn users_do_what_they_may_on_every_node() {
    let local = guarded(3);
    let secret = admin_secret(&local);
    let admin = ("admin", secret.as_str());
    let anonymous = local.client(&["topic", "list"]).code(1);
    assert!(anonymous.err.contains("not signed") && anonymous.err.contains("--access-key"), "{anonymous:?}");
    let wrong = as_user(&local, 1, ("admin", "not-the-secret-of-it"), &["topic", "list"]).code(1);
    assert!(wrong.err.contains("not known"), "{wrong:?}");

    as_user(&local, 1, admin, &["topic", "create", "orders"]).code(0);
    let made = as_user(&local, 1, admin, &["user", "create", "shop", "-o", "json"]).code(0).json();
    let shop_secret = made["secret_key"].as_str().expect("a secret").to_owned();
    let shop = ("shop", shop_secret.as_str());
    let publish = ["acl", "create", "shop", "--resource", "topic:orders", "--actions", "publish,get"];
    as_user(&local, 2, admin, &publish).code(0);
    let again = as_user(&local, 2, admin, &publish).code(1);
    assert!(again.err.contains("has a rule already"), "{again:?}");
    for node in 1..=3 {
        // A node hears of it within a heartbeat.
        let deadline = Instant::now() + PATIENCE;
        let send = ["send", "orders", "--body", "one"];
        while as_user(&local, node, shop, &send).code != 0 {
            assert!(Instant::now() < deadline, "node {node} never let it in");
        }
        let receive = ["receive", "orders", "--group", "g", "--wait", "1s"];
        let refused = as_user(&local, node, shop, &receive).code(1);
        assert!(refused.err.contains("may not subscribe topic:orders"), "{refused:?}");
    }

    let test = |action: &str, code: i32| {
        let args = ["acl", "test", "shop", "--resource", "topic:orders", "--action", action, "-o", "json"];
        as_user(&local, 3, admin, &args).code(code).json()
    };
    assert_eq!(test("publish", 0)["rule"]["resource"], "topic:orders");
    assert_eq!(test("subscribe", 3)["why"], "no rule speaks of it");
    let listed = as_user(&local, 3, admin, &["acl", "list", "shop", "-o", "json"]).code(0).json();
    assert_eq!(listed["users"][0]["rules"][0]["actions"], serde_json::json!(["publish", "get"]));
    as_user(&local, 1, shop, &["user", "list"]).code(1);

    // A user that is disabled is out, on the node that was told at once.
    as_user(&local, 1, admin, &["user", "update", "shop", "--disable"]).code(0);
    let out = as_user(&local, 1, shop, &["topic", "describe", "orders"]).code(1);
    assert!(out.err.contains("is disabled"), "{out:?}");
    as_user(&local, 1, admin, &["user", "update", "shop", "--enable"]).code(0);
    as_user(&local, 1, shop, &["topic", "describe", "orders"]).code(0);
    let gone = ["acl", "delete", "shop", "--resource", "topic:orders", "--yes"];
    as_user(&local, 1, admin, &gone).code(0);
    as_user(&local, 1, admin, &gone).code(1);
    as_user(&local, 1, shop, &["topic", "describe", "orders"]).code(1);
    as_user(&local, 1, admin, &["user", "delete", "shop", "--yes"]).code(0);
    as_user(&local, 1, admin, &["user", "delete", "admin", "--yes"]).code(1);

    // What was refused and what was changed is told, without a secret.
    let log: String = (1..=3).map(|node| local.log_of(node)).collect();
    for told in ["made user shop", "may not subscribe", "deleted user shop"] {
        assert!(log.contains(told), "the audit log lacks {told:?}");
    }
    assert!(!log.contains(&shop_secret) && !log.contains(&secret), "a secret is in a log");
}

#[test]
fn users_outlive_every_node_and_the_commands_of_the_cluster_are_signed() {
    let local = guarded(3);
    let secret = admin_secret(&local);
    let admin = ("admin", secret.as_str());
    as_user(&local, 1, admin, &["topic", "create", "orders"]).code(0);
    for node in ["1", "2", "3"] {
        local.local(&["kill", node]).code(0);
    }
    for node in ["1", "2", "3"] {
        local.local(&["restart", node]).code(0);
    }
    local.leader("g1");
    let verified = as_user(&local, 1, admin, &["verify", "--seconds", "2", "-o", "json"]).code(0).json();
    assert_eq!(verified["held"], true, "{verified}");
    as_user(&local, 2, admin, &["bench", "send", "--seconds", "1", "--warm-up", "0", "--topic", "orders"])
        .code(0);
    as_user(&local, 2, admin, &["cluster", "status"]).code(0);
    local.local(&["stop"]).code(0);
    local.local(&["start", "--detach"]).code(0);
    as_user(&local, 3, admin, &["topic", "describe", "orders"]).code(0);
    local.client(&["topic", "list"]).code(1);
}

#[test]
fn the_first_secret_is_printed_once_and_lost_keys_are_told() {
    let scratch = tempfile::tempdir().expect("a directory");
    let config = scratch.path().join("node.toml");
    let port = free_base_port(1);
    let text = format!(
        "[node]\ndata = {:?}\n[grpc]\nbind = \"127.0.0.1:{port}\"\n[http]\nbind = \"127.0.0.1:{}\"\n\
         [peer]\nbind = \"127.0.0.1:{}\"\n[log]\nsegment_bytes = \"64MiB\"\n[access]\n",
        scratch.path().join("data"),
        port + 1,
        port + 2
    );
    std::fs::write(&config, format!("{text}enabled = true\n")).expect("written");
    let serve = ["serve", "--config", config.to_str().expect("UTF-8")];
    let first = Background::start(&serve, "export LEDGERMQ_ACCESS_KEY=admin");
    let greeting = first.greeting.clone();
    let secret = greeting.split("secret key  ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let secret = secret.expect("a secret");
    let endpoint = format!("127.0.0.1:{port}");
    let list = || {
        let mut list = command(&["user", "list", "--endpoint", &endpoint, "-o", "json"]);
        list.env("LEDGERMQ_ACCESS_KEY", "admin").env("LEDGERMQ_SECRET_KEY", secret);
        ended(list)
    };
    // Waits for an answer that fits.
    let until = |fits: &dyn Fn(&Ended) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = list();
            if fits(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{answer:?}");
        }
    };
    assert_eq!(list().code(0).json()["users"][0]["admin"], true);
    assert_eq!(first.signal("TERM"), Some(0));
    let out = scratch.path().join("out");
    let quietly = || {
        let mut node = command(&serve);
        node.stdout(File::create(&out).expect("a file")).stderr(Stdio::null());
        Background { child: node.spawn().expect("the binary runs"), greeting: String::new() }
    };
    let second = quietly();
    until(&|answer| answer.code == 0);
    assert_eq!(second.signal("TERM"), Some(0));
    assert_eq!(std::fs::read_to_string(&out).expect("what it printed"), "", "the secret is not shown again");

    // Without the key the secrets are good for nothing. Whoever has the machine makes new ones: users can be changed where
    // access is not controlled and there is a key.
    std::fs::remove_file(scratch.path().join("data/access/seal-key")).expect("it is there");
    let third = quietly();
    until(&|answer| answer.err.contains("not known"));
    assert_eq!(third.signal("TERM"), Some(0));
    let key = scratch.path().join("new-key");
    ledgermq(&["acl", "new-key", "--out", key.to_str().expect("UTF-8")]).code(0);
    let with_key = |enabled: bool| {
        let access = format!("enabled = {enabled}\nseal_key = {key:?}\n");
        std::fs::write(&config, format!("{text}{access}")).expect("written");
    };
    with_key(false);
    let fourth = quietly();
    until(&|answer| answer.code == 0);
    let update = ["user", "update", "admin", "--new-secret", "--endpoint", &endpoint, "-o", "json"];
    let renewed = ledgermq(&update).code(0).json()["secret_key"].as_str().expect("a secret").to_owned();
    assert_eq!(fourth.signal("TERM"), Some(0));
    with_key(true);
    let fifth = quietly();
    until(&|answer| answer.err.contains("not known"));
    let mut list = command(&["user", "list", "--endpoint", &endpoint]);
    list.env("LEDGERMQ_ACCESS_KEY", "admin").env("LEDGERMQ_SECRET_KEY", &renewed);
    ended(list).code(0);
    assert_eq!(fifth.signal("TERM"), Some(0));
    let odd = ledgermq(&["acl", "new-key"]).code(0).out;
    assert_eq!(odd.trim_end().len(), 64, "{odd}");
}
