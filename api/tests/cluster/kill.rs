//! The leader is killed under load, again and again. What was acknowledged is there, once, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::v2::{Code, Message};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::cli_process::local::Local;
use crate::client::{Client, body, message_with, ok, receive, system};

const SENDERS: usize = 8;
const KILLS: usize = 5;
/// Acks that must come between two kills, so that each kill meets traffic.
const ACKS_BETWEEN: u64 = 100;
/// Within this a cluster goes on after a kill, on the slowest machine. The benchmark measures how fast.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest time without an ack, on a machine that is busy with other tests.
const GAP_MAX: Duration = Duration::from_secs(5);

/// A message that was acknowledged.
struct Acked {
    id: String,
    offset: i64,
    at: Instant,
}

struct Load {
    endpoints: Vec<Channel>,
    acks: AtomicU64,
    stop: watch::Receiver<bool>,
}

impl Load {
    /// Sends the messages of one message group, one after the other, each until it is acknowledged.
    async fn send(self: Arc<Load>, number: usize) -> Vec<Acked> {
        let order = format!("order-{number}");
        let mut acked = Vec::new();
        let mut turn = number;
        while !*self.stop.borrow() {
            let message = message_with("orders", &format!("{order}:{}", acked.len()), |system| {
                system.message_group = Some(order.clone());
            });
            let offset = self.until_acked(&message, &mut turn).await;
            acked.push(Acked { id: system(&message).message_id.clone(), offset, at: Instant::now() });
            self.acks.fetch_add(1, Ordering::Relaxed);
        }
        acked
    }

    /// As the official clients do it: a broken connection is tried again elsewhere, with the same id. An answer
    /// must be OK.
    async fn until_acked(&self, message: &Message, turn: &mut usize) -> i64 {
        let began = Instant::now();
        loop {
            let channel = self.endpoints[*turn % self.endpoints.len()].clone();
            let client = Client::over(channel, "sender");
            let mut request =
                client.request(proto::v2::SendMessageRequest { messages: vec![message.clone()] });
            request.set_timeout(Duration::from_secs(5));
            match client.stub.clone().send_message(request).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    assert_eq!(answer.status, Some(ok()), "no error reaches a client");
                    return answer.entries[0].offset;
                }
                Err(status) => {
                    let broken = [tonic::Code::Unavailable, tonic::Code::Unknown, tonic::Code::Cancelled];
                    assert!(broken.contains(&status.code()), "only connections break: {status:?}");
                    assert!(began.elapsed() < PATIENCE, "nobody takes the message: {status:?}");
                    *turn += 1;
                }
            }
        }
    }
}

async fn until(acks: &AtomicU64, wanted: u64) {
    let began = Instant::now();
    while acks.load(Ordering::Relaxed) < wanted {
        assert!(began.elapsed() < PATIENCE, "acks stopped at {}", acks.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Everything in the topic, as a consumer group of its own sees it.
async fn read_all(channel: Channel, wanted: usize) -> Vec<Message> {
    let client = Client::over(channel, "auditor");
    let mut found = Vec::new();
    loop {
        let (status, batch) = client.receive(receive("orders", "audit", 5_000)).await;
        if status.code() == Code::MessageNotFound && found.len() >= wanted {
            return found;
        }
        assert!(!batch.is_empty(), "{} of {wanted} messages came: {status:?}", found.len());
        client.ack("orders", "audit", &batch).await;
        found.extend(batch);
    }
}

fn longest_gap(acked: &[Vec<Acked>]) -> Duration {
    let mut times: Vec<Instant> = acked.iter().flatten().map(|acked| acked.at).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("acks")
}

fn check(acked: &[Vec<Acked>], found: &[Message]) {
    let by_id: BTreeMap<&str, &Message> =
        found.iter().map(|message| (system(message).message_id.as_str(), message)).collect();
    assert_eq!(by_id.len(), found.len(), "a message is stored and delivered once");
    let all: BTreeSet<&str> = acked.iter().flatten().map(|acked| acked.id.as_str()).collect();
    assert_eq!(
        by_id.keys().copied().collect::<BTreeSet<_>>(),
        all,
        "what is acked is there, and nothing else"
    );
    for (number, acked) in acked.iter().enumerate() {
        let mut last = None;
        for (at, acked) in acked.iter().enumerate() {
            let message = by_id[acked.id.as_str()];
            assert_eq!(body(message), format!("order-{number}:{at}"));
            assert_eq!(
                system(message).queue_offset,
                Some(acked.offset),
                "the offset of the answer is the place"
            );
            assert!(last < Some(acked.offset), "the order within a message group holds");
            last = Some(acked.offset);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_leaders_lose_nothing_and_double_nothing() {
    let (local, started) = Local::start(3, 1);
    local.client(&["topic", "create", "orders", "--type", "fifo"]).code(0);
    local.client(&["group", "create", "audit"]).code(0);
    let nodes = started["nodes"].as_array().expect("nodes");
    let channel = |node: &serde_json::Value| {
        let uri = format!("http://{}", node["grpc"].as_str().expect("an address"));
        Endpoint::from_shared(uri).expect("a URI").connect_timeout(Duration::from_secs(1)).connect_lazy()
    };
    let endpoints: Vec<Channel> = nodes.iter().map(channel).collect();
    let (stop, stopped) = watch::channel(false);
    let load = Arc::new(Load { endpoints: endpoints.clone(), acks: AtomicU64::new(0), stop: stopped });
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let load = load.clone();
        senders.spawn(async move { (number, load.send(number).await) });
    }
    for _ in 0..KILLS {
        until(&load.acks, load.acks.load(Ordering::Relaxed) + ACKS_BETWEEN).await;
        let leader = local.leader("g1").to_string();
        local.local(&["kill", &leader]).code(0);
        until(&load.acks, load.acks.load(Ordering::Relaxed) + ACKS_BETWEEN).await;
        local.local(&["restart", &leader]).code(0);
    }
    until(&load.acks, load.acks.load(Ordering::Relaxed) + ACKS_BETWEEN).await;
    stop.send_replace(true);
    let mut acked: Vec<(usize, Vec<Acked>)> = senders.join_all().await;
    acked.sort_unstable_by_key(|(number, _)| *number);
    let acked: Vec<Vec<Acked>> = acked.into_iter().map(|(_, acked)| acked).collect();

    let gap = longest_gap(&acked);
    let count = acked.iter().map(Vec::len).sum();
    println!("{count} acks through {KILLS} kills, longest gap {} ms", gap.as_millis());
    assert!(gap < GAP_MAX, "no ack for {} ms", gap.as_millis());
    local.leader("g1");
    let found = read_all(endpoints[0].clone(), count).await;
    check(&acked, &found);
}
