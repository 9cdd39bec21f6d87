//! The way to what nothing outside this crate calls, for fuzzing only (`cargo fuzz` sets the flag).

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::HeaderMap;

use crate::edge_options::EdgeLimits;
use crate::messaging::caller::Caller;
use crate::options::Options;
use crate::port::admission::AdmissionLayer;
use crate::port::holdings::{HELD, Held, Holdings};
use crate::port::{Connection, Peer};
use crate::server::http2 as http2_server;

/// Reads a configuration; one that is taken says the same when it is written and read again.
pub fn configuration(text: &str, environment: Vec<(String, String)>) {
    if let Ok(options) = Options::parse(text, "fuzz.toml", environment) {
        let written = options.to_toml();
        let again = Options::parse(&written, "again.toml", []).expect("what is written is taken");
        assert_eq!(again.to_toml(), written, "a configuration says what it said");
    }
}

/// How often the server gets its turn before its client goes.
const TURNS: usize = 100;

/// Requests of one connection.
pub struct Calling(Peer);

impl Default for Calling {
    fn default() -> Self {
        Calling::new()
    }
}

impl Calling {
    /// Over a connection of its own, which proved nothing yet.
    pub fn new() -> Calling {
        static HOLDINGS: LazyLock<Arc<Holdings>> = LazyLock::new(|| Holdings::new(&EdgeLimits::default()));
        Calling(Peer::nowhere(HOLDINGS.holder(Ipv4Addr::LOCALHOST.into())))
    }

    /// A request over it with these headers.
    pub fn with(&self, headers: HeaderMap) -> Caller {
        Caller::over_http(headers, self.0.clone())
    }
}

/// A client that sends these bytes to the client port, behind what every client says first or not: the server gets through it,
/// and when the client is gone it holds nothing.
pub fn http2(bytes: &[u8], begins_well: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let holdings = Holdings::new(&EdgeLimits::default());
        let holder = holdings.holder(Ipv4Addr::LOCALHOST.into());
        let taken = holdings.take(&holder, Held::Connections, 1).expect("there is room");
        let (client, server) = tokio::io::duplex(64 << 10);
        let peer = Peer::nowhere(holder);
        let connection = Connection::over(server, peer, taken, Some(Arc::default()));
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("x", tonic_health::ServingStatus::Serving).await;
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(connection)).chain(tokio_stream::pending());
        let served = CancellationToken::new();
        let serving = http2_server()
            .layer(AdmissionLayer(holdings.clone()))
            .add_service(health)
            .serve_with_incoming_shutdown(incoming, served.clone().cancelled_owned());
        let using = async move {
            let opening: &[u8] =
                if begins_well { b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" } else { b"" };
            let (mut read, mut write) = tokio::io::split(client);
            let sending = async {
                if write.write_all(opening).await.is_ok() && write.write_all(bytes).await.is_ok() {
                    // All tasks are on this thread: each has its turns with what there is.
                    for _ in 0..TURNS {
                        tokio::task::yield_now().await;
                    }
                }
            };
            let reading = async { while read.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} };
            tokio::select! {
                () = sending => {}
                () = reading => {}
            }
            served.cancel();
        };
        let (ended, ()) = tokio::join!(serving, using);
        ended.expect("the server ends when it is told to");
        for what in HELD {
            assert_eq!(holdings.held(what), 0, "{} are held by nobody", what.name());
        }
    });
}
