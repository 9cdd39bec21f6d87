//! The connections that this node takes for a neighbour on the same machine while that one is dead
//! (`client_port`).
//!
//! They are guests: once the neighbour is back they are told to go (HTTP/2 GOAWAY: calls under way are
//! finished, the next one goes to a new connection, which is the neighbour's own). If they stayed, a
//! client whose three addresses differ could sit with all three connections on one process, and lose
//! them all when that one dies: every retry would fail, within milliseconds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use raft::catalog::NodeInfo;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::edge::EdgeState;
use crate::limits;
use crate::server::{self, Connection};

/// Serves a neighbour's clients until the node stops, in parties: each ends when the neighbour is back.
pub async fn serve(
    state: Arc<EdgeState>,
    neighbour: SocketAddr,
    mut connections: mpsc::Receiver<io::Result<Connection>>,
) {
    let mut parties = JoinSet::new();
    while let Some(first) = connections.recv().await {
        let router = match server::router(state.clone()).await {
            Ok(router) => router,
            Err(error) => {
                tracing::warn!(%neighbour, %error, "cannot stand in for a neighbour");
                return;
            }
        };
        let (guests, party) = mpsc::channel(limits::READY_CONNECTIONS_MAX);
        let over = CancellationToken::new();
        let incoming = tokio_stream::once(first).chain(ReceiverStream::new(party));
        parties.spawn(router.serve_with_incoming_shutdown(incoming, over.clone().cancelled_owned()));
        let back = returned(state.node.live_nodes(), neighbour);
        tokio::pin!(back);
        loop {
            tokio::select! {
                () = &mut back => break,
                () = state.stopping.cancelled() => break,
                Some(_) = parties.join_next() => {}
                next = connections.recv() => match next {
                    // A party takes guests for as long as it lasts.
                    Some(connection) => drop(guests.send(connection).await),
                    None => break,
                }
            }
        }
        tracing::debug!(%neighbour, "the clients of a neighbour go back to it");
        over.cancel();
    }
    // What is left of a party is cut with everything else, by who runs this.
    while parties.join_next().await.is_some() {}
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
