//! Nodes that join and go, by what an operator types: configuration without ids, `cluster add-node`, `remove-node`,
//! `replace-node`, `add-groups`, `drain`, and the probes of a pod.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_process::ports::free_base_port;
use crate::cli_process::{Ended, command, ledgermq};

const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes `n1`, `n2`, ... on one machine; the first three are the seeds.
struct Crowd {
    dir: tempfile::TempDir,
    base: u16,
    nodes: Vec<Option<Child>>,
}

impl Crowd {
    /// Starts the seeds.
    fn found() -> Crowd {
        let dir = tempfile::tempdir().expect("a directory");
        let mut crowd = Crowd { dir, base: free_base_port(6), nodes: (0..6).map(|_| None).collect() };
        for number in 1..=3 {
            crowd.start(number);
        }
        for number in 1..=3 {
            crowd.until(number, "/readyz", true);
        }
        crowd
    }

    fn port(&self, number: u16, offset: u16) -> u16 {
        self.base + 10 * (number - 1) + offset
    }

    fn data(&self, number: u16) -> PathBuf {
        self.dir.path().join(format!("data{number}"))
    }

    fn log(&self, number: u16) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("log{number}"))).unwrap_or_default()
    }

    fn start(&mut self, number: u16) {
        let at = |offset| format!("127.0.0.1:{}", self.port(number, offset));
        let seeds = [1, 2, 3].map(|seed| format!("\"127.0.0.1:{}\"", self.port(seed, 2))).join(", ");
        let text = format!(
            "[cluster]\nname = \"crowd\"\nseeds = [{seeds}]\n[node]\nname = \"n{number}\"\ndata = {:?}\n\
             [grpc]\nbind = \"{}\"\n[http]\nbind = \"{}\"\n[peer]\nbind = \"{}\"\n[log]\nsegment_bytes = \"64MiB\"\n",
            self.data(number),
            at(0),
            at(1),
            at(2)
        );
        let path = self.dir.path().join(format!("n{number}.toml"));
        std::fs::write(&path, text).expect("written");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("log{number}")));
        let child = command(&["serve", "--config", path.to_str().expect("UTF-8")])
            .stdout(Stdio::null())
            .stderr(log.expect("a file"))
            .spawn()
            .expect("the binary runs");
        self.nodes[usize::from(number) - 1] = Some(child);
    }

    fn kill(&mut self, number: u16) {
        let mut child = self.nodes[usize::from(number) - 1].take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("it was started here");
    }

    /// Waits until a node has ended by itself; its exit code.
    fn ended(&mut self, number: u16) -> Option<i32> {
        let mut child = self.nodes[usize::from(number) - 1].take().expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("it was started here") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "node {number} goes on: {}", self.log(number));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What an address of its HTTP port answers.
    fn probe(&self, number: u16, path: &str) -> Option<(bool, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port(number, 1))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some((answer.starts_with("HTTP/1.1 200"), answer))
    }

    fn until(&self, number: u16, path: &str, good: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.probe(number, path).is_none_or(|(is_good, _)| is_good != good) {
            assert!(Instant::now() < deadline, "{path} of node {number} is not {good}: {}", self.log(number));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A client command at a node.
    fn at(&self, number: u16, args: &[&str]) -> Ended {
        ledgermq(&[args, &["--endpoint", &format!("127.0.0.1:{}", self.port(number, 0))]].concat())
    }

    fn status(&self, number: u16) -> Value {
        self.at(number, &["cluster", "status", "-o", "json"]).code(0).json()
    }

    fn voters(&self, number: u16) -> Vec<Vec<u64>> {
        let status = self.status(number);
        let of = |group: &Value| {
            let mut voters: Vec<u64> =
                group["voters"].as_array().expect("voters").iter().filter_map(Value::as_u64).collect();
            voters.sort_unstable();
            voters
        };
        status["groups"].as_array().expect("groups").iter().map(of).collect()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends that go on beside, one after the other; none may fail.
struct Load {
    ended: Arc<AtomicBool>,
    sender: JoinHandle<u32>,
}

impl Load {
    fn start(crowd: &Crowd, number: u16) -> Load {
        let endpoint = format!("127.0.0.1:{}", crowd.port(number, 0));
        let ended = Arc::new(AtomicBool::new(false));
        let until = ended.clone();
        let sender = std::thread::spawn(move || {
            let mut sent = 0;
            while !until.load(Ordering::Relaxed) {
                let body = format!("body {sent}");
                let send =
                    ["send", "orders", "--body", &body, "--message-group", "g", "--endpoint", &endpoint];
                ledgermq(&send).code(0);
                sent += 1;
            }
            sent
        });
        Load { ended, sender }
    }

    /// How many were sent.
    fn end(self) -> u32 {
        self.ended.store(true, Ordering::Relaxed);
        self.sender.join().expect("no send failed")
    }
}

#[test]
fn a_cluster_without_ids_grows_loses_a_disk_and_shrinks_under_load() {
    let mut crowd = Crowd::found();
    crowd.at(1, &["topic", "create", "orders", "--type", "fifo"]).code(0);
    crowd.at(1, &["group", "create", "readers", "--fifo"]).code(0);
    let load = Load::start(&crowd, 1);

    crowd.start(4);
    let joined = crowd.at(2, &["cluster", "add-node", "n4", "-o", "json"]).code(0).json();
    assert_eq!((&joined["node"]["id"], joined["votes"].as_array().map(Vec::len)), (&4.into(), Some(0)));
    crowd.until(4, "/startupz", true);
    crowd.start(5);
    let joined = crowd.at(2, &["cluster", "add-node", "n5"]).code(0);
    assert!(joined.out.contains("node 5 (n5) has joined, with votes in meta, g1"), "{joined:?}");
    assert_eq!(crowd.voters(3), [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]);

    // The disk is gone: nobody has to do anything.
    crowd.kill(3);
    std::fs::remove_dir_all(crowd.data(3)).expect("its data");
    crowd.start(3);
    crowd.at(1, &["cluster", "add-node", "n3", "--wait", "2m"]).code(0);
    let deadline = Instant::now() + PATIENCE;
    while crowd.status(1)["nodes"].as_array().expect("nodes").len() != 5 {
        assert!(Instant::now() < deadline, "the lost node stays: {}", crowd.status(1));
    }
    assert_eq!(crowd.voters(1), [[1, 2, 4, 5, 6], [1, 2, 4, 5, 6]]);

    let unasked = crowd.at(1, &["cluster", "remove-node", "n5"]).code(2);
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    crowd.at(1, &["cluster", "remove-node", "n5", "--yes"]).code(0);
    assert_eq!(crowd.ended(5), Some(1), "{}", crowd.log(5));
    assert!(crowd.log(5).contains("the cluster removed this node"), "{}", crowd.log(5));
    crowd.at(1, &["cluster", "replace-node", "n2", "n4", "--yes"]).code(0);
    crowd.ended(2);
    assert_eq!(crowd.voters(1), [[1, 4, 6], [1, 4, 6]]);

    let added = crowd.at(4, &["cluster", "add-groups", "2"]).code(0);
    assert!(added.out.contains("g2, g3 are there"), "{added:?}");
    let drained = crowd.at(1, &["cluster", "drain", "--wait", "20s"]).code(0);
    assert!(
        drained.out.contains("this node led nothing") || drained.out.contains("others lead"),
        "{drained:?}"
    );
    let status = crowd.status(4);
    let leaders = status["groups"].as_array().expect("groups").iter().map(|group| group["leader"].as_u64());
    assert!(leaders.clone().all(|leader| leader.is_some_and(|leader| leader != 1)), "{status}");

    let sent = load.end();
    assert!(sent > 50, "{sent} messages are no load");
    let received =
        crowd.at(4, &["receive", "orders", "--group", "readers", "--max", &sent.to_string(), "-o", "json"]);
    let bodies: Vec<String> = received.code(0).out.lines().map(body).collect();
    assert_eq!(bodies, (0..sent).map(|number| format!("body {number}")).collect::<Vec<_>>());
}

/// The body in a line that `receive` printed.
fn body(line: &str) -> String {
    let message: Value = serde_json::from_str(line).expect("JSON");
    message["body"].as_str().expect("a body").to_owned()
}

#[test]
fn who_waits_for_a_node_that_does_not_come_is_told_how_to_start_it() {
    let crowd = Crowd::found();
    let waited = crowd.at(1, &["cluster", "add-node", "n9", "--wait", "1s"]).code(1);
    assert!(waited.err.contains("no node n9 has come") && waited.err.contains("cluster.seeds"), "{waited:?}");
    let gone = crowd.at(1, &["cluster", "remove-node", "n9", "--yes"]).code(1);
    assert!(gone.err.contains("there is no node n9"), "{gone:?}");
}
