//! What a node tells Prometheus: read as Prometheus reads it, from the HTTP port.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use api::TlsOptions;
use api::access::gate::AccessControl;
use api::http::{self, HttpOptions, HttpServer};
use api::metrics::Exporter;
use proto::v2::{
    EndTransactionRequest, ForwardMessageToDeadLetterQueueRequest, Message, MessageType, SendResultEntry,
    TransactionResolution,
};
use raft::catalog::TopicType;
use raft::names::GroupId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::*;

/// A node with its HTTP port.
struct Scraped {
    server: Server,
    http: HttpServer,
}

/// One page.
#[derive(Debug, Default)]
struct Page {
    /// The type of each metric, under the name that its samples begin with.
    types: BTreeMap<String, String>,
    /// The values, by name and sorted labels without those that every one has.
    samples: BTreeMap<String, f64>,
    text: String,
}

impl Scraped {
    async fn start(broker_groups: u32) -> Scraped {
        let server = Server::start_with(broker_groups, |_| {}).await;
        let http = listen(&server).await;
        Scraped { server, http }
    }

    async fn page(&self) -> Page {
        Page::read(&get(&self.http, "text/plain").await.1)
    }

    /// The page on which a sample has this value, within a while.
    async fn until(&self, sample: &str, value: f64) -> Page {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.page().await;
            if page.samples.get(sample) == Some(&value) {
                return page;
            }
            assert!(Instant::now() < deadline, "no {sample} {value} on\n{}", page.text);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn listen(server: &Server) -> HttpServer {
    let exporter = Exporter::new(server.node.clone(), "test", "node1");
    exporter.watch(server.edge.as_ref().expect("an edge"));
    let options = HttpOptions {
        bind: "127.0.0.1:0".parse().expect("an address"),
        tls: TlsOptions { directory: server.data.path().join("tls"), ..TlsOptions::default() },
        access: AccessControl::Off,
        cluster: "test".to_owned(),
    };
    http::serve(server.node.clone(), exporter, options).await.expect("it listens")
}

/// Its content type, and the page.
async fn get(http: &HttpServer, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(http.address).await.expect("a connection");
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).expect("a type");
    (content_type.to_owned(), body.to_owned())
}

fn is_name(name: &str) -> bool {
    let valid = |at: usize, c: char| c.is_ascii_alphabetic() || c == '_' || (at > 0 && c.is_ascii_digit());
    !name.is_empty() && name.chars().enumerate().all(|(at, c)| valid(at, c))
}

impl Page {
    /// Reads the text format, and refuses what Prometheus would refuse.
    fn read(text: &str) -> Page {
        let mut page = Page { text: text.to_owned(), ..Page::default() };
        let mut helped = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, sentence) = help.split_once(' ').expect("a name and what it means");
                assert!(sentence.ends_with('.'), "{line}");
                helped.insert(name.to_owned());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a type");
                assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
                assert!(is_name(name) && helped.contains(name), "{line}");
                assert_eq!(page.types.insert(name.to_owned(), kind.to_owned()), None, "{name} twice");
            } else {
                page.read_sample(line);
            }
        }
        page
    }

    fn read_sample(&mut self, line: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (name, labels) = series.split_once('{').expect("labels");
        assert!(is_name(name), "{line}");
        assert!(self.type_of(name).is_some(), "{name} has no type");
        let mut labels: Vec<&str> = labels.strip_suffix('}').expect("the end of labels").split(',').collect();
        for all in ["cluster=\"test\"", "node_type=\"broker\"", "node_id=\"node1\""] {
            let at = labels.iter().position(|label| *label == all).unwrap_or_else(|| panic!("{all}: {line}"));
            labels.remove(at);
        }
        labels.sort_unstable();
        let sample = match labels.is_empty() {
            true => name.to_owned(),
            false => format!("{name}{{{}}}", labels.join(",")),
        };
        assert_eq!(self.samples.insert(sample, value), None, "twice: {line}");
    }

    /// The type of the metric that a sample belongs to.
    fn type_of(&self, sample: &str) -> Option<&str> {
        let of = |name: &str| self.types.get(name).map(String::as_str);
        let suffixes = ["_bucket", "_sum", "_count"].iter();
        let of_histogram = || suffixes.filter_map(|suffix| of(sample.strip_suffix(suffix)?)).next();
        of(sample).or_else(of_histogram)
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} on\n{}", self.text))
    }

    /// The sum over a name's samples that have all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_it = |sample: &&String| sample.split('{').next() == Some(name);
        let with = |sample: &&String| labels.iter().all(|label| sample.contains(label));
        self.samples.keys().filter(of_it).filter(with).map(|sample| self.samples[sample]).sum()
    }
}

fn delayed(topic: &str, wait: Duration) -> Message {
    let due = SystemTime::now() + wait;
    message_with(topic, "later", |system| system.delivery_timestamp = Some(due.into()))
}

fn half(body: &str) -> Message {
    message_with("orders", body, |system| system.message_type = MessageType::Transaction as i32)
}

async fn end(client: &Client, entry: &SendResultEntry, resolution: TransactionResolution) {
    let request = EndTransactionRequest {
        topic: Some(resource("orders")),
        message_id: entry.message_id.clone(),
        transaction_id: entry.transaction_id.clone(),
        resolution: resolution as i32,
        ..EndTransactionRequest::default()
    };
    let answer = client.stub.clone().end_transaction(client.request(request)).await.unwrap().into_inner();
    assert_eq!(answer.status, Some(ok()));
}

async fn give_up(client: &Client, topic: &str, group: &str, message: &Message) {
    let request = ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource(group)),
        topic: Some(resource(topic)),
        receipt_handle: receipt(message),
        message_id: system(message).message_id.clone(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        lite_topic: None,
    };
    let request = client.request(request);
    let answer = client.stub.clone().forward_message_to_dead_letter_queue(request).await.unwrap();
    assert_eq!(answer.into_inner().status, Some(ok()));
}

#[tokio::test]
async fn messages_are_counted_by_topic_and_consumer_group() {
    let scraped = Scraped::start(2).await;
    let client = scraped.server.client("c1").await;
    for number in 0..5 {
        client.send(message("demo", &format!("body {number}"))).await;
    }
    let again = message("demo", "again");
    client.send(again.clone()).await;
    client.send(again).await;
    client.send(message_with("demo", "o", |system| system.message_group = Some("a".into()))).await;
    let mut got = 0;
    while got < 7 {
        let (_, messages) = client.receive(receive("demo", "readers", 5_000)).await;
        got += messages.len();
        client.ack("demo", "readers", &messages).await;
    }
    let page = scraped.page().await;
    let topic = "topic=\"demo\"";
    assert_eq!(page.value("rocketmq_messages_in_total{message_type=\"normal\",topic=\"demo\"}"), 6.0);
    assert_eq!(page.value("rocketmq_messages_in_total{message_type=\"fifo\",topic=\"demo\"}"), 1.0);
    let out = "{consumer_group=\"readers\",topic=\"demo\"}";
    assert_eq!(page.value(&format!("rocketmq_messages_out_total{out}")), 7.0);
    let (taken, delivered) = (
        page.sum("rocketmq_throughput_in_total", &[topic]),
        page.sum("rocketmq_throughput_out_total", &[topic]),
    );
    assert_eq!(taken, delivered, "the same records went in and out");
    assert!(taken > 7.0 * 6.0, "{taken}");
    assert_eq!(page.value("ledgermq_send_seconds_count"), 8.0);
    assert_eq!(page.value("ledgermq_send_seconds_bucket{le=\"+Inf\"}"), 8.0);
    scraped.until(&format!("rocketmq_consumer_lag_messages{out}"), 0.0).await;
}

#[tokio::test]
async fn lag_is_what_is_not_settled_and_how_old_it_is() {
    let scraped = Scraped::start(1).await;
    let client = scraped.server.client("c1").await;
    scraped.server.topic("demo", TopicType::Normal, 1).await;
    for number in 0..40 {
        client.send(message("demo", &format!("{number}"))).await;
    }
    // 32 in one batch: they are in flight, 8 are ready.
    assert_eq!(client.receive(receive("demo", "slow", 5_000)).await.1.len(), 32);
    let of = |name: &str| format!("rocketmq_consumer_{name}{{consumer_group=\"slow\",topic=\"demo\"}}");
    let page = scraped.until(&of("inflight_messages"), 32.0).await;
    assert_eq!(page.value(&of("lag_messages")), 40.0);
    assert_eq!(page.value(&of("ready_messages")), 8.0);
    assert_eq!(page.value("ledgermq_leases"), 32.0);
    let before = page.value(&of("lag_latency"));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let grown = scraped.page().await.value(&of("lag_latency")) - before;
    assert!((1_000.0..20_000.0).contains(&grown), "{grown} ms");
}

#[tokio::test]
async fn what_waits_and_what_died_is_counted() {
    let scraped = Scraped::start(1).await;
    let client = scraped.server.client("c1").await;
    let mut ids = Vec::new();
    for body in ["kept", "dropped", "open"] {
        let mut answer = client.send_all(vec![half(body)]).await;
        assert_eq!(answer.status, Some(ok()));
        ids.push(answer.entries.remove(0));
    }
    end(&client, &ids[0], TransactionResolution::Commit).await;
    end(&client, &ids[1], TransactionResolution::Rollback).await;
    client.send(delayed("later", Duration::from_secs(3_600))).await;
    client.send(delayed("later", Duration::from_millis(200))).await;
    client.send(message("demo", "poison")).await;
    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    give_up(&client, "demo", "g", &received[0]).await;

    let page = scraped.until("ledgermq_timer_lateness_seconds_count{group=\"g1\"}", 1.0).await;
    assert_eq!(page.value("rocketmq_half_messages{topic=\"orders\"}"), 1.0);
    assert_eq!(page.value("rocketmq_commit_messages_total{topic=\"orders\"}"), 1.0);
    assert_eq!(page.value("rocketmq_rollback_messages_total{topic=\"orders\"}"), 1.0);
    assert_eq!(page.value("rocketmq_finish_message_latency_count{topic=\"orders\"}"), 1.0);
    assert_eq!(page.value("rocketmq_messages_in_total{message_type=\"transaction\",topic=\"orders\"}"), 3.0);
    assert_eq!(page.value("rocketmq_messages_in_total{message_type=\"delay\",topic=\"later\"}"), 2.0);
    assert_eq!(page.value("ledgermq_transactions_given_up_total{group=\"g1\"}"), 0.0);
    assert_eq!(page.value("ledgermq_timers_waiting{group=\"g1\"}"), 1.0);
    assert_eq!(page.value("ledgermq_timer_overdue_seconds{group=\"g1\"}"), 0.0);
    let late = page.value("ledgermq_timer_lateness_seconds_sum{group=\"g1\"}");
    assert!((0.0..10.0).contains(&late), "{late} s");
    assert_eq!(page.value("rocketmq_send_to_dlq_messages_total{consumer_group=\"g\",topic=\"demo\"}"), 1.0);
    assert_eq!(page.value("ledgermq_dead_letters_total{group=\"g1\"}"), 1.0);
}

#[tokio::test]
async fn raft_the_log_and_the_process_are_told_of() {
    let scraped = Scraped::start(1).await;
    let client = scraped.server.client("c1").await;
    for number in 0..20 {
        client.send(message("demo", &format!("{number}"))).await;
    }
    let page = scraped.page().await;
    for group in ["meta", "g1"] {
        let of = |name: &str| page.value(&format!("ledgermq_{name}{{group=\"{group}\"}}"));
        assert_eq!((of("leader"), of("raft_led"), of("raft_voters")), (1.0, 1.0, 1.0), "{group}");
        assert!(of("raft_applied_index") > 0.0 && of("raft_applied_index") <= of("raft_committed_index"));
        assert!(of("raft_committed_index") <= of("raft_last_index"));
        assert!(of("raft_term") >= 1.0 && of("raft_elections_total") >= 1.0, "{group}");
        let (syncs, frames) = (of("fsync_seconds_count"), of("fsync_frames_sum"));
        assert!(syncs > 0.0 && frames >= syncs, "{group}: {frames} frames in {syncs} syncs");
        assert!(of("fsync_bytes_sum") > frames, "{group}");
    }
    assert!(page.value("ledgermq_fsync_frames_sum{group=\"g1\"}") >= 20.0, "a frame a send at least");
    assert!(page.value("ledgermq_commands_total{way=\"here\"}") >= 20.0);
    assert_eq!(page.value("ledgermq_commands_total{way=\"forwarded\"}"), 0.0);
    assert_eq!(page.value("ledgermq_requests_waiting_for_leader"), 0.0);
    assert_eq!((page.value("ledgermq_members"), page.value("ledgermq_live_nodes")), (1.0, 1.0));
    assert_eq!(page.value("ledgermq_queues{group=\"g1\"}"), page.sum("ledgermq_queues", &[]));
    assert!(page.value("process_resident_memory_bytes") > 1e6);
    assert!(page.value("process_cpu_seconds_total") > 0.0);
}

#[tokio::test]
async fn a_leader_that_no_quorum_answers_is_not_told_as_one() {
    let servers = Server::cluster(3).await;
    let leader = servers[0].node.leader_of(GroupId(1)).expect("a leader").0 as usize - 1;
    let http = listen(&servers[leader]).await;
    let led = async || Page::read(&get(&http, "*/*").await.1).value("ledgermq_raft_led{group=\"g1\"}");
    assert_eq!(led().await, 1.0);
    for server in servers.iter().enumerate().filter(|(at, _)| *at != leader).map(|(_, server)| server) {
        server.node.drain(Instant::now() + Duration::from_secs(1)).await;
    }
    let deadline = Instant::now() + PATIENCE;
    while led().await != 0.0 {
        assert!(Instant::now() < deadline, "it still counts as led");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn who_asks_for_open_metrics_gets_it() {
    let scraped = Scraped::start(1).await;
    let (content_type, page) =
        get(&scraped.http, "application/openmetrics-text;version=1.0.0,*/*;q=0.1").await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(page.ends_with("# EOF\n") && page.contains("# TYPE ledgermq_leader gauge\n"), "{page}");
    assert!(page.contains("# TYPE ledgermq_commands counter\nledgermq_commands_total{"), "{page}");
    let (content_type, page) = get(&scraped.http, "*/*").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(page.contains("# TYPE ledgermq_commands_total counter\nledgermq_commands_total{"), "{page}");
}

/// What stands in the tables of the document: types by the names of samples.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = "../docs/metrics.md";
    let text = std::fs::read_to_string(path).expect("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut all = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let [name, kind, labels, unit, meaning] = cells[..] else { panic!("not five cells: {row}") };
        assert!(!unit.is_empty() && meaning.len() > 10, "{row}");
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !["", "-"].contains(&label.as_str())).collect();
        let before = all.insert(name.trim_end_matches('`').to_owned(), (kind.to_owned(), labels));
        assert_eq!(before, None, "{name} twice");
    }
    all
}

#[tokio::test]
async fn the_document_lists_every_metric_its_type_and_its_labels_and_no_other() {
    let scraped = Scraped::start(1).await;
    let client = scraped.server.client("c1").await;
    client.send(message("demo", "x")).await;
    client.receive(receive("demo", "g", 5_000)).await;
    client.send_all(vec![half("open")]).await;
    let page = scraped.until("rocketmq_half_messages{topic=\"orders\"}", 1.0).await;
    let documented = documented();
    let told: BTreeSet<&String> = page.types.keys().collect();
    let listed: BTreeSet<&String> = documented.keys().collect();
    let undocumented: Vec<_> = told.difference(&listed).collect();
    let missing: Vec<_> = listed.difference(&told).collect();
    assert!(undocumented.is_empty() && missing.is_empty(), "not listed: {undocumented:?}; gone: {missing:?}");
    for (name, (kind, labels)) in &documented {
        assert_eq!(&page.types[name], kind, "{name}");
        for sample in page.samples.keys() {
            let (of, told) = sample.split_once('{').unwrap_or((sample, "}"));
            let belongs = of == name
                || (kind == "histogram"
                    && page.type_of(of) == Some("histogram")
                    && ["_bucket", "_sum", "_count"].iter().any(|suffix| of == format!("{name}{suffix}")));
            if !belongs {
                continue;
            }
            let told = told.trim_end_matches('}').split(',').filter_map(|label| label.split('=').next());
            let told: BTreeSet<String> =
                told.filter(|label| !["", "le"].contains(label)).map(str::to_owned).collect();
            assert_eq!(&told, labels, "the labels of {sample}");
        }
    }
}

#[tokio::test]
async fn only_the_leader_tells_of_lag_so_that_the_sum_over_nodes_is_right() {
    let servers = Server::cluster(3).await;
    servers[0].topic("demo", TopicType::Normal, 1).await;
    let client = servers[0].client("c1").await;
    for number in 0..9 {
        client.send(message("demo", &format!("{number}"))).await;
    }
    let mut received = Vec::new();
    while received.len() < 9 {
        received.extend(client.receive(receive("demo", "g", 5_000)).await.1);
    }
    client.ack("demo", "g", &received[..4]).await;
    client.send(message("demo", "the last")).await;
    let mut scraped = Vec::new();
    for server in servers {
        let http = listen(&server).await;
        scraped.push(Scraped { server, http });
    }
    let expected = 6.0;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut lags = Vec::new();
        for one in &scraped {
            lags.push(one.page().await.sum("rocketmq_consumer_lag_messages", &["topic=\"demo\""]));
        }
        let sum: f64 = lags.iter().sum();
        if sum == expected && lags.iter().filter(|lag| **lag > 0.0).count() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{lags:?} instead of {expected}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut taken = 0.0;
    for one in &scraped {
        taken += one.page().await.sum("rocketmq_messages_in_total", &["topic=\"demo\""]);
    }
    assert_eq!(taken, 10.0, "a message counts on the node that its producer sent it to");
}
