//! Server-sent events.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::access::gate::AccessControl;
use api::access::seal::SealKey;
use api::http::api::session::Session;
use raft::access::Role;
use raft::clock;
use raft::machine::AccessAction;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::Port;
use crate::access::support::{Guarded, KEY, SECRET};
use crate::support::*;

struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn of(port: &Port, headers: &[(&str, &str)]) -> Events {
        let mut lines = BufReader::new(port.begin("GET", "/api/v1/events", headers, "").await).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        assert_eq!(first, "HTTP/1.1 200 OK");
        Events(lines)
    }

    /// The next one; none at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        let mut name = None;
        loop {
            let line = timeout(PATIENCE, self.0.next_line()).await.expect("an event in time").ok()??;
            if let Some(event) = line.strip_prefix("event: ") {
                name = Some(event.to_owned());
            }
            if let (Some(name), Some(data)) = (&name, line.strip_prefix("data: ")) {
                return Some((name.clone(), serde_json::from_str(data).expect("JSON")));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_is_and_does_is_told() {
    let server = Server::start().await;
    let port = Port::of(&server, AccessControl::Off).await;
    let mut events = Events::of(&port, &[]).await;
    let mut first = BTreeMap::new();
    while first.len() < 4 {
        let (name, data) = events.next().await.expect("an event");
        first.entry(name).or_insert(data);
    }
    assert_eq!(first["cluster"]["cluster"], "test");
    assert_eq!(first["cluster"]["groups"][0]["name"], "meta");
    assert!(first["traffic"]["nodes"][0]["now"]["messages_in_per_s"].is_number());
    assert!(first["lags"]["total"]["messages"].is_number() && first["doctor"]["worst"].is_string());

    let before = first["cluster"]["groups"][1]["committed"].as_u64();
    server.topic("orders", raft::catalog::TopicType::Normal, 1).await;
    port.done("POST", "/topics/orders/messages", &json!({ "body": "eA==" })).await;
    loop {
        let (name, data) = events.next().await.expect("an event");
        if name == "cluster" && data["groups"][1]["committed"].as_u64() > before {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_reader_is_no_user_any_more() {
    let guarded = Guarded::start().await;
    guarded.user("eve", Role::Admin, Vec::new()).await;
    let port = Port::of(&guarded.server, AccessControl::On(Arc::new(SealKey::of_bytes(&KEY)))).await;
    let login = json!({ "user": "eve", "secret": SECRET }).to_string();
    let cookie = port.ask("POST", "/api/v1/session", &[], &login).await.cookie();
    let mut events = Events::of(&port, &[("cookie", &cookie)]).await;
    assert_eq!(events.next().await.expect("an event").0, "cluster");
    guarded.change(AccessAction::DeleteUser { name: "eve".into() }).await;
    loop {
        match events.next().await {
            Some((name, _)) if name == "over" => break,
            Some(_) => {}
            None => panic!("it ended without saying so"),
        }
    }
    assert_eq!(events.next().await, None);
}

/// A page opens it again and again, whether anybody looks at it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_does_not_make_a_session_last() {
    let guarded = Guarded::start().await;
    guarded.user("eve", Role::Admin, Vec::new()).await;
    let key = SealKey::of_bytes(&KEY);
    let session = Session::begin("eve".into(), SECRET.into(), clock::now_ms() - 600_000);
    let set = session.set_cookie(&key, false).expect("random bytes");
    let cookie = [("cookie", set.split(';').next().expect("a value"))];
    let port = Port::of(&guarded.server, AccessControl::On(Arc::new(key))).await;
    let renewed = port.ask("GET", "/api/v1/topics", &cookie, "").await;
    assert!(renewed.header("set-cookie").is_some(), "{}", renewed.head);
    let mut lines = BufReader::new(port.begin("GET", "/api/v1/events", &cookie, "").await).lines();
    let mut head = Vec::new();
    while let Some(line) = lines.next_line().await.expect("a head").filter(|line| !line.is_empty()) {
        head.push(line.to_ascii_lowercase());
    }
    assert_eq!(head[0], "http/1.1 200 ok");
    assert!(!head.iter().any(|line| line.starts_with("set-cookie")), "{head:?}");
}
