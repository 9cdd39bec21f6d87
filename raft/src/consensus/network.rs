//! How openraft reaches the other replicas of a group.
//!
//! Replication keeps one stream open for each follower and passes many of openraft's short sessions
//! through it; heartbeats and votes go over a connection of their own, so they never wait behind a
//! large append.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use openraft::base::{BoxFuture, BoxStream};
use openraft::entry::RaftEntry;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory};
use proto::peer;
use store::commit_log::CommitLog;
use store::planted::{PlantedBug, planted};
use store::snapshot::Snapshot as Stored;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::consensus::convert::{
    append_out, append_result_in, log_id_out, vote_out, vote_request_out, vote_response_in,
};
use crate::consensus::snapshot::pace::Pace;
use crate::consensus::snapshot::send::{SendError, Sending};
use crate::consensus::types::{LogId, Snapshot, TypeConfig, Vote};
use crate::group::fault::Faults;
use crate::limits::{APPEND_ANSWER_WAIT_MAX, APPENDS_IN_FLIGHT_MAX, PEER_RPC_WAIT_MIN, SNAPSHOT_RETRY_PAUSE};
use crate::names::{GroupId, NodeId};
use crate::node::peers::{Lane, PeerPool};

type Rpc = RPCError<TypeConfig>;
type Answers<'s> = BoxStream<'s, Result<StreamAppendResult<TypeConfig>, Rpc>>;

/// Makes the connections of one group.
pub(crate) struct NetworkFactory {
    /// The group.
    pub group: GroupId,
    /// The connections to the other nodes, shared by all groups.
    pub peers: PeerPool,
    /// The group's log, which a snapshot needs.
    pub log: CommitLog,
    /// Who is told of a snapshot that is damaged here.
    pub faults: Arc<Faults>,
    /// How fast snapshots leave this node, shared by all groups.
    pub pace: Arc<Pace>,
}

impl NetworkFactory {
    fn to(&self, target: u64, lane: Lane) -> PeerNetwork {
        PeerNetwork {
            group: self.group,
            target: NodeId(target),
            lane,
            peers: self.peers.clone(),
            log: self.log.clone(),
            faults: self.faults.clone(),
            pace: self.pace.clone(),
            live: None,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = PeerNetwork;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> PeerNetwork {
        self.to(target, Lane::Replication)
    }

    async fn new_heartbeat_client(&mut self, target: u64, _node: &BasicNode) -> PeerNetwork {
        self.to(target, Lane::Control)
    }
}

/// An open append stream: answers come in the order of the requests.
struct LiveStream {
    requests: mpsc::Sender<peer::AppendRequest>,
    answers: tonic::Streaming<peer::AppendResponse>,
}

/// The way to one replica of one group.
pub(crate) struct PeerNetwork {
    group: GroupId,
    target: NodeId,
    lane: Lane,
    peers: PeerPool,
    log: CommitLog,
    faults: Arc<Faults>,
    pace: Arc<Pace>,
    live: Option<LiveStream>,
}

fn unreachable(reason: impl ToString) -> Rpc {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

fn broken(reason: impl ToString) -> Rpc {
    RPCError::Network(NetworkError::from_string(reason))
}

impl PeerNetwork {
    async fn open(&mut self) -> Result<LiveStream, Rpc> {
        if let Some(live) = self.live.take() {
            return Ok(live);
        }
        let (requests, receiver) = mpsc::channel(APPENDS_IN_FLIGHT_MAX);
        let mut client = self.peers.client(self.target, self.lane).map_err(unreachable)?;
        let call = client.append(ReceiverStream::new(receiver));
        match tokio::time::timeout(PEER_RPC_WAIT_MIN, call).await {
            Ok(Ok(response)) => Ok(LiveStream { requests, answers: response.into_inner() }),
            Ok(Err(status)) => Err(unreachable(status.message())),
            Err(_) => Err(unreachable("the append stream was not answered")),
        }
    }
}

/// One of openraft's sessions on the open stream.
struct Session<'s, S> {
    network: &'s mut PeerNetwork,
    live: LiveStream,
    input: Option<S>,
    in_flight: usize,
}

impl<S> Session<'_, S>
where
    S: futures::Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin + Send,
{
    /// The next answer; `None` when the input has ended and everything is answered.
    async fn next(mut self) -> Option<(Result<StreamAppendResult<TypeConfig>, Rpc>, Option<Self>)> {
        loop {
            if self.input.is_none() && self.in_flight == 0 {
                self.network.live = Some(self.live);
                return None;
            }
            let may_send = self.in_flight < APPENDS_IN_FLIGHT_MAX;
            let input = &mut self.input;
            let request = async {
                match input {
                    Some(stream) if may_send => stream.next().await,
                    _ => std::future::pending().await,
                }
            };
            let answers = &mut self.live.answers;
            let waits = self.in_flight > 0;
            let answer = async {
                if waits {
                    tokio::time::timeout(APPEND_ANSWER_WAIT_MAX, answers.message()).await
                } else {
                    std::future::pending().await
                }
            };
            tokio::select! {
                biased;
                answer = answer => return Some(self.answered(answer)),
                request = request => match request {
                    None => self.input = None,
                    Some(request) => {
                        let message = append_out(self.network.group.0, self.network.target.0, request);
                        if self.live.requests.send(message).await.is_err() {
                            return Some((Err(broken("the append stream is closed")), None));
                        }
                        self.in_flight += 1;
                    }
                },
            }
        }
    }

    fn answered(
        mut self,
        answer: Result<Result<Option<peer::AppendResponse>, tonic::Status>, tokio::time::error::Elapsed>,
    ) -> (Result<StreamAppendResult<TypeConfig>, Rpc>, Option<Self>) {
        match answer {
            Ok(Ok(Some(response))) => match append_result_in(&response) {
                Ok(Ok(log_id)) => {
                    self.in_flight -= 1;
                    (Ok(Ok(log_id)), Some(self))
                }
                // The peer ends its stream after a conflict or a higher vote.
                Ok(refused) => (Ok(refused), None),
                Err(refusal) => (Err(unreachable(refusal)), None),
            },
            Ok(Ok(None)) => (Err(broken("the peer ended the append stream")), None),
            Ok(Err(status)) => (Err(unreachable(status.message())), None),
            Err(_) => (Err(unreachable("the peer does not answer appends")), None),
        }
    }
}

/// What a follower would say that had everything, for a planted bug.
fn pretended(request: &AppendEntriesRequest<TypeConfig>) -> Option<LogId> {
    request.entries.last().map(RaftEntry::log_id).or(request.prev_log_id)
}

impl NetStreamAppend<TypeConfig> for PeerNetwork {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<Answers<'s>, Rpc>>
    where
        S: futures::Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            // openraft backs off in the request stream. Dialled before the first request is taken, a peer that
            // refuses would be dialled without a pause, with a core's whole time.
            let mut input = input;
            let Some(first) = input.next().await else {
                let nothing: Answers<'s> = Box::pin(futures::stream::empty());
                return Ok(nothing);
            };
            let live = self.open().await;
            let input = futures::stream::iter([first]).chain(input);
            if planted(PlantedBug::AckBeforeQuorum) && live.is_err() {
                let pretended: Answers<'s> = Box::pin(input.map(|request| Ok(Ok(pretended(&request)))));
                return Ok(pretended);
            }
            let live = live?;
            let session = Session { network: self, live, input: Some(input), in_flight: 0 };
            let answers: Answers<'s> = Box::pin(futures::stream::unfold(Some(session), |state| async move {
                match state {
                    Some(session) => session.next().await,
                    None => None,
                }
            }));
            Ok(answers)
        })
    }
}

impl NetBackoff<TypeConfig> for PeerNetwork {
    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(Duration::from_millis(50))))
    }
}

impl PeerNetwork {
    async fn ask_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
        pre: bool,
    ) -> Result<VoteResponse<TypeConfig>, Rpc> {
        let mut client = self.peers.client(self.target, Lane::Control).map_err(unreachable)?;
        let message = vote_request_out(self.group.0, self.target.0, &request);
        let call = async { if pre { client.pre_vote(message).await } else { client.vote(message).await } };
        let wait = option.soft_ttl().max(PEER_RPC_WAIT_MIN);
        let response = match tokio::time::timeout(wait, call).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(unreachable(status.message())),
            Err(_) => return Err(unreachable("the vote was not answered")),
        };
        if !response.refusal.is_empty() {
            return Err(unreachable(response.refusal));
        }
        vote_response_in(&response).map_err(broken)
    }
}

impl NetVote<TypeConfig> for PeerNetwork {
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Rpc> {
        self.ask_vote(request, option, false).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Rpc> {
        self.ask_vote(request, option, true).await
    }
}

impl NetTransferLeader<TypeConfig> for PeerNetwork {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Rpc> {
        let mut client = self.peers.client(self.target, Lane::Control).map_err(unreachable)?;
        let message = peer::TransferLeaderRequest {
            group: self.group.0,
            from_leader: Some(vote_out(request.from_leader())),
            to: *request.to_node_id(),
            last_log_id: request.last_log_id().map(log_id_out),
            target: self.target.0,
        };
        let response = client
            .transfer_leader(message)
            .await
            .map_err(|status| unreachable(status.message()))?
            .into_inner();
        match response.refusal.is_empty() {
            true => Ok(Ok(())),
            false => Err(unreachable(response.refusal)),
        }
    }
}

impl NetSnapshot<TypeConfig> for PeerNetwork {
    type SnapshotData = Stored;

    /// openraft tries again as long as it gets an error; it cancels when this node leads no more.
    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Stored>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (group, target) = (self.group, self.target);
        let client = self.peers.client(target, Lane::Bulk).map_err(unreachable)?;
        let log = self.log.clone();
        let (faults, stored) = (self.faults.clone(), snapshot.snapshot.clone());
        let sending =
            Sending { group, target, vote, log, snapshot: snapshot.snapshot, pace: self.pace.clone() };
        let sent = async {
            let error = match sending.send(client).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            tracing::warn!(%group, node = %target, %error, "a snapshot was not sent");
            if matches!(error, SendError::Damaged(_)) {
                // On its way, or here already: then nobody can ever have it.
                let checked = crate::seams::spawn_blocking(move || stored.check()).await;
                if let Ok(Err(damage)) = checked {
                    faults.tell(&damage);
                }
            }
            // What failed for a reason fails for it again at once.
            tokio::time::sleep(SNAPSHOT_RETRY_PAUSE).await;
            Err(unreachable(error).into())
        };
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            sent = sent => sent,
        }
    }
}
