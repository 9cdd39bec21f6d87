//! What hostile clients do.

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use futures::future::join_all;
use prost::Message as _;
use proto::v2::{
    Code, Encoding, FilterExpression, FilterType, Message, MessageQueue, ReceiveMessageRequest, Resource,
    SendMessageRequest, receive_message_response::Content,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cli_process::skipped;
use crate::good::{self, message, signed};
use crate::wire::{self, *};

const SEND: &str = "/apache.rocketmq.v2.MessagingService/SendMessage";
const RECEIVE: &str = "/apache.rocketmq.v2.MessagingService/ReceiveMessage";
const TELEMETRY: &str = "/apache.rocketmq.v2.MessagingService/Telemetry";
const BODY_BYTES: usize = 4 << 20;
/// How long an attack without an end of its own goes on.
pub const FOR: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a flood begins with, and what it repeats; a number of a stream goes with it.
pub struct Flood {
    opening: Vec<u8>,
    more: fn(&mut u32) -> Vec<u8>,
}

/// All floods, and for what they are cut.
pub fn floods() -> Vec<(&'static str, &'static str, Flood)> {
    let opened = [preface(65_535), headers(1, TELEMETRY, 0)].concat();
    let endless = frame(HEADERS, 0, 1, &header_block(SEND, &[]));
    let begun = preface(65_535);
    let flood = |opening: &[u8], more| Flood { opening: opening.to_vec(), more };
    vec![
        (
            "rapid reset",
            "resets",
            flood(&begun, |stream| {
                *stream += 2;
                [headers(*stream, SEND, END_STREAM), frame(RST_STREAM, 0, *stream, &[0, 0, 0, 8])].concat()
            }),
        ),
        (
            "continuations",
            "resets",
            flood(&[begun.clone(), endless].concat(), |_| frame(CONTINUATION, 0, 1, &[])),
        ),
        ("settings", "settings", flood(&begun, |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]))),
        ("pings", "empty_frames", flood(&begun, |_| frame(PING, 0, 0, &[7; 8]))),
        ("window updates", "empty_frames", flood(&begun, |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        ("empty data", "empty_frames", flood(&opened, |_| frame(DATA, 0, 1, &[]))),
        ("unknown frames", "empty_frames", flood(&begun, |_| frame(0x55, 0, 0, &[1; 16]))),
    ]
}

/// Four connections flood the node, and come again when they are cut. How often that was.
pub async fn flood(port: u16, from: Ipv4Addr, flood: Flood) -> usize {
    let until = Instant::now() + FOR;
    let attackers = (0..4).map(|_| async {
        let mut cut = 0;
        while Instant::now() < until {
            let mut stream = connect(port, from).await.expect("the port is open");
            let (mut read, mut write) = stream.split();
            let mut number = 1;
            let sending = async {
                write.write_all(&flood.opening).await?;
                while Instant::now() < until {
                    let batch: Vec<u8> = (0..100).flat_map(|_| (flood.more)(&mut number)).collect();
                    write.write_all(&batch).await?;
                }
                Ok::<_, std::io::Error>(())
            };
            let reading = async {
                let mut sink = [0; 16_384];
                while read.read(&mut sink).await.is_ok_and(|count| count > 0) {}
            };
            tokio::select! {
                sent = sending => cut += usize::from(sent.is_err()),
                () = reading => cut += 1,
            }
        }
        cut
    });
    join_all(attackers).await.into_iter().sum()
}

/// The whole answer to a question over HTTP.
pub async fn http_get(port: u16, path: &str) -> String {
    let mut stream = connect(port, Ipv4Addr::LOCALHOST).await.expect("the HTTP port is open");
    let question = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// Waits for something that comes by itself.
pub async fn until(holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it does not come");
        sleep(LOOK_EVERY).await;
    }
}

/// Says a little at a time until the other side has enough of it; whether it had.
async fn trickle(mut stream: TcpStream, bytes: &'static [u8]) -> bool {
    let (mut read, mut write) = stream.split();
    let trickling = async {
        for byte in bytes.iter().cycle() {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(4)).await;
        }
    };
    let closed = async {
        let mut sink = [0; 1024];
        while read.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! {
        () = trickling => true,
        ended = timeout(PATIENCE, closed) => ended.is_ok(),
    }
}

/// Connections that never come to the point: half of them in HTTP/2, half in a TLS handshake. How many were closed.
pub async fn slow_loris(port: u16, from: Ipv4Addr, count: usize) -> usize {
    let mut slow = JoinSet::new();
    for number in 0..count {
        let stream = connect(port, from).await.expect("there is room for so many");
        slow.spawn(trickle(stream, if number % 2 == 0 { b"PRI * HT" } else { &[0x16, 3, 1, 2] }));
    }
    slow.join_all().await.into_iter().filter(|closed| *closed).count()
}

/// The same on the HTTP port, while others ask whether the node lives.
pub async fn slow_http(port: u16, from: Ipv4Addr, count: usize) -> usize {
    let mut slow = JoinSet::new();
    for _ in 0..count {
        slow.spawn(trickle(
            connect(port, from).await.expect("the port is open"),
            b"GET /livez HTTP/1.1\r\nx: y",
        ));
    }
    for _ in 0..20 {
        assert!(http_get(port, "/livez").await.ends_with("ok\n"));
        sleep(Duration::from_millis(100)).await;
    }
    slow.join_all().await.into_iter().filter(|closed| *closed).count()
}

/// How many connections this process can have.
pub fn connections_wanted() -> usize {
    const WANTED: usize = 20_000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = limit
        .map_or(WANTED, |limit| usize::try_from(limit).unwrap_or(WANTED).saturating_sub(500))
        .min(WANTED);
    if most < WANTED {
        skipped(&format!("ulimit -Hn leaves room for {most} connections, and not for {WANTED}"));
    }
    most
}

/// Connections that begin as they should, and ask for nothing.
pub async fn connections(port: u16, from: Ipv4Addr, count: usize) -> Vec<TcpStream> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let raised = rustix::process::Rlimit { current: limit, maximum: limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("up to the hard limit");
    let opened = futures::stream::iter(0..count).map(async |_| {
        let mut stream = connect(port, from).await.ok()?;
        stream.write_all(&preface(65_535)).await.ok()?;
        Some(stream)
    });
    opened.buffer_unordered(64).filter_map(async |stream| stream).collect().await
}

/// Connections that send the largest bodies, and read no answer. How many were sent to their end; and the connections.
pub async fn bodies(port: u16, from: Ipv4Addr, connections: usize, each: usize) -> (usize, Vec<Stingy>) {
    let body: &Vec<u8> = &rand::random_iter().take(BODY_BYTES).collect();
    let senders = (0..connections).map(|_| async move {
        let mut stingy = Stingy::open(port, from).await.ok()?;
        let mut sent = 0;
        for _ in 0..each {
            let request = SendMessageRequest { messages: vec![message("hostile", body.clone())] };
            if !matches!(timeout(PATIENCE, stingy.request(SEND, &request.encode_to_vec())).await, Ok(Ok(())))
            {
                break;
            }
            sent += 1;
        }
        Some((sent, stingy))
    });
    let ended: Vec<_> = join_all(senders).await.into_iter().flatten().collect();
    let (sent, connections): (Vec<usize>, Vec<Stingy>) = ended.into_iter().unzip();
    (sent.iter().sum(), connections)
}

/// Consumers of the largest messages that read none of them, for as long as these connections are there.
pub async fn unread_receives(port: u16, from: Ipv4Addr, connections: usize, each: usize) -> Vec<Stingy> {
    let resource = |name: String| Some(Resource { name, ..Resource::default() });
    let receivers = (0..connections).map(|number| async move {
        let mut stingy = Stingy::open(port, from).await?;
        for _ in 0..each {
            let request = ReceiveMessageRequest {
                group: resource(format!("hostile-{number}")),
                message_queue: Some(MessageQueue {
                    topic: resource("hostile".into()),
                    id: -1,
                    ..Default::default()
                }),
                batch_size: 32,
                invisible_duration: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
                long_polling_timeout: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
                ..ReceiveMessageRequest::default()
            };
            stingy.request(RECEIVE, &request.encode_to_vec()).await?;
        }
        Ok::<_, std::io::Error>(stingy)
    });
    join_all(receivers).await.into_iter().flatten().collect()
}

/// Requests that announce a large body, send most of it, and never its end.
pub async fn unended(port: u16, from: Ipv4Addr, connections: usize, each: u32) -> Vec<Stingy> {
    let body = &[&[0, 1, 0, 0, 0][..], &vec![0; 8 << 20]].concat();
    let attackers = (0..connections).map(|_| async move {
        let mut stingy = Stingy::open(port, from).await?;
        for _ in 0..each {
            stingy.send(SEND, body, 0).await?;
        }
        Ok::<_, std::io::Error>(stingy)
    });
    join_all(attackers).await.into_iter().flatten().collect()
}

/// A body that says it is compressed, and would be a gigabyte: it is carried as it is.
pub async fn gzip_bomb(port: u16) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&zeros).expect("in memory");
    }
    let bomb = encoder.finish().expect("in memory");
    let mut bomb = message("bomb", bomb);
    let system = bomb.system_properties.as_mut().expect("some");
    system.body_encoding = Encoding::Gzip as i32;
    let mut stub = good::connect(port).await;
    for _ in 0..20 {
        let again = Message { ..bomb.clone() };
        let sent =
            stub.send_message(signed(SendMessageRequest { messages: vec![again] })).await.expect("an answer");
        assert_eq!(sent.into_inner().status.expect("a status").code, Code::Ok as i32);
    }
    let received = receive(port, "bomb", FilterType::Tag, "*").await;
    assert!(
        matches!(&received[..], [_, Content::Message(it), ..] if it.body == bomb.body),
        "another body came"
    );
}

async fn receive(port: u16, topic: &str, kind: FilterType, filter: &str) -> Vec<Content> {
    let resource = |name: &str| Some(Resource { name: name.to_owned(), ..Resource::default() });
    let request = ReceiveMessageRequest {
        group: resource("hostile"),
        message_queue: Some(MessageQueue { topic: resource(topic), id: -1, ..Default::default() }),
        filter_expression: Some(FilterExpression { r#type: kind as i32, expression: filter.to_owned() }),
        batch_size: 1,
        invisible_duration: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        long_polling_timeout: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
        ..ReceiveMessageRequest::default()
    };
    let answer = good::connect(port).await.receive_message(signed(request)).await.expect("an answer");
    let frames: Vec<_> = answer.into_inner().collect().await;
    frames.into_iter().map(|frame| frame.expect("a frame").content.expect("something")).collect()
}

/// A request that says that gRPC compressed it.
pub async fn compressed_request(port: u16, from: Ipv4Addr) {
    let mut stream = connect(port, from).await.expect("the port is open");
    let block = header_block(SEND, &[("grpc-encoding", "gzip")]);
    let body = [&[1][..], &[0, 0, 0, 4], b"bomb"].concat();
    let request =
        [preface(65_535), frame(HEADERS, wire::END_HEADERS, 1, &block), frame(DATA, END_STREAM, 1, &body)];
    stream.write_all(&request.concat()).await.expect("sent");
    let mut answer = vec![0; 4_096];
    let seen = async {
        let mut seen = Vec::new();
        // Its status is 12, UNIMPLEMENTED, in a header of its own.
        while !seen.windows(11).any(|part| part == b"grpc-status") {
            let count = stream.read(&mut answer).await.expect("an answer");
            assert!(count > 0, "closed without an answer");
            seen.extend_from_slice(&answer[..count]);
        }
    };
    // The name may be compressed: then the answer is only there.
    let _ = timeout(Duration::from_secs(2), seen).await;
}

/// SQL that is deep, wide, or neither SQL nor anything; and tags without an end.
pub async fn filters(port: u16) {
    let sql = [
        format!("{}a = 1{}", "(".repeat(100_000), ")".repeat(100_000)),
        "NOT ".repeat(50_000) + "TRUE",
        vec!["a = 1"; 30_000].join(" OR "),
        format!("a IN ({})", vec!["'x'"; 60_000].join(",")),
        format!("a LIKE '{}b'", "%a".repeat(2_000)),
        "a BETWEEN 9223372036854775807 AND -9223372036854775808".to_owned(),
        format!("a = {}", "9".repeat(100_000)),
        "\u{0}\u{7f}'\"\\".to_owned(),
    ];
    for _ in 0..5 {
        for text in &sql {
            receive(port, "good", FilterType::Sql, text).await;
        }
        receive(port, "good", FilterType::Tag, &vec!["tag"; 100_000].join("||")).await;
    }
}

/// Sends to topics that there are not, all at once.
pub async fn new_topics(port: u16, count: usize) {
    let stub = good::connect(port).await;
    let sent = (0..count).map(|number| {
        let mut stub = stub.clone();
        async move {
            let message = message(&format!("new-{number}"), b"x".to_vec());
            let answer = stub.send_message(signed(SendMessageRequest { messages: vec![message] })).await;
            answer.expect("an answer").into_inner().status.expect("a status").code
        }
    });
    for code in join_all(sent).await {
        assert!([Code::Ok as i32, Code::TooManyRequests as i32].contains(&code), "{code}");
    }
}

/// Long polls over thirteen connections; they wait for as long as these are there.
pub async fn long_polls(port: u16, from: Ipv4Addr, count: usize) -> Vec<Stingy> {
    let resource = |name: &str| Some(Resource { name: name.to_owned(), ..Resource::default() });
    let request = ReceiveMessageRequest {
        group: resource("hostile"),
        message_queue: Some(MessageQueue { topic: resource("nothing"), id: -1, ..Default::default() }),
        batch_size: 1,
        invisible_duration: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        long_polling_timeout: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
        ..ReceiveMessageRequest::default()
    };
    // Made before, or most would be refused for being too many at once that want to make them.
    receive(port, "nothing", FilterType::Tag, "*").await;
    let request = &request.encode_to_vec();
    const CONNECTIONS: usize = 13;
    let polls = (0..CONNECTIONS).map(|_| async move {
        let mut stingy = Stingy::open(port, from).await.expect("the port is open");
        for _ in 0..count / CONNECTIONS {
            stingy.request(RECEIVE, request).await.expect("sent");
        }
        stingy
    });
    join_all(polls).await
}
