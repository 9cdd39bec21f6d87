//! Clients that take and do not give: many idle connections, streams that are never read.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tonic::transport::Endpoint;

use crate::cli_process::ports::free_base_port;
use crate::cli_process::{Background, ledgermq};
use crate::client::{Client, message, receive};

const CROWD: usize = 10_000;

fn dev() -> (Background, String, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a directory");
    let endpoint = format!("127.0.0.1:{}", free_base_port(1));
    let path = data.path().join("data");
    let args = ["dev", "--bind", &endpoint, "--data", path.to_str().expect("UTF-8")];
    (Background::start(&args, "is ready"), endpoint, data)
}

/// The test holds one end of each connection.
fn allow_open_files(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|maximum| maximum >= wanted),
        "{wanted} open files are needed: {limit:?}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("allowed");
}

fn connect(to: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of loopback");
    socket.connect(&to.into()).expect("a connection");
    socket.into()
}

#[test]
fn ten_thousand_idle_connections_leave_room_for_others() {
    allow_open_files(CROWD as u64 + 500);
    let (_node, endpoint, _data) = dev();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let mut crowd = Vec::with_capacity(CROWD);
    let address: SocketAddr = endpoint.parse().expect("an address");
    for number in 0..CROWD {
        // From two addresses: one alone may not have so many.
        let mut stream = connect(address, Ipv4Addr::new(127, 0, 0, 2 + (number % 2) as u8));
        std::io::Write::write_all(&mut stream, preface).expect("the preface");
        crowd.push(stream);
    }
    // The last one has been taken in, so all have: the server has sent its settings.
    let last = crowd.last_mut().expect("one");
    last.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    last.read_exact(&mut [0; 9]).expect("the server's settings");
    ledgermq(&["send", "demo", "--body", "hello", "--endpoint", &endpoint]).code(0);
    let received = ledgermq(&["receive", "demo", "-g", "g", "--endpoint", &endpoint]).code(0);
    assert!(received.out.contains("hello"), "{received:?}");
}

#[tokio::test]
async fn a_client_that_never_reads_its_stream_holds_nobody_up() {
    let (_node, endpoint, _data) = dev();
    let channel = |windows: u32| {
        Endpoint::from_shared(format!("http://{endpoint}"))
            .expect("a URI")
            .initial_stream_window_size(windows)
            .initial_connection_window_size(windows)
    };
    let good = Client::over(channel(4 << 20).connect().await.expect("a connection"), "good");
    for number in 0..32 {
        good.send(message("demo", &format!("{number}:{}", "x".repeat(256 << 10)))).await;
    }
    // It takes 8 MiB of messages under its lease, and reads nothing of them.
    let stuck = Client::over(channel(65_535).connect().await.expect("a connection"), "stuck");
    let request = stuck.request(receive("demo", "stuck", 5_000));
    let stream = stuck.stub.clone().receive_message(request).await.expect("a stream");

    let mut got = 0;
    while got < 32 {
        let (_, batch) = good.receive(receive("demo", "good", 5_000)).await;
        assert!(!batch.is_empty(), "{got} of 32 came");
        good.ack("demo", "good", &batch).await;
        got += batch.len();
    }
    good.send(message("demo", "still here")).await;
    drop(stream);
}
