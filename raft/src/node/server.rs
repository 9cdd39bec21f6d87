//! The peer port: what other nodes of the cluster may ask of this one.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use openraft::raft::TransferLeaderRequest as Transfer;
use proto::peer::peer_server::{Peer, PeerServer};
use proto::peer::snapshot_chunk::Part;
use proto::peer::{
    AppendRequest, AppendResponse, AskEdgeRequest, AskEdgeResponse, AskRequest, AskResponse,
    ChangeReplicaRequest, ChangeReplicaResponse, ChangeVotersRequest, ChangeVotersResponse,
    CheckTransactionRequest, CheckTransactionResponse, DeadLettersRequest, DeadLettersResponse,
    DigestRequest, DigestResponse, ForwardRequest, ForwardResponse, HandOverRequest, HandOverResponse,
    HelloRequest, HelloResponse, ReceiveRequest, ReceiveResponse, SnapshotChunk, SnapshotOffer,
    SnapshotOfferResponse, SnapshotResponse, StatusRequest, StatusResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status, Streaming};

use crate::clock;
use crate::consensus::convert::{
    append_in, append_result_out, log_id_in, vote_in, vote_request_in, vote_response_out,
};
use crate::consensus::snapshot::receive::{self, ReceiveError};
use crate::group::Group;
use crate::group::propose::ProposeError;
use crate::limits::PEER_MESSAGE_BYTES_MAX;
use crate::names::{GroupId, NodeId};
use crate::node::forward::outcome_out;
use crate::node::peers::{CLUSTER_HEADER, FORMAT_VERSION, cluster_tag};
use crate::node::route::NotDone;
use crate::node::voters::VoterChange;
use crate::node::{NodeInner, entrance};
use crate::seams::{self, TcpListener};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

struct PeerService {
    node: Arc<NodeInner>,
    tag: String,
}

/// Serves the peer port until the node stops.
pub(crate) async fn serve(node: Arc<NodeInner>, listener: TcpListener) {
    let stopped = node.stopped();
    let tls = node.options.tls.clone();
    let tag = cluster_tag(node.members.tag());
    let entrance = entrance::serve(node.clone());
    let service = PeerServer::new(PeerService { node, tag })
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
    let incoming = seams::incoming(listener, &tls);
    let served = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(2)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .add_service(seams::dated(service))
        .add_service(seams::dated(entrance))
        .serve_with_incoming_shutdown(incoming, stopped)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the peer port stopped");
    }
}

/// What a replica says that rejoins.
const NO_VOTE: &str = "this replica is being rebuilt, and has no vote before it has everything again";

impl PeerService {
    /// Every call but the hello names its cluster: the hello is there to explain a mismatch.
    fn member<T>(&self, request: Request<T>) -> Result<T, Status> {
        let tag = request.metadata().get(CLUSTER_HEADER).and_then(|value| value.to_str().ok());
        match tag == Some(self.tag.as_str()) {
            true => Ok(request.into_inner()),
            false => Err(Status::failed_precondition("this node is of another cluster or has other options")),
        }
    }

    fn group(&self, group: u32, target: u64) -> Result<&Group, String> {
        group_of(&self.node, group, target)
    }

    fn refusal(&self, hello: &HelloRequest) -> String {
        let options = &self.node.options;
        if hello.cluster != options.cluster {
            return format!("this node is of cluster {:?}, not {:?}", options.cluster, hello.cluster);
        }
        if hello.format_version != FORMAT_VERSION {
            return format!(
                "this node speaks version {FORMAT_VERSION} of the peer protocol, not {}",
                hello.format_version
            );
        }
        if hello.options_fingerprint != self.node.members.tag() {
            return "this is another cluster of the same name, or one whose nodes began with different options: \
                    compare cluster.broker_groups, and cluster.members or cluster.seeds"
                .to_owned();
        }
        String::new()
    }
}

/// Takes a leader's appends into the group that the first one names.
async fn appends(node: Arc<NodeInner>, mut requests: Streaming<AppendRequest>) -> Answers<AppendResponse> {
    let first = match requests.message().await {
        Ok(Some(first)) => first,
        Ok(None) => return Box::pin(futures::stream::empty()),
        Err(status) => return Box::pin(futures::stream::once(async move { Err(status) })),
    };
    let group = match group_of(&node, first.group, first.target) {
        Ok(group) => group.clone(),
        Err(refusal) => {
            return Box::pin(futures::stream::once(async move { Ok(refused_append(refusal)) }));
        }
    };
    let id = group.id;
    let store = group.store.clone();
    let requests = futures::stream::once(async move { Ok(first) }).chain(requests);
    // A damaged frame ends the stream here; the leader opens a new one and sends it again.
    let accepted = requests.map(move |request| match request {
        // The leader comes again, with a snapshot.
        Ok(_) if store.is_rebuilding() => Err(()),
        Ok(request) => append_in(request)
            .map_err(|error| tracing::error!(group = %id, %error, "an append of a peer is refused")),
        Err(status) => {
            tracing::debug!(group = %id, %status, "the append stream of a peer ended");
            Err(())
        }
    });
    let accepted = accepted.take_while(|request| futures::future::ready(request.is_ok()));
    let accepted = accepted.filter_map(|request| futures::future::ready(request.ok()));
    // The consensus holds on to this side of the stream until it ends.
    let accepted = accepted.take_until(node.stopped());
    Box::pin(group.raft.stream_append(accepted).map(|answer| match answer {
        Ok(result) => Ok(append_result_out(&result)),
        Err(fatal) => Err(Status::internal(fatal.to_string())),
    }))
}

fn group_of(node: &NodeInner, group: u32, target: u64) -> Result<&Group, String> {
    if target != node.id.0 {
        return Err(format!("this is node {}, not node {target}", node.id));
    }
    let id = GroupId(group);
    node.groups.get(id).ok_or_else(|| format!("node {} does not hold {id}", node.id))
}

fn refused_append(refusal: String) -> AppendResponse {
    let mut response = AppendResponse { refusal, ..AppendResponse::default() };
    response.set_kind(proto::peer::append_response::Kind::Refused);
    response
}

#[tonic::async_trait]
impl Peer for PeerService {
    type WatchStream = Answers<HelloResponse>;
    type AppendStream = Answers<AppendResponse>;

    async fn watch(&self, request: Request<HelloRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let refusal = self.refusal(request.get_ref());
        let (own, caller, catalog) =
            (self.node.id.0, NodeId(request.get_ref().node), self.node.catalog.clone());
        // Of a node of another cluster this one knows nothing, whatever its id.
        let is_ours = refusal.is_empty();
        let news = move |refusal| HelloResponse {
            node: own,
            refusal,
            clock_ms: clock::now_ms(),
            removed: is_ours && catalog.borrow().removed_nodes.contains(&caller),
        };
        let first = news(refusal);
        let first = futures::stream::once(async move { Ok(first) });
        let clock = futures::stream::unfold(news, move |news| async move {
            tokio::time::sleep(clock::LEAD_EVERY).await;
            Some((Ok(news(String::new())), news))
        });
        // Open for as long as this process lives.
        let open = first.chain(clock).take_until(self.node.stopped());
        Ok(Response::new(Box::pin(open)))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let requests = self.member(request)?;
        // The headers go at once: the leader sends nothing before it has them.
        let answers = futures::stream::once(appends(self.node.clone(), requests)).flatten();
        let answers = answers.take_until(self.node.stopped());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn offer_snapshot(
        &self,
        request: Request<SnapshotOffer>,
    ) -> Result<Response<SnapshotOfferResponse>, Status> {
        let offer = self.member(request)?;
        Ok(Response::new(match self.group(offer.group, offer.target) {
            Ok(group) => receive::stands(group),
            Err(refusal) => {
                let refusal = ReceiveError::WrongTarget(refusal).refusal();
                SnapshotOfferResponse { refusal: Some(refusal), ..SnapshotOfferResponse::default() }
            }
        }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<SnapshotResponse>, Status> {
        let mut parts = self.member(request)?;
        let refused = |error: ReceiveError| {
            Ok(Response::new(SnapshotResponse { vote: None, refusal: Some(error.refusal()) }))
        };
        let Some(Part::Header(header)) = parts.message().await?.and_then(|chunk| chunk.part) else {
            return refused(ReceiveError::Malformed("a snapshot begins with its header".to_owned()));
        };
        let group = match self.group(header.group, header.target) {
            Ok(group) => group,
            Err(refusal) => return refused(ReceiveError::WrongTarget(refusal)),
        };
        tokio::select! {
            biased;
            () = self.node.stopped() => Err(Status::unavailable("this node stops")),
            response = receive::receive(group, header, parts) => Ok(Response::new(response)),
        }
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        self.ask_vote(self.member(request)?, false).await
    }

    async fn pre_vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        self.ask_vote(self.member(request)?, true).await
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        let request = self.member(request)?;
        let refusal = match self.group(request.group, request.target) {
            Err(refusal) => refusal,
            Ok(group) if group.rejoining.goes_on() => NO_VOTE.to_owned(),
            Ok(group) => {
                let vote = vote_in(request.from_leader.as_ref())
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                let last = request.last_log_id.as_ref().map(log_id_in);
                match group.raft.handle_transfer_leader(Transfer::new(vote, request.to, last)).await {
                    Ok(Ok(())) => String::new(),
                    Ok(Err(error)) => error.to_string(),
                    Err(fatal) => return Err(Status::internal(fatal.to_string())),
                }
            }
        };
        Ok(Response::new(TransferLeaderResponse { refusal }))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<ForwardResponse>, Status> {
        let request = self.member(request)?;
        let deadline = Instant::now() + Duration::from_millis(u64::from(request.timeout_ms));
        let group = self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        let mut traced = request.traced.iter().peekable();
        let propose = |(at, command)| {
            let traced = traced.next_if(|traced| traced.command as usize == at);
            let trail = traced.and_then(|traced| self.node.trail_of(traced.span.as_ref()));
            group.proposer.propose(command, trail)
        };
        let proposed: Vec<_> = request.commands.into_iter().enumerate().map(propose).collect();
        let mut outcomes = Vec::with_capacity(proposed.len());
        for receiver in proposed {
            let outcome = match receiver {
                Err(error) => Err(error),
                Ok(receiver) => match timeout_at(deadline, receiver).await {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(_)) | Err(_) => Err(ProposeError::Unknown("no answer in time".to_owned())),
                },
            };
            outcomes.push(outcome_out(outcome));
        }
        Ok(Response::new(ForwardResponse { outcomes }))
    }

    async fn receive(&self, request: Request<ReceiveRequest>) -> Result<Response<ReceiveResponse>, Status> {
        let request = self.member(request)?;
        self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        Ok(Response::new(self.node.receive_for_peer(request).await))
    }

    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<AskResponse>, Status> {
        let request = self.member(request)?;
        self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        Ok(Response::new(self.node.answer_peer(request).await))
    }

    async fn hand_over(
        &self,
        request: Request<HandOverRequest>,
    ) -> Result<Response<HandOverResponse>, Status> {
        let request = self.member(request)?;
        let group = self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        let deadline = Instant::now() + Duration::from_millis(u64::from(request.timeout_ms));
        let to = (request.to != 0).then_some(NodeId(request.to));
        let response = match self.node.hand_over_here(group, to, deadline).await {
            Ok(leader) => HandOverResponse { leader: leader.0, refusal: String::new() },
            Err(NotDone::Refused(refusal)) => HandOverResponse { leader: 0, refusal },
            Err(NotDone::LeadsNoMore) => HandOverResponse::default(),
        };
        Ok(Response::new(response))
    }

    async fn change_voters(
        &self,
        request: Request<ChangeVotersRequest>,
    ) -> Result<Response<ChangeVotersResponse>, Status> {
        let request = self.member(request)?;
        let group = self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        let deadline = Instant::now() + Duration::from_millis(u64::from(request.timeout_ms));
        let node = NodeId(request.node);
        let response = match self.node.change_voters_here(group, node, request.votes, deadline).await {
            Ok(VoterChange { done, voters, behind }) => {
                let voters = voters.into_iter().map(|id| id.0).collect();
                ChangeVotersResponse { leads: true, refusal: String::new(), done, voters, behind }
            }
            Err(NotDone::Refused(refusal)) => ChangeVotersResponse { refusal, ..Default::default() },
            Err(NotDone::LeadsNoMore) => ChangeVotersResponse::default(),
        };
        Ok(Response::new(response))
    }

    async fn change_replica(
        &self,
        request: Request<ChangeReplicaRequest>,
    ) -> Result<Response<ChangeReplicaResponse>, Status> {
        let request = self.member(request)?;
        let group = self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        let deadline = Instant::now() + Duration::from_millis(u64::from(request.timeout_ms));
        let node = NodeId(request.node);
        let response = match self.node.change_replica_here(group, node, request.present, deadline).await {
            Ok(done) => ChangeReplicaResponse { leads: true, refusal: String::new(), done },
            Err(NotDone::Refused(refusal)) => ChangeReplicaResponse { refusal, ..Default::default() },
            Err(NotDone::LeadsNoMore) => ChangeReplicaResponse::default(),
        };
        Ok(Response::new(response))
    }

    async fn dead_letters(
        &self,
        request: Request<DeadLettersRequest>,
    ) -> Result<Response<DeadLettersResponse>, Status> {
        let request = self.member(request)?;
        let group = self.group(request.group, request.target).map_err(Status::failed_precondition)?;
        Ok(Response::new(self.node.dead_letters_for_peer(group, &request).await))
    }

    async fn ask_edge(&self, request: Request<AskEdgeRequest>) -> Result<Response<AskEdgeResponse>, Status> {
        let request = self.member(request)?;
        if request.target != self.node.id.0 {
            let why = format!("this is node {}, not node {}", self.node.id, request.target);
            return Err(Status::failed_precondition(why));
        }
        let answer = self.node.answer_edge(request).await;
        let answer = answer.ok_or_else(|| Status::aborted("this node's client edge does not answer"))?;
        Ok(Response::new(AskEdgeResponse { answer }))
    }

    async fn check_transaction(
        &self,
        request: Request<CheckTransactionRequest>,
    ) -> Result<Response<CheckTransactionResponse>, Status> {
        let request = self.member(request)?;
        Ok(Response::new(self.node.check_transaction_for_peer(&request)))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.member(request)?;
        Ok(Response::new(self.node.own_status()))
    }

    async fn digest(&self, request: Request<DigestRequest>) -> Result<Response<DigestResponse>, Status> {
        let request = self.member(request)?;
        Ok(Response::new(self.node.digest_for_peer(request).await))
    }
}

impl PeerService {
    async fn ask_vote(&self, request: VoteRequest, pre: bool) -> Result<Response<VoteResponse>, Status> {
        let group = match self.group(request.group, request.target) {
            Ok(group) if group.rejoining.goes_on() => Err(NO_VOTE.to_owned()),
            other => other,
        };
        let group = match group {
            Ok(group) => group,
            Err(refusal) => return Ok(Response::new(VoteResponse { refusal, ..VoteResponse::default() })),
        };
        let vote = vote_request_in(&request).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let answer = if pre { group.raft.pre_vote(vote).await } else { group.raft.vote(vote).await };
        let answer = answer.map_err(|error| Status::internal(error.to_string()))?;
        if answer.vote_granted
            && !pre
            && let Some(vote) = &request.vote
        {
            seams::vote_granted(group.id, self.node.id, vote.term, vote.node);
        }
        Ok(Response::new(vote_response_out(&answer)))
    }
}
