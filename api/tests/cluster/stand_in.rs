//! A dead node's port is served by its neighbours, whose guests go home when it is back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli_process::local::Local;

/// The first bytes of an HTTP/2 client, and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The types of HTTP/2 frames that matter here (RFC 9113, 6.2, 6.5, 6.7 and 6.8).
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
/// Enough on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// An HTTP/2 connection that says nothing, like a client between two calls.
struct Quiet(TcpStream);

impl Quiet {
    async fn open(address: &str) -> Quiet {
        let mut stream = TcpStream::connect(address).await.expect("somebody listens");
        stream.write_all(PREFACE).await.expect("the preface is taken");
        let mut quiet = Quiet(stream);
        assert_eq!(quiet.frame().await, Some(SETTINGS), "a server speaks first of its settings");
        quiet
    }

    /// One that has made a call, and said what it is written with.
    async fn of_agent(address: &str, agent: &str) -> Quiet {
        let mut quiet = Quiet::open(address).await;
        // HPACK (RFC 7541, 6.1, 6.2.2 and appendix A): POST, http, :path, content-type, user-agent; none indexed.
        let mut block = vec![0x83, 0x86];
        for (name, value) in
            [(&b"\x04"[..], "/no.such/Call"), (b"\x0f\x10", "application/grpc"), (b"\x0f\x2b", agent)]
        {
            block.extend_from_slice(name);
            block.push(u8::try_from(value.len()).expect("short"));
            block.extend_from_slice(value.as_bytes());
        }
        let length = u8::try_from(block.len()).expect("short");
        // END_STREAM and END_HEADERS, on stream 1.
        quiet.0.write_all(&[0, 0, length, HEADERS, 0x5, 0, 0, 0, 1]).await.expect("the connection is open");
        quiet.0.write_all(&block).await.expect("the connection is open");
        while quiet.frame().await.expect("the connection is open") != HEADERS {}
        quiet
    }

    /// The type of the next frame; `None` when the connection ends. Answers a PING.
    async fn frame(&mut self) -> Option<u8> {
        let mut header = [0u8; 9];
        self.0.read_exact(&mut header).await.ok()?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        if header[3] == PING && header[4] & ACK == 0 {
            header[4] = ACK;
            self.0.write_all(&[&header[..], &payload].concat()).await.ok()?;
        }
        Some(header[3])
    }

    /// Waits to be told to go.
    async fn told_to_go(mut self) {
        let told = async {
            loop {
                match self.frame().await {
                    Some(GOAWAY) => break,
                    Some(_) => {}
                    None => panic!("the connection was cut, not told to go"),
                }
            }
        };
        timeout(PATIENCE, told).await.expect("guests are told to go when the neighbour is back");
    }

    /// That nobody has told it to go so far.
    async fn stays(mut self) {
        self.0.write_all(b"\0\0\x08\x06\0\0\0\0\0still it").await.expect("the connection is open");
        loop {
            match self.frame().await {
                Some(PING) => return,
                Some(frame) => assert_ne!(frame, GOAWAY, "who may stay was told to go"),
                None => panic!("who may stay was cut off"),
            }
        }
    }
}

#[tokio::test]
async fn guests_go_home_when_the_neighbour_is_back() {
    let (local, started) = Local::start(3, 1);
    let address = |node: usize| started["nodes"][node]["grpc"].as_str().expect("an address").to_owned();
    let own = Quiet::open(&address(1)).await;
    local.local(&["kill", "1"]).code(0);
    let guests = [Quiet::open(&address(0)).await, Quiet::of_agent(&address(0), "grpc-go/1.60").await];
    // It would fail calls, and try none again.
    let resident = Quiet::of_agent(&address(0), "tonic/0.12.3").await;
    local.local(&["restart", "1"]).code(0);
    let late = Quiet::open(&address(0)).await;
    for guest in guests {
        guest.told_to_go().await;
    }
    resident.stays().await;
    own.stays().await;
    late.stays().await;

    // And the next time too.
    local.local(&["kill", "1"]).code(0);
    let guest = Quiet::open(&address(0)).await;
    local.local(&["restart", "1"]).code(0);
    guest.told_to_go().await;
}
