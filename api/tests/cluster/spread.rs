//! Message groups are spread over more queues while they are sent and read, and leaders are killed meanwhile: nothing is
//! lost, nothing comes twice, and no message overtakes another of its message group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proto::v2::{Code, Message, MessageType, SendMessageRequest};
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::cli_process::local::Local;
use crate::cli_process::{Ended, ledgermq};
use crate::client::{Client, body, message_with, ok, receive, system};

const SENDERS: usize = 12;
const READERS: usize = 4;
const TOPIC: &str = "orders";
/// Acks that must come between two things that happen, so that each meets traffic.
const ACKS_BETWEEN: u64 = 300;
/// A producer rests so long between two messages.
const BETWEEN_SENDS: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a consumer group has got of each message group.
#[derive(Default)]
struct Seen {
    next: BTreeMap<usize, u64>,
    /// Where each message was: one that is stored twice is in two places.
    places: BTreeMap<(usize, u64), (i32, i64)>,
    queues: BTreeSet<i32>,
}

impl Seen {
    /// Before it is settled: so nothing behind it can have been delivered.
    fn note(&mut self, message: &Message) {
        let text = body(message);
        let (order, number) = text.split_once(':').expect("order:number");
        let (order, number) = (order.parse().expect("a number"), number.parse().expect("a number"));
        let place = (system(message).queue_id, system(message).queue_offset.expect("an offset"));
        let first = *self.places.entry((order, number)).or_insert(place);
        assert_eq!(first, place, "{text} is there twice");
        let next = self.next.entry(order).or_default();
        assert!(number <= *next, "{text} overtakes number {next}");
        *next += u64::from(number == *next);
        self.queues.insert(place.0);
    }
}

struct Load {
    endpoints: Vec<Channel>,
    acks: AtomicU64,
    /// No more is sent...
    stop: AtomicBool,
    /// ... and all of it is acknowledged.
    ended: AtomicBool,
    seen: Mutex<Seen>,
}

impl Load {
    fn over(started: &Value) -> Arc<Load> {
        let nodes = started["nodes"].as_array().expect("nodes");
        let channel = |node: &Value| {
            let uri = format!("http://{}", node["grpc"].as_str().expect("an address"));
            Endpoint::from_shared(uri).expect("a URI").connect_timeout(Duration::from_secs(1)).connect_lazy()
        };
        let endpoints = nodes.iter().map(channel).collect();
        let (acks, seen) = (AtomicU64::new(0), Mutex::default());
        let (stop, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Load { endpoints, acks, stop, ended, seen })
    }

    /// Sends the messages of one message group, one after the other, each until it is acknowledged; how many.
    async fn send(self: Arc<Load>, order: usize) -> u64 {
        let (mut sent, mut turn) = (0, order);
        while !self.stop.load(Ordering::Relaxed) {
            let message = message_with(TOPIC, &format!("{order}:{sent}"), |system| {
                system.message_group = Some(format!("order-{order}"));
            });
            self.until_acked(&message, &mut turn).await;
            sent += 1;
            self.acks.fetch_add(1, Ordering::Relaxed);
            // Those who read must keep up.
            tokio::time::sleep(BETWEEN_SENDS).await;
        }
        sent
    }

    /// As the official clients do it: what fails is tried again elsewhere, with the same id.
    async fn until_acked(&self, message: &Message, turn: &mut usize) {
        let began = Instant::now();
        loop {
            let client = Client::over(self.endpoints[*turn % self.endpoints.len()].clone(), "sender");
            let mut request = client.request(SendMessageRequest { messages: vec![message.clone()] });
            // Short enough that some are cut off in the middle, and repeated behind the change.
            request.set_timeout(Duration::from_millis(1500));
            let why = match client.stub.clone().send_message(request).await {
                Ok(answer) => match answer.into_inner().status {
                    status if status == Some(ok()) => return,
                    status => {
                        let code = status.as_ref().map(|status| status.code());
                        let retried = [Some(Code::TooManyRequests), Some(Code::ProxyTimeout)];
                        assert!(retried.contains(&code), "{status:?}");
                        format!("{status:?}")
                    }
                },
                Err(status) => format!("{status:?}"),
            };
            assert!(began.elapsed() < PATIENCE, "nobody takes the message: {why}");
            *turn += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Reads for a FIFO consumer group until it is told to end and nothing comes any more.
    async fn read(self: Arc<Load>, group: &'static str, number: usize) {
        let mut turn = number;
        loop {
            let ends = self.ended.load(Ordering::Relaxed);
            let client = Client::over(
                self.endpoints[turn % self.endpoints.len()].clone(),
                &format!("{group}{number}"),
            );
            let request = client.request(receive(TOPIC, group, 1_000));
            let stream = client.stub.clone().receive_message(request).await;
            turn += 1;
            let Ok(stream) = stream else { continue };
            let messages = collect(stream.into_inner()).await;
            if messages.is_empty() && ends && self.is_done() {
                return;
            }
            messages.iter().for_each(|message| self.seen.lock().expect("no panic").note(message));
            if !messages.is_empty() {
                self.settle(group, &messages, &mut turn).await;
            }
        }
    }

    async fn settle(&self, group: &str, messages: &[Message], turn: &mut usize) {
        let entry = |message: &Message| proto::v2::AckMessageEntry {
            message_id: system(message).message_id.clone(),
            receipt_handle: crate::client::receipt(message),
            lite_topic: None,
        };
        let request = proto::v2::AckMessageRequest {
            group: Some(crate::client::resource(group)),
            topic: Some(crate::client::resource(TOPIC)),
            entries: messages.iter().map(entry).collect(),
        };
        for _ in 0..self.endpoints.len() {
            let client = Client::over(self.endpoints[*turn % self.endpoints.len()].clone(), "settler");
            if client.stub.clone().ack_message(client.request(request.clone())).await.is_ok() {
                return;
            }
            *turn += 1;
        }
    }

    fn is_done(&self) -> bool {
        let acked = self.acks.load(Ordering::Relaxed);
        self.seen.lock().expect("no panic").next.values().sum::<u64>() >= acked
    }

    async fn until_acks(&self, more: u64) {
        let (began, wanted) = (Instant::now(), self.acks.load(Ordering::Relaxed) + more);
        while self.acks.load(Ordering::Relaxed) < wanted {
            assert!(began.elapsed() < PATIENCE, "acks stopped before {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What a stream brings before it ends, or breaks.
async fn collect(mut stream: tonic::Streaming<proto::v2::ReceiveMessageResponse>) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Ok(Some(frame)) = stream.message().await {
        if let Some(proto::v2::receive_message_response::Content::Message(message)) = frame.content {
            messages.push(message);
        }
    }
    messages
}

/// A command beside what goes on here.
fn beside(endpoint: &str, args: &[&str]) -> tokio::task::JoinHandle<Ended> {
    let args: Vec<String> =
        args.iter().map(ToString::to_string).chain(["--endpoint".into(), endpoint.into()]).collect();
    tokio::task::spawn_blocking(move || ledgermq(&args.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Widens and spreads; the leader of `victim` is killed so long after the beginning.
async fn spread_under(local: &Local, load: &Load, queues: u32, victim: &str, after: Duration) {
    let leader = local.leader(victim).to_string();
    // The command is given at a node that lives on.
    let port = |node: u64| {
        let (host, port) = local.endpoint.rsplit_once(':').expect("an address");
        format!("{host}:{}", port.parse::<u64>().expect("a port") + 10 * (node - 1))
    };
    let other = if leader == "1" { 2 } else { 1 };
    local.client_of(other, &["topic", "update", TOPIC, "--queues", &queues.to_string()]).code(0);
    load.until_acks(ACKS_BETWEEN).await;
    let spread = ["topic", "spread", TOPIC, "--yes", "--within", "30s", "--wait", "60s", "-o", "json"];
    let spread = beside(&port(other), &spread);
    tokio::time::sleep(after).await;
    local.local(&["kill", &leader]).code(0);
    let spread = spread.await.expect("it ends").code(0).json();
    println!("{spread}");
    assert_eq!((&spread["to"], &spread["changed"]), (&queues.into(), &true.into()), "{spread}");
    load.until_acks(ACKS_BETWEEN).await;
    local.local(&["restart", &leader]).code(0);
    let again = local.client_of(other, &["topic", "spread", TOPIC, "--yes"]).code(0);
    assert!(again.out.contains(&format!("over all of its {queues} queues")), "{again:?}");
    load.until_acks(ACKS_BETWEEN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_groups_keep_their_order_when_they_are_spread_under_load_and_leaders_die() {
    let (local, started) = Local::start(3, 2);
    local.client(&["topic", "create", TOPIC, "--type", "fifo", "--queues", "2"]).code(0);
    for group in ["readers", "late"] {
        local.client(&["group", "create", group, "--fifo"]).code(0);
    }
    let load = Load::over(&started);
    let (mut senders, mut readers) = (JoinSet::new(), JoinSet::new());
    for order in 0..SENDERS {
        let load = load.clone();
        senders.spawn(async move { (order, load.send(order).await) });
    }
    for number in 0..READERS {
        readers.spawn(load.clone().read("readers", number));
    }
    load.until_acks(ACKS_BETWEEN).await;
    spread_under(&local, &load, 8, "g1", Duration::from_millis(20)).await;
    spread_under(&local, &load, 12, "meta", Duration::from_millis(60)).await;
    load.stop.store(true, Ordering::Relaxed);
    let sent: BTreeMap<usize, u64> = senders.join_all().await.into_iter().collect();
    load.ended.store(true, Ordering::Relaxed);
    let read = tokio::time::timeout(PATIENCE * 2, readers.join_all()).await;
    read.expect("everything that was acknowledged is delivered");
    assert_eq!(load.seen.lock().expect("no panic").next, sent);
    let queues = load.seen.lock().expect("no panic").queues.len();
    println!("{} messages of {SENDERS} message groups on {queues} queues", sent.values().sum::<u64>());
    assert!(queues > 2, "they are spread");

    // A consumer group that comes late reads it in order too, past both steps.
    *load.seen.lock().expect("no panic") = Seen::default();
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        readers.spawn(load.clone().read("late", number));
    }
    let read = tokio::time::timeout(PATIENCE * 2, readers.join_all()).await;
    read.expect("everything that was acknowledged is delivered again");
    assert_eq!(load.seen.lock().expect("no panic").next, sent);
    let listed = local.client(&["topic", "describe", TOPIC, "-o", "json"]).code(0).json();
    assert_eq!((&listed["ordered_queues"], &listed["spreading"]), (&12.into(), &Value::Null));
    assert_eq!(listed["behind_spread"].as_array().map(Vec::len), Some(0), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_held_up_is_given_up_and_sends_go_on() {
    let (local, started) = Local::start(1, 2);
    local.client(&["topic", "create", TOPIC, "--type", "mixed", "--queues", "2"]).code(0);
    local.client(&["topic", "update", TOPIC, "--queues", "6"]).code(0);
    let load = Load::over(&started);
    let client = Client::over(load.endpoints[0].clone(), "sender");
    let ordered = |text: &str| message_with(TOPIC, text, |it| it.message_group = Some("order-1".into()));
    // An open transaction of a message with a message group would come behind the change.
    let mut half = ordered("half");
    half.system_properties.as_mut().expect("they are there").message_type = MessageType::Transaction as i32;
    client.send(half).await;

    let plan = local.client(&["topic", "spread", TOPIC, "--dry-run"]).code(0);
    assert!(
        plan.out.contains("over 6 queues instead of 2") && plan.out.contains("Nothing was done"),
        "{plan:?}"
    );
    local.client(&["topic", "spread", TOPIC]).code(2);
    let late = local.client(&["topic", "spread", TOPIC, "--yes", "--within", "1s"]).code(1);
    assert!(late.err.contains("stay on 2 queues") && late.err.contains("transactions"), "{late:?}");
    client.send(ordered("goes on")).await;

    let spread = beside(&local.endpoint, &["topic", "spread", TOPIC, "--yes", "--within", "60s"]);
    let began = Instant::now();
    loop {
        let topic = local.client(&["topic", "list", "-o", "json"]).code(0).json();
        if !topic["topics"][0]["spreading"].is_null() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "nothing begins: {topic}");
    }
    let abort = local.client(&["topic", "spread", TOPIC, "--abort"]).code(0);
    assert!(abort.out.contains("stay on 2 queues"), "{abort:?}");
    let given_up = spread.await.expect("it ends").code(1);
    assert!(given_up.err.contains("an operator gave it up"), "{given_up:?}");
    let nothing = local.client(&["topic", "spread", TOPIC, "--abort"]).code(0);
    assert!(nothing.out.contains("nothing was under way"), "{nothing:?}");
    client.send(ordered("goes on still")).await;
    local.client(&["topic", "create", "chats", "--type", "lite"]).code(0);
    local.client(&["topic", "update", "chats", "--queues", "16"]).code(0);
    let lite = local.client(&["topic", "spread", "chats", "--yes"]).code(1);
    assert!(lite.err.contains("it stays there"), "{lite:?}");
}
