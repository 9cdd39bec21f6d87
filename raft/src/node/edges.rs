//! Questions from the client edge of one node to that of another: who is connected there, and what does it say.
//! What is asked is the edges' business; here it is bytes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use proto::peer;
use tokio::time::{Instant, timeout_at};

use crate::names::NodeId;
use crate::node::NodeInner;
use crate::node::peers::Lane;
use crate::request::RequestError;

/// Answers questions of other edges.
pub type EdgeHandler = Arc<dyn Fn(Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send>> + Send + Sync>;

/// The handler of this node's edge, once it runs.
#[derive(Default)]
pub(crate) struct Edges {
    handler: OnceLock<EdgeHandler>,
}

impl NodeInner {
    /// See [`crate::node::Node::answer_edges`].
    pub(crate) fn answer_edges(&self, handler: EdgeHandler) {
        // A second edge on the same node, which only tests make, is not asked.
        let _ = self.edges.handler.set(handler);
    }

    /// See [`crate::node::Node::ask_edge`].
    pub(crate) async fn ask_edge(
        &self,
        target: NodeId,
        question: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, RequestError> {
        let unknown = |reason: String| RequestError::Unknown { reason };
        if target == self.id {
            return match self.edges.handler.get() {
                Some(handler) => Ok(handler(question).await),
                None => Err(unknown("this node has no client edge".to_owned())),
            };
        }
        let mut client = self.peers.client(target, Lane::Control).map_err(unknown)?;
        let timeout = deadline.saturating_duration_since(Instant::now());
        let request = peer::AskEdgeRequest {
            target: target.0,
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            question,
        };
        match timeout_at(deadline, client.ask_edge(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner().answer),
            Ok(Err(status)) => Err(unknown(format!("node {target}: {}", status.message()))),
            Err(_) => Err(unknown(format!("node {target} does not answer"))),
        }
    }

    /// Answers a peer; `None` if there is no edge, or it takes too long.
    pub(crate) async fn answer_edge(&self, request: peer::AskEdgeRequest) -> Option<Bytes> {
        let handler = self.edges.handler.get()?;
        let wait = Duration::from_millis(u64::from(request.timeout_ms));
        timeout_at(Instant::now() + wait, handler(request.question)).await.ok()
    }
}
