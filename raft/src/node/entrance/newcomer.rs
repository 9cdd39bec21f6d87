//! What a process answers that has no id yet.

use proto::peer::entrance_server::{Entrance, EntranceServer};
use proto::peer::{IntroduceRequest, IntroduceResponse, JoinRequest, JoinResponse};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use super::{stranger, wire};
use crate::catalog::NodeInfo;
use crate::node::lifecycle::StartError;
use crate::node::options::NodeOptions;
use crate::seams::{self, TcpListener};

/// Answers at the peer port until it is ended.
pub(super) struct Newcomer {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Newcomer {
    /// Begins to answer.
    pub(super) async fn start(options: &NodeOptions, own: NodeInfo) -> Result<Newcomer, StartError> {
        let address = options.peer_bind;
        let listener =
            TcpListener::bind(address).await.map_err(|source| StartError::PeerPort { address, source })?;
        let answers = Answers { cluster: options.cluster.clone(), own };
        let (end, ended) = oneshot::channel::<()>();
        let served = tonic::transport::Server::builder()
            .add_service(seams::dated(EntranceServer::new(answers)))
            .serve_with_incoming_shutdown(seams::incoming(listener, &options.tls), async {
                let _ = ended.await;
            });
        let task = tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the peer port stopped");
            }
        });
        Ok(Newcomer { end, task })
    }

    /// Ends, and lets go of the port.
    pub(super) async fn end(self) {
        // Connections of others that are kept open are not waited for.
        let _ = self.end.send(());
        self.task.abort();
        let _ = self.task.await;
    }
}

struct Answers {
    cluster: String,
    own: NodeInfo,
}

#[tonic::async_trait]
impl Entrance for Answers {
    async fn introduce(
        &self,
        request: Request<IntroduceRequest>,
    ) -> Result<Response<IntroduceResponse>, Status> {
        let request = request.into_inner();
        let refusal = stranger(&self.cluster, &request.cluster, request.format_version).unwrap_or_default();
        let member = refusal.is_empty().then(|| wire(&self.own));
        Ok(Response::new(IntroduceResponse { refusal, member, begun: false }))
    }

    async fn join(&self, _request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let refusal = "this node has no id itself yet".to_owned();
        Ok(Response::new(JoinResponse { refusal, ..JoinResponse::default() }))
    }
}
