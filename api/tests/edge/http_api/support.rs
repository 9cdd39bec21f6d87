//! The HTTP port of a node, asked as any client would ask it.

use std::net::SocketAddr;

use api::TlsOptions;
use api::access::gate::AccessControl;
use api::http::{self, HttpOptions, HttpServer};
use api::metrics::Exporter;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Server;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The sentence of an error.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().expect("an error has a sentence").to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| {
            line.split_once(": ").filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|it| it.1.len())
        };
        self.head.lines().find_map(|text| line(text).map(|length| &text[text.len() - length..]))
    }

    /// The cookie that it sets, as it is to be sent.
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie").expect("a cookie");
        set.split(';').next().expect("a value").to_owned()
    }
}

/// A node's HTTP port.
pub struct Port {
    http: HttpServer,
}

impl Port {
    pub async fn of(server: &Server, access: AccessControl) -> Port {
        let exporter = Exporter::new(server.node.clone(), "test", "node1");
        exporter.watch(server.edge.as_ref().expect("an edge"));
        let options = HttpOptions {
            bind: "127.0.0.1:0".parse().expect("an address"),
            tls: TlsOptions { directory: server.data.path().join("tls"), ..TlsOptions::default() },
            access,
            cluster: "test".to_owned(),
        };
        Port { http: http::serve(server.node.clone(), exporter, options).await.expect("it listens") }
    }

    pub fn address(&self) -> SocketAddr {
        self.http.address
    }

    /// Asks, with these headers and this body, in place of which none is sent if it is empty.
    pub async fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.begin(verb, path, headers, body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(answer[..end].to_vec()).expect("text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }

    /// Asks, and leaves the answer to be read.
    pub async fn begin(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).await.expect("a connection");
        let mut head = format!("{verb} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address());
        }
        if verb == "POST" && !headers.iter().any(|(name, _)| *name == "content-type") {
            head += "content-type: application/json\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        // A server that has heard enough may hang up.
        let _ = stream.write_all(body.as_bytes()).await;
        stream
    }

    /// A call without a body, that goes well.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", &format!("/api/v1{path}"), &[], "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// A call that goes well.
    pub async fn done(&self, verb: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(verb, &format!("/api/v1{path}"), &[], &body.to_string()).await;
        assert_eq!(answer.status, 200, "{verb} {path}: {answer:?} {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// A call that is refused.
    pub async fn refused(&self, verb: &str, path: &str, body: &str) -> Answer {
        let answer = self.ask(verb, &format!("/api/v1{path}"), &[], body).await;
        assert!(answer.status >= 400, "{verb} {path}: {answer:?}");
        answer
    }
}
