//! Traces: what a collector is told of messages that carry a trace context through a cluster of processes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use proto::v2::{Message, SendMessageRequest};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

use crate::cli_process::local::Local;
use crate::client::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A span, and the node that told of it.
#[derive(Clone, Debug)]
struct Told {
    node: String,
    span: Span,
}

impl Told {
    fn text(&self, key: &str) -> Option<&str> {
        text(&self.span.attributes, key)
    }

    fn context(&self) -> (u128, u64) {
        (number(&self.span.trace_id), number(&self.span.span_id) as u64)
    }

    fn parent(&self) -> u64 {
        number(&self.span.parent_span_id) as u64
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Of big-endian bytes.
fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// A collector that keeps what it is told.
#[derive(Clone, Default)]
struct Collector {
    told: Arc<Mutex<Vec<Told>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let resource = of_resource.resource.expect("a resource").attributes;
            assert_eq!(text(&resource, "service.name"), Some("ledgermq"));
            let node = text(&resource, "service.instance.id").expect("a node").to_owned();
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let told = spans.map(|span| Told { node: node.clone(), span });
            self.told.lock().expect("nobody panicked").extend(told);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens; and where.
    async fn start() -> (Collector, String) {
        let collector = Collector::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let service = TraceServiceServer::new(collector.clone());
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        (collector, endpoint)
    }

    fn all(&self) -> Vec<Told> {
        self.told.lock().expect("nobody panicked").clone()
    }

    /// The span of this name under this parent, within a while.
    async fn span(&self, trace: u128, parent: u64, name: &str) -> Told {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = self.all();
            let is_it =
                |told: &&Told| told.span.name == name && told.context().0 == trace && told.parent() == parent;
            if let Some(found) = all.iter().find(is_it) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "no {name} under {parent:x} among {all:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The stages of a command on the leader, which a follower brought there.
    async fn forwarded(&self, call: &Told, leader: u64) -> [Told; 4] {
        let (trace, span) = call.context();
        let forward = self.span(trace, span, "forward").await;
        assert_eq!((&forward.node, forward.span.kind), (&call.node, SpanKind::Client as i32));
        let under = forward.context().1;
        let stages = [
            self.span(trace, under, "propose").await,
            self.span(trace, under, "commit").await,
            self.span(trace, under, "apply").await,
        ];
        for stage in &stages {
            assert_eq!(stage.node, format!("node{leader}"), "{stage:?}");
            assert_eq!(stage.text("ledgermq.group"), Some("g1"), "{stage:?}");
            assert!(stage.span.start_time_unix_nano <= stage.span.end_time_unix_nano, "{stage:?}");
        }
        let [propose, commit, apply] = stages;
        assert!(propose.span.start_time_unix_nano <= commit.span.start_time_unix_nano);
        assert!(commit.span.start_time_unix_nano <= apply.span.start_time_unix_nano);
        [forward, propose, commit, apply]
    }
}

fn traceparent(trace: u128, span: u64, flags: u8) -> String {
    format!("00-{trace:032x}-{span:016x}-{flags:02x}")
}

fn traced(topic: &str, context: &str) -> Message {
    message_with(topic, "x", |system| system.trace_context = Some(context.to_owned()))
}

async fn client(local: &Local, node: u64) -> Client {
    let (host, port) = local.endpoint.rsplit_once(':').expect("an address");
    let port = port.parse::<u64>().expect("a port") + 10 * (node - 1);
    let channel = Channel::from_shared(format!("http://{host}:{port}")).expect("an address");
    Client::over(channel.connect().await.expect("a connection"), "tracer")
}

/// Receives what there is of `orders`, and settles it.
async fn receive_all(reader: &Client, settler: &Client, count: usize) -> Vec<Message> {
    let mut received = Vec::new();
    while received.len() < count {
        let (_, messages) = reader.receive(receive("orders", "readers", 5_000)).await;
        let answer = settler.ack("orders", "readers", &messages).await;
        assert!(messages.is_empty() || answer.status == Some(ok()), "{answer:?}");
        received.extend(messages);
    }
    received
}

/// A cluster whose nodes tell a collector of what is traced already, and nothing else.
async fn cluster(nodes: u16) -> (Collector, Local) {
    let (collector, endpoint) = Collector::start().await;
    let environment =
        [("LEDGERMQ_TRACING__OTLP_ENDPOINT", &*endpoint), ("LEDGERMQ_TRACING__SAMPLE_RATIO", "0")];
    let (local, _) = Local::start_with(nodes, 1, &environment);
    local.client(&["topic", "create", "orders"]).code(0);
    local.client(&["group", "create", "readers"]).code(0);
    (collector, local)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_sender_to_the_acknowledgement_over_the_nodes() {
    let (collector, local) = cluster(3).await;
    let leader = local.leader("g1");
    let [one, other] = [1, 2, 3].into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else {
        panic!("two followers")
    };
    let (sender, settler) = (client(&local, one).await, client(&local, other).await);

    // Of these nothing is told: no parent, one that is not recorded, and ones that are none.
    sender.send(message("orders", "plain")).await;
    for context in [&traceparent(7, 7, 0), "00-ab-cd-01", ""] {
        sender.send(traced("orders", context)).await;
    }
    receive_all(&sender, &settler, 4).await;

    let (trace, parent) = (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0x00f0_67aa_0ba9_02b7);
    let sent = traced("orders", &traceparent(trace, parent, 1));
    sender.send(sent.clone()).await;
    let received = receive_all(&sender, &settler, 1).await;
    assert_eq!(system(&received[0]).trace_context, system(&sent).trace_context);

    let send = collector.span(trace, parent, "send orders").await;
    assert_eq!((send.node.clone(), send.span.kind), (format!("node{one}"), SpanKind::Server as i32));
    let id = Some(&*system(&sent).message_id);
    assert_eq!(send.text("messaging.system"), Some("rocketmq"));
    assert_eq!(send.text("messaging.destination.name"), Some("orders"));
    assert_eq!(send.text("messaging.message.id"), id);
    assert_eq!(send.span.status, None);
    let [forward, ..] = collector.forwarded(&send, leader).await;

    let deliver = collector.span(trace, parent, "deliver orders").await;
    assert_eq!((deliver.node.clone(), deliver.span.kind), (format!("node{one}"), SpanKind::Consumer as i32));
    assert_eq!(deliver.text("messaging.consumer.group.name"), Some("readers"));
    assert_eq!(deliver.text("messaging.message.id"), id);
    let delivered = deliver.context().1;
    let ack = collector.span(trace, delivered, "ack orders").await;
    assert_eq!((ack.node.clone(), ack.span.kind), (format!("node{other}"), SpanKind::Server as i32));
    collector.forwarded(&ack, leader).await;

    let all = collector.all();
    assert!(all.iter().all(|told| told.context().0 == trace), "more is told: {all:#?}");
    assert_eq!(all.len(), 11, "send, deliver, ack, and two commands of four parts: {all:#?}");
    assert!(forward.span.start_time_unix_nano >= send.span.start_time_unix_nano);

    // What is left when a node stops is told at once.
    sender.send(traced("orders", &traceparent(trace + 1, parent, 1))).await;
    local.local(&["stop"]).code(0);
    collector.span(trace + 1, parent, "send orders").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_headers_and_refusals_are_told() {
    let (collector, local) = cluster(1).await;
    let client = client(&local, 1).await;
    let span_of = |number: u64| 0x1000 + number;

    // Of a batch the first message's context is the parent; the others have spans of their own.
    let batch = vec![
        traced("orders", &traceparent(1, span_of(1), 1)),
        traced("orders", &traceparent(2, span_of(2), 1)),
        message("orders", "plain"),
        traced("orders", &traceparent(3, span_of(3), 0)),
    ];
    let ids: Vec<String> = batch.iter().map(|message| system(message).message_id.clone()).collect();
    assert_eq!(client.send_all(batch).await.status, Some(ok()));
    let call = collector.span(1, span_of(1), "send orders").await;
    let second = collector.span(2, span_of(2), "send orders").await;
    assert_eq!(second.span.kind, SpanKind::Producer as i32);
    assert_eq!(second.text("messaging.message.id"), Some(&*ids[1]));
    let [link] = &second.span.links[..] else { panic!("{second:?}") };
    assert_eq!((number(&link.trace_id), number(&link.span_id) as u64), call.context());
    receive_all(&client, &client, 4).await;
    for trace in [1, 2] {
        let deliver = collector.span(trace, span_of(trace as u64), "deliver orders").await;
        collector.span(trace, deliver.context().1, "ack orders").await;
    }
    assert!(collector.all().iter().all(|told| [1, 2].contains(&told.context().0)));

    // A header is a parent like any other, and what is refused says so.
    let mut request = client.request(SendMessageRequest { messages: vec![message("orders", "")] });
    let header = traceparent(4, span_of(4), 1).parse().expect("ASCII");
    request.metadata_mut().insert("traceparent", header);
    let answer = client.stub.clone().send_message(request).await.expect("an answer").into_inner();
    assert_ne!(answer.status, Some(ok()));
    let refused = collector.span(4, span_of(4), "send orders").await;
    let status = refused.span.status.as_ref().expect("a status");
    assert_eq!(status.code, StatusCode::Error as i32);
    assert_eq!(refused.text("error.type"), Some("MESSAGE_BODY_EMPTY"), "{refused:?}");

    // A receive that is traced itself: what it brings is settled under it.
    client.send(message("orders", "plain")).await;
    let mut request = client.request(receive("orders", "readers", 5_000));
    let header = traceparent(5, span_of(5), 1).parse().expect("ASCII");
    request.metadata_mut().insert("traceparent", header);
    let mut stream = client.stub.clone().receive_message(request).await.expect("a stream").into_inner();
    let mut messages = Vec::new();
    while let Some(frame) = stream.message().await.expect("a frame") {
        if let Some(proto::v2::receive_message_response::Content::Message(message)) = frame.content {
            messages.push(message);
        }
    }
    client.ack("orders", "readers", &messages).await;
    let receive = collector.span(5, span_of(5), "receive orders").await;
    collector.span(5, receive.context().1, "commit").await;
    collector.span(5, receive.context().1, "ack orders").await;
}

/// A page of a node's HTTP port.
fn metrics(local: &Local) -> String {
    let status = local.status();
    let address = status["nodes"][0]["http"].as_str().expect("an address");
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("sent");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    page
}

fn dropped(page: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with("ledgermq_spans_dropped_total"));
    let value = line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.parse());
    value.unwrap_or_else(|| panic!("no count of spans on {page}")).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_disturbs_nobody() {
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("its address"));
    let environment =
        [("LEDGERMQ_TRACING__OTLP_ENDPOINT", &*endpoint), ("LEDGERMQ_TRACING__SAMPLE_RATIO", "1")];
    let (local, _) = Local::start_with(1, 1, &environment);
    let client = client(&local, 1).await;
    let deadline = Instant::now() + PATIENCE;
    let mut sent = 0;
    // More than the queue holds.
    while dropped(&metrics(&local)) == 0.0 {
        assert!(Instant::now() < deadline, "nothing is dropped after {sent} messages");
        for _ in 0..200 {
            let begun = Instant::now();
            client.send(message("orders", "x")).await;
            assert!(begun.elapsed() < Duration::from_secs(2), "a send took {:?}", begun.elapsed());
            sent += 1;
        }
    }
    let told = local.log_of(1).matches("the collector of traces did not take spans").count();
    assert!(told <= 1, "it is told {told} times");
    let begun = Instant::now();
    local.local(&["stop"]).code(0);
    assert!(begun.elapsed() < Duration::from_secs(15), "the stop took {:?}", begun.elapsed());
    assert!(sent > 0);
}
