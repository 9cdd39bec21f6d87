//! The connections that this node takes for a neighbour on the same machine while that one is dead
//! (`client_port`).
//!
//! They are guests: once the neighbour is back they are told to go (HTTP/2 GOAWAY: calls under way are
//! finished, the next one goes to a new connection, which is the neighbour's own). If they stayed, a
//! client whose three addresses differ could sit with all three connections on one process, and lose
//! them all when that one dies: every retry would fail, within milliseconds.
//!
//! One kind may stay: clients on tonic (Rust) fail the calls that wait in their own queue when the
//! GOAWAY comes, and try none again. So they would pay for it with errors, and gain nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raft::catalog::NodeInfo;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{Request, header::USER_AGENT};
use tonic::service::Routes;
use tower::util::MapRequestLayer;

use crate::edge::EdgeState;
use crate::limits;
use crate::port::Connection;
use crate::port::admission::AdmissionLayer;
use crate::server;

/// In the `user-agent` of clients that fail what a GOAWAY finds in their queue.
const FAILS_AT_GOAWAY: &str = "tonic/";

/// Serves a neighbour's clients until the node stops; they are sent home when the neighbour is back.
pub async fn serve(
    state: Arc<EdgeState>,
    services: Routes,
    neighbour: SocketAddr,
    mut connections: mpsc::Receiver<io::Result<Connection>>,
) {
    let mut guests = JoinSet::new();
    while let Some(first) = connections.recv().await {
        // The same for all that come until the neighbour is back.
        let over = CancellationToken::new();
        let serve_one = |connection| serve_guest(state.clone(), services.clone(), connection, over.clone());
        guests.spawn(serve_one(first));
        let back = returned(state.node.live_nodes(), neighbour);
        tokio::pin!(back);
        loop {
            tokio::select! {
                () = &mut back => break,
                () = state.stopping.cancelled() => break,
                Some(_) = guests.join_next() => {}
                next = connections.recv() => match next {
                    Some(connection) => drop(guests.spawn(serve_one(connection))),
                    None => break,
                }
            }
        }
        tracing::debug!(%neighbour, "the clients of a neighbour go back to it");
        over.cancel();
    }
    // Who is still here is cut with everything else, by who runs this.
    while guests.join_next().await.is_some() {}
}

/// Serves one connection until it ends, or is told to go.
async fn serve_guest(
    state: Arc<EdgeState>,
    services: Routes,
    connection: io::Result<Connection>,
    over: CancellationToken,
) {
    let Ok(connection) = connection else { return };
    let stopping = state.stopping.clone();
    let may_stay = Arc::new(AtomicBool::new(false));
    let noted = may_stay.clone();
    let note = MapRequestLayer::new(move |request: Request<Body>| {
        let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        if agent.is_some_and(|agent| agent.contains(FAILS_AT_GOAWAY)) {
            noted.store(true, Ordering::Relaxed);
        }
        request
    });
    let ended = connection.ended();
    let told_to_go = async move {
        tokio::select! {
            () = ended.cancelled() => {}
            () = stopping.cancelled() => {}
            () = over.cancelled() => if may_stay.load(Ordering::Relaxed) {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = stopping.cancelled() => {}
                }
            }
        }
    };
    // The end of what comes in would be a reason to stop.
    let incoming = tokio_stream::once(Ok::<_, io::Error>(connection)).chain(tokio_stream::pending());
    let admission = AdmissionLayer(state.holdings.clone());
    let router = server::http2().layer(admission).layer(note).add_routes(services);
    if let Err(error) = router.serve_with_incoming_shutdown(incoming, told_to_go).await {
        tracing::debug!(%error, "a guest could not be served");
    }
}

/// Ends a moment after the neighbour serves its clients again.
async fn returned(mut live: watch::Receiver<Arc<Vec<NodeInfo>>>, neighbour: SocketAddr) {
    let address = neighbour.to_string();
    let lives = |nodes: &Arc<Vec<NodeInfo>>| nodes.iter().any(|node| node.grpc == address);
    // It died a moment ago, and not everybody may know. If nobody ever notices, it is back already.
    let _ = timeout(limits::DEATH_NOTICED_WITHIN, live.wait_for(|nodes| !lives(nodes))).await;
    if live.wait_for(lives).await.is_err() {
        return;
    }
    // A node answers its peers shortly before it listens for clients.
    sleep(limits::NEIGHBOUR_LISTENS_WITHIN).await;
}
