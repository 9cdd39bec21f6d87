//! A node among those who wish it ill, on the client port: whatever they do, a client that behaves is served, and the node's
//! memory stays within bounds.
//!
//! The hostile ones come from other addresses of the loopback network than the good one does. Both share the machine, and what
//! a machine of two cores has left to give is seen in the tail: the bound here is generous, and `LEDGERMQ_HOSTILE_P99_MS` says
//! what it is to be on a quiet machine (docs/benchmarks.md).

mod attacks;
#[path = "../cli_process/mod.rs"]
mod cli_process;
mod good;
mod wire;

use std::net::Ipv4Addr;
use std::time::Duration;

use cli_process::Background;
use cli_process::ports::free_base_port;
use good::Good;
use tokio::sync::RwLock;

/// Where the hostile ones come from.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const P99_MAX: Duration = Duration::from_millis(1_500);
const MEMORY_MIB_MAX: u64 = 1_536;

/// Who opens 26,000 calls within the time that one of them waits needs the machine alone.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// A node, and what it says of itself.
struct Node {
    process: Background,
    port: u16,
    _scratch: tempfile::TempDir,
}

impl Node {
    fn start() -> Node {
        let scratch = tempfile::tempdir().expect("a directory");
        let port = free_base_port(1);
        let data = scratch.path().join("data");
        let bind = format!("127.0.0.1:{port}");
        let args = ["dev", "--bind", &bind, "--data", data.to_str().expect("UTF-8"), "--log", "warn"];
        Node { process: Background::start(&args, "Ctrl-C stops it"), port, _scratch: scratch }
    }

    /// The most memory that it ever had.
    fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id()));
        let status = status.expect("it runs");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("on Linux");
        kib.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// A metric's value, by all of its name and labels but those that every metric has.
    async fn metric(&self, name: &str, label: &str) -> f64 {
        let answer = attacks::http_get(self.port + 1, "/metrics").await;
        let line = answer.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        let line = line.unwrap_or_else(|| panic!("no {name} {label} in {answer}"));
        line.rsplit(' ').next().expect("a value").parse().expect("a number")
    }
}

/// Lets a good client work while `attack` goes on, and holds the node to what it promises.
async fn beside<T>(node: &Node, name: &str, attack: impl Future<Output = T>) -> T {
    let good = Good::start(node.port).await;
    let seen = attack.await;
    // Who comes now gets in as well.
    let mut newcomer = Good::start(node.port).await;
    newcomer.until_sent(20).await;
    newcomer.ended().await;
    let (sends, p99, longest) = good.ended().await;
    let memory = node.memory_mib();
    println!(
        "{name:28} good sends {sends:6}, p99 {p99:9.1?}, longest {longest:9.1?}; memory at most {memory} MiB"
    );
    let bound = std::env::var("LEDGERMQ_HOSTILE_P99_MS").ok().and_then(|ms| ms.parse().ok());
    assert!(p99 < bound.map_or(P99_MAX, Duration::from_millis), "{name}: p99 {p99:?}");
    assert!(memory < MEMORY_MIB_MAX, "{name}: {memory} MiB");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_are_cut() {
    let _beside = MACHINE.read().await;
    let node = Node::start();
    let mut alone = Good::start(node.port).await;
    beside(&node, "nothing but another like it", alone.until_sent(300)).await;
    alone.ended().await;
    for (number, (name, why, flood)) in (2..).zip(attacks::floods()) {
        // Each from an address of its own: one that is cut again and again is shut out for a while.
        let from = Ipv4Addr::new(127, 0, 1, number);
        let cut = beside(&node, name, attacks::flood(node.port, from, flood)).await;
        assert!(cut > 0, "{name}: nobody was cut");
        let counted = node.metric("ledgermq_connections_cut_total", &format!("why=\"{why}\"")).await;
        assert!(counted >= 1.0, "{name}: {counted}");
    }
    assert_eq!(node.process.signal("TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_not_waited_for() {
    let _beside = MACHINE.read().await;
    let node = Node::start();
    let cut = beside(&node, "slow loris, 2,000", attacks::slow_loris(node.port, FROM, 2_000)).await;
    assert_eq!(cut, 2_000);
    assert!(node.metric("ledgermq_connections_cut_total", "why=\"silence\"").await >= 2_000.0);
    // The HTTP port stays open for probes, whoever sits on it.
    let cut = beside(&node, "slow loris, HTTP", attacks::slow_http(node.port + 1, FROM, 600)).await;
    assert_eq!(cut, 600);
    assert_eq!(node.process.signal("TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_does_not_take_all_connections() {
    let _beside = MACHINE.read().await;
    let node = Node::start();
    let wanted = attacks::connections_wanted();
    let kept = beside(&node, "20,000 connections", attacks::connections(node.port, FROM, wanted)).await;
    let there = node.metric("ledgermq_connections", "").await;
    println!("{} of {wanted} connections were kept, {there} are there", kept.len());
    assert!(there <= 10_000.0 + 10.0, "more than the share of one address: {there}");
    let refused = node.metric("ledgermq_refused_total", "what=\"connections\"").await;
    assert!(refused as usize + 10_010 >= wanted, "{refused} of {wanted} were refused");
    drop(kept);
    assert_eq!(node.process.signal("TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_have_a_bound() {
    let _beside = MACHINE.read().await;
    let node = Node::start();
    let (sent, bodies) =
        beside(&node, "4 MiB bodies, answers unread", attacks::bodies(node.port, FROM, 16, 8)).await;
    assert!(sent > 0, "none of the bodies was taken");
    drop(bodies);
    let refused = async |what: &str| node.metric("ledgermq_refused_total", &format!("what=\"{what}\"")).await;
    let polls = async {
        let held = attacks::unread_receives(node.port, FROM, 12, 8).await;
        attacks::until(async || refused("answer_bytes").await >= 1.0).await;
        held
    };
    drop(beside(&node, "receives, never read", polls).await);
    // Who sends what nobody takes stands still: it is over when it was told so.
    let unended = async {
        tokio::select! {
            held = attacks::unended(node.port, FROM, 16, 16) => Some(held),
            () = attacks::until(async || refused("request_bytes").await >= 1.0) => None,
        }
    };
    beside(&node, "requests that never end", unended).await;
    assert!(refused("request_bytes").await >= 1.0);
    // When they are gone, so is what they held.
    attacks::until(async || node.metric("ledgermq_answer_bytes", "").await == 0.0).await;
    attacks::until(async || node.metric("ledgermq_request_bytes", "").await == 0.0).await;
    assert_eq!(node.process.signal("TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_inside_a_request_does_no_harm() {
    let _alone = MACHINE.write().await;
    let node = Node::start();
    beside(&node, "a bomb in a gzip body", attacks::gzip_bomb(node.port)).await;
    beside(&node, "a compressed request", attacks::compressed_request(node.port, FROM)).await;
    beside(&node, "filters", attacks::filters(node.port)).await;
    beside(&node, "2,000 new topics at once", attacks::new_topics(node.port, 2_000)).await;
    // More than one address may have.
    let refused = async || node.metric("ledgermq_refused_total", "what=\"long_polls\"").await;
    let polls = async {
        let held = attacks::long_polls(node.port, FROM, 26_000).await;
        attacks::until(async || refused().await >= 500.0).await;
        tokio::time::sleep(attacks::FOR).await;
        held
    };
    drop(beside(&node, "26,000 long polls", polls).await);
    assert_eq!(node.process.signal("TERM"), Some(0));
}
