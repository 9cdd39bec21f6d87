//! Wall clocks that jump under running nodes: nothing is early, nothing is late, and no lease ends before its time.
//!
//! libfaketime, loaded into one node's process alone, adds to its wall clock what a file says, and leaves the
//! monotonic clock as it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::v2::Message;
use serde_json::Value;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::cli_process::local::Local;
use crate::cli_process::skipped;
use crate::client::{Client, body, message, message_with, ok, receive, seconds};

const HOUR: f64 = 3_600.0;
/// What a busy machine may be late.
const LATE_MAX: Duration = Duration::from_secs(4);
/// The log's clock is led to the wall clock by 5 ms a second: so much sooner something may come by another clock.
const LED: Duration = Duration::from_millis(100);
/// A CLI's call or a node's look at its clock take no longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What each node says once it has seen the jump.
const SEEN: &str = "the wall clock of this machine has jumped";

/// Where Debian's package puts the library.
fn library() -> Option<PathBuf> {
    let dirs = std::fs::read_dir("/usr/lib").ok()?;
    let at = |dir: PathBuf| dir.join("faketime").join("libfaketimeMT.so.1");
    dirs.filter_map(|dir| Some(at(dir.ok()?.path()))).find(|path| path.exists())
}

/// The wall clock of one node.
struct WallClock {
    node: u64,
    file: PathBuf,
}

impl WallClock {
    /// Starts a node again, with the library and a clock that is so far ahead.
    fn of(local: &Local, node: u64, library: &Path, ahead_seconds: f64) -> WallClock {
        let clock = WallClock { node, file: local.data.path().join(format!("clock-of-{node}")) };
        clock.set(ahead_seconds);
        let environment = [
            ("LD_PRELOAD", library.to_str().expect("UTF-8")),
            ("FAKETIME_TIMESTAMP_FILE", clock.file.to_str().expect("UTF-8")),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        local.restart_with(node, &environment);
        clock
    }

    fn set(&self, ahead_seconds: f64) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{ahead_seconds:+}\n")).expect("written");
        std::fs::rename(&next, &self.file).expect("in place");
    }

    /// Jumps, and waits until the node has noticed: without that nothing was tested.
    async fn jump(&self, local: &Local, by_seconds: f64) {
        assert!(!local.log_of(self.node).contains(SEEN), "node {} saw a jump that was none", self.node);
        self.set(by_seconds);
        let deadline = Instant::now() + PATIENCE;
        while !local.log_of(self.node).contains(SEEN) {
            assert!(Instant::now() < deadline, "node {} has not seen the jump", self.node);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

fn delayed(text: &str, due: Duration) -> Message {
    message_with("demo", text, |system| {
        let nanos = due.subsec_millis() as i32 * 1_000_000;
        system.delivery_timestamp = Some(prost_types::Timestamp { seconds: due.as_secs() as i64, nanos });
    })
}

/// Waits for the next message of a topic, which must be this one, within its time.
async fn comes(client: &Client, topic: &str, text: &str, earliest: Instant) {
    let (status, batch) = client.receive(receive(topic, "g", 20_000)).await;
    let came = Instant::now();
    assert_eq!(batch.iter().map(body).collect::<Vec<_>>(), [text], "{status:?}");
    assert!(came >= earliest, "{text} came {:?} early", earliest - came);
    assert!(came <= earliest + LATE_MAX, "{text} came {:?} late", came - earliest);
    assert_eq!(client.ack(topic, "g", &batch).await.status, Some(ok()));
}

/// Leases the one message of a topic.
async fn lease(client: &Client, topic: &str, time: i64) -> Vec<Message> {
    let mut request = receive(topic, "g", 10_000);
    request.invisible_duration = Some(seconds(time));
    let (status, leased) = client.receive(request).await;
    assert_eq!(leased.iter().map(body).collect::<Vec<_>>(), ["leased"], "{status:?}");
    leased
}

/// A message that is due in two seconds comes then; one of now at once, and is found by its id and known by it.
async fn time_goes_on(client: &Client, local: &Local) {
    let due = Duration::from_secs(2);
    let began = Instant::now();
    client.send(delayed("due in two seconds", now() + due)).await;
    comes(client, "demo", "due in two seconds", began + due - LED).await;

    let began = Instant::now();
    let sent: Value = local.client(&["send", "demo", "--body", "of now", "-o", "json"]).code(0).json();
    comes(client, "demo", "of now", began).await;
    let id = sent["message_id"].as_str().expect("an id");
    let found = local.client(&["message", "query", "demo", "--id", id, "-o", "json"]).code(0).json();
    assert_eq!(found["messages"][0]["message_id"], id, "{found}");

    let began = Instant::now();
    let twice = message("demo", "twice");
    let offset = client.send(twice.clone()).await;
    assert_eq!(client.send(twice).await, offset, "an id that was there before is known");
    comes(client, "demo", "twice", began).await;
}

/// Makes a node the leader.
fn lead(local: &Local, node: u64) {
    let deadline = Instant::now() + PATIENCE;
    while local.client(&["cluster", "transfer-leader", "g1", "--to", &node.to_string()]).code != 0
        && local.leader("g1") != node
    {
        assert!(Instant::now() < deadline, "node {node} does not become the leader");
    }
}

/// A client of the third node.
fn client(started: &Value) -> Client {
    let endpoint = format!("http://{}", started["nodes"][2]["grpc"].as_str().expect("an address"));
    let channel: Channel = Endpoint::from_shared(endpoint).expect("a URI").connect_lazy();
    Client::over(channel, "client")
}

fn no_library() {
    skipped("there is no libfaketime here: apt-get install libfaketime");
}

/// The leader's clock jumps; then a follower's, which takes over.
async fn clocks_jump(leader_seconds: f64, follower_seconds: f64) {
    let Some(library) = library() else { return no_library() };
    let (local, started) = Local::start(3, 1);
    let first = WallClock::of(&local, 1, &library, 0.0);
    let second = WallClock::of(&local, 2, &library, 0.0);
    local.leader("g1");
    lead(&local, first.node);
    let client = client(&started);

    for topic in ["demo", "brief"] {
        client.send(message(topic, "leased")).await;
    }
    let long = lease(&client, "demo", 60).await;
    let leased_at = Instant::now();
    lease(&client, "brief", 10).await;
    let ends = tokio::spawn({
        let client = client.clone();
        async move { comes(&client, "brief", "leased", leased_at + Duration::from_secs(10) - LED).await }
    });
    for minutes in [1, 10, 50] {
        client.send(delayed("waits", now() + Duration::from_secs(60 * minutes))).await;
    }
    let waiting = client.send_all(vec![delayed("recalled", now() + Duration::from_secs(HOUR as u64))]).await;

    first.jump(&local, leader_seconds).await;
    assert_eq!(local.leader("g1"), first.node, "the leader is the one whose clock jumped");
    time_goes_on(&client, &local).await;

    second.jump(&local, follower_seconds).await;
    lead(&local, second.node);
    time_goes_on(&client, &local).await;

    let recall = ["message", "recall", "demo", &waiting.entries[0].recall_handle];
    local.client(&recall).code(0);
    ends.await.expect("the brief lease ended when it had to");
    // None of those that wait came, or `comes` had met them; and the long lease is as good as it was.
    assert!(leased_at.elapsed() < Duration::from_secs(55), "the machine is too slow for this test");
    assert_eq!(client.ack("demo", "g", &long).await.status, Some(ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_an_hour_ahead_release_nothing_early() {
    clocks_jump(HOUR, HOUR).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_an_hour_back_hold_nothing_up() {
    clocks_jump(-HOUR, -HOUR).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_with_a_wrong_clock_and_leads_at_once_takes_the_others() {
    let Some(library) = library() else { return no_library() };
    let (local, started) = Local::start(3, 1);
    let client = client(&started);
    client.send(delayed("waits", now() + Duration::from_secs(1_800))).await;
    for ahead_seconds in [HOUR, -HOUR] {
        let wrong = WallClock::of(&local, 1, &library, ahead_seconds);
        lead(&local, wrong.node);
        time_goes_on(&client, &local).await;
        // Another one leads while it starts again.
        lead(&local, 2);
    }
}

/// Less than what is corrected while a node runs; nodes of a cluster that was killed as a whole know nothing but their wall
/// clocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_with_its_clock_nearly_a_second_ahead_cuts_no_lease() {
    const AHEAD_SECONDS: f64 = 0.9;
    /// What a node may be off from the others when it begins to stamp.
    const AT_START: Duration = Duration::from_millis(150);
    let Some(library) = library() else { return no_library() };
    let (local, started) = Local::start(3, 1);
    let client = client(&started);
    client.send(message("brief", "leased")).await;
    lease(&client, "brief", 10).await;
    let leased_at = Instant::now();
    for node in [1, 2, 3] {
        local.local(&["kill", &node.to_string()]).code(0);
    }
    let ahead = WallClock::of(&local, 1, &library, AHEAD_SECONDS);
    for node in [2, 3] {
        local.local(&["restart", &node.to_string()]).code(0);
    }
    lead(&local, ahead.node);
    client.send(message("demo", "stamped by the one that is ahead")).await;
    comes(&client, "brief", "leased", leased_at + Duration::from_secs(10) - LED - AT_START).await;
}
