//! A disk that fills up: messages are refused, consumers go on, and the node recovers by itself.
//!
//! The disk is a file system in memory, mounted for the last node of a cluster in a mount namespace of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use proto::v2::{Code, Message, Status};
use serde_json::Value;
use tokio::time::Instant;
use tonic::transport::Endpoint;

use crate::cli_process::local::Local;
use crate::cli_process::ports::free_base_port;
use crate::cli_process::{command, skipped};
use crate::client::{Client, body, message, ok, receive};

/// The disk, in MiB. Two logs that are empty take 256 of it.
const DISK_MIB: u64 = 640;
/// So that a disk of that size is watched, and that there is room for a segment above the last mark.
const MARKS: [(&str, &str); 8] = [
    ("LEDGERMQ_LOG__SEGMENT_BYTES", "64MiB"),
    ("LEDGERMQ_DISK__SPARE_BYTES", "400MiB"),
    ("LEDGERMQ_DISK__WARN_PERCENT", "50"),
    ("LEDGERMQ_DISK__CLEAN_PERCENT", "60"),
    ("LEDGERMQ_DISK__REFUSE_PERCENT", "70"),
    ("LEDGERMQ_DISK__LOOK_EVERY_MS", "100"),
    ("LEDGERMQ_RETENTION__LOOK_EVERY_MS", "500"),
    ("LEDGERMQ_MESSAGING__DEFAULT_QUEUES", "1"),
];
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two sends to a disk that is full.
const AGAIN: Duration = Duration::from_millis(50);
/// What is left of the disk when it is filled: less than the last mark leaves.
const LEFT_BYTES: u64 = (DISK_MIB << 20) / 4;
const LARGE_BYTES: usize = 512 << 10;

/// A cluster whose last node has the small disk.
struct SmallDisk {
    local: Local,
    shell: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl SmallDisk {
    /// `None`, said loudly, where the test may not mount anything.
    fn start(nodes: u16) -> Option<SmallDisk> {
        let allowed = Command::new("unshare").args(["-rm", "true"]).status();
        if !allowed.is_ok_and(|status| status.success()) {
            skipped("this machine does not let the test make a mount namespace (unshare -rm)");
            return None;
        }
        // The shell stays in the namespace, and runs there what it is told.
        let script = format!(
            r#"
            disk=$1/node{nodes}/data
            mkdir -p "$disk"
            mount -t tmpfs -o size={DISK_MIB}m none "$disk"
            "$0" local start --nodes {nodes} --groups 1 --base-port "$2" --data "$1" --detach >/dev/null
            echo done
            while read -r line; do eval "$line"; echo done; done
            "#
        );
        let data = tempfile::tempdir().expect("a directory");
        let port = free_base_port(nodes);
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "bash", "-euo", "pipefail", "-c", &script, env!("CARGO_BIN_EXE_ledgermq")]);
        // The environment of a command of ours, and the marks.
        for (name, value) in command(&[]).get_envs() {
            match value {
                Some(value) => unshare.env(name, value),
                None => unshare.env_remove(name),
            };
        }
        unshare.arg(data.path()).arg(port.to_string()).envs(MARKS);
        let mut shell = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare runs");
        let commands = shell.stdin.take().expect("piped");
        let answers = BufReader::new(shell.stdout.take().expect("piped"));
        let local = Local { data, endpoint: format!("127.0.0.1:{port}") };
        let mut small = SmallDisk { local, shell, commands, answers };
        small.done();
        Some(small)
    }

    fn done(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("UTF-8");
        assert_eq!(line, "done\n", "the shell in the namespace: {:?}", self.shell.try_wait());
    }

    fn run(&mut self, line: &str) {
        writeln!(self.commands, "{line}").expect("the shell runs");
        self.done();
    }

    fn client(&self) -> Client {
        self.client_of(1)
    }

    fn client_of(&self, node: u16) -> Client {
        let (host, port) = self.local.endpoint.rsplit_once(':').expect("an address");
        let uri = format!("http://{host}:{}", port.parse::<u16>().expect("a port") + 10 * (node - 1));
        Client::over(Endpoint::from_shared(uri).expect("a URI").connect_lazy(), "client")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // `local` stops the nodes, whatever namespace they are in.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// What a send is answered with: OK, or that there is no room.
async fn sent(client: &Client, message: Message) -> Result<(), Status> {
    let status = client.send_all(vec![message]).await.status.expect("a status");
    if status == ok() {
        return Ok(());
    }
    assert_eq!(status.code(), Code::TooManyRequests, "{status:?}");
    assert!(status.message.contains("% full: no messages are taken until"), "{status:?}");
    Err(status)
}

/// Sends until it is answered as wanted.
async fn until(client: &Client, taken: bool) {
    let deadline = Instant::now() + PATIENCE;
    while sent(client, message("probe", "probe")).await.is_ok() != taken {
        assert!(Instant::now() < deadline, "messages are still {}", if taken { "refused" } else { "taken" });
        tokio::time::sleep(AGAIN).await;
    }
}

/// Fills the disk with something that is not ours, and makes room again.
async fn refuses_and_takes(small: &mut SmallDisk, nodes: u16) {
    let client = small.client();
    for number in 0..20 {
        client.send(message("demo", &number.to_string())).await;
    }
    let ten = || proto::v2::ReceiveMessageRequest { batch_size: 10, ..receive("demo", "g", 10_000) };
    let (_, held) = client.receive(ten()).await;
    assert_eq!(held.len(), 10);

    small.run("left=$(df --output=avail -B1 \"$disk\" | tail -1)");
    small.run(&format!("fallocate -l $((left - {LEFT_BYTES})) \"$disk/ballast\""));
    // Wherever the command goes: each node hears of it in its own time.
    for node in 1..=nodes {
        until(&small.client_of(node), false).await;
    }
    let refused = small.local.client(&["send", "probe", "--body", "no room", "--timeout", "1s"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("% full") && refused.err.contains("larger disk"), "{refused:?}");
    // Consumers go on: what they hold is settled, and what is there comes.
    assert_eq!(client.ack("demo", "g", &held).await.status, Some(ok()));
    let (_, rest) = client.receive(ten()).await;
    assert_eq!(
        rest.iter().map(body).collect::<Vec<_>>(),
        (10..20).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(client.ack("demo", "g", &rest).await.status, Some(ok()));
    assert!(sent(&client, message("probe", "probe")).await.is_err(), "there was room all the time");

    small.run("rm \"$disk/ballast\"");
    until(&client, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_written_full_is_cleaned_and_takes_messages_again() {
    let Some(mut small) = SmallDisk::start(1) else { return };
    refuses_and_takes(&mut small, 1).await;

    // More than the room that is left below the mark: it goes on because the oldest goes.
    let client = small.client();
    let (wanted, mut refusals) = ((DISK_MIB << 20) as usize * 2 / 3 / LARGE_BYTES, 0);
    let large = "x".repeat(LARGE_BYTES);
    for _ in 0..wanted {
        let deadline = Instant::now() + PATIENCE;
        let message = message("fill", &large);
        while let Err(refused) = sent(&client, message.clone()).await {
            assert!(Instant::now() < deadline, "it does not recover: {refused:?}");
            refusals += 1;
            tokio::time::sleep(AGAIN).await;
        }
    }
    println!("{wanted} messages of {LARGE_BYTES} bytes, {refusals} refusals");
    let described: Value = small.local.client(&["topic", "describe", "fill", "-o", "json"]).code(0).json();
    assert!(described["queues"][0]["first_offset"].as_u64() > Some(0), "{described}");
    let log = small.local.log_of(1);
    assert!(log.contains("the disk is so full that the oldest messages go"), "it was never full: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_one_node_refuses_messages_at_all_of_them() {
    let Some(mut small) = SmallDisk::start(3) else { return };
    refuses_and_takes(&mut small, 3).await;
}
