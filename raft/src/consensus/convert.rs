//! openraft's types and the peer protocol's messages, both ways.

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, VoteRequest, VoteResponse,
};
use proto::peer;
use store::ballot::Ballot;
use store::commit_log::Frame;
use thiserror::Error;

use crate::consensus::entry::Entry;
use crate::consensus::types::{self, LogId, TypeConfig, Vote};

/// Why a message of a peer cannot be used.
#[derive(Debug, Error)]
pub(crate) enum PeerMessageError {
    /// A field that must be there is not.
    #[error("the message lacks its {0}")]
    Missing(&'static str),
    /// A frame is damaged.
    #[error("frame: {0}")]
    Frame(String),
}

pub(crate) fn log_id_out(id: &LogId) -> peer::LogId {
    let leader = id.committed_leader_id();
    peer::LogId { term: leader.term, leader: leader.node_id, index: id.index }
}

pub(crate) fn log_id_in(id: &peer::LogId) -> LogId {
    types::log_id(id.term, id.leader, id.index)
}

pub(crate) fn vote_out(vote: &Vote) -> peer::Ballot {
    peer::Ballot { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
}

pub(crate) fn vote_in(ballot: Option<&peer::Ballot>) -> Result<Vote, PeerMessageError> {
    let ballot = ballot.ok_or(PeerMessageError::Missing("vote"))?;
    Ok(vote_of(&Ballot { term: ballot.term, node: ballot.node, committed: ballot.committed }))
}

pub(crate) fn vote_of(ballot: &Ballot) -> Vote {
    if ballot.committed {
        Vote::new_committed(ballot.term, ballot.node)
    } else {
        Vote::new(ballot.term, ballot.node)
    }
}

pub(crate) fn ballot_of(vote: &Vote) -> Ballot {
    Ballot { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
}

/// An append as it goes over the wire: the frames are the bytes that are on disk.
pub(crate) fn append_out(
    group: u32,
    target: u64,
    request: AppendEntriesRequest<TypeConfig>,
) -> peer::AppendRequest {
    peer::AppendRequest {
        group,
        target,
        vote: Some(vote_out(&request.vote)),
        previous: request.prev_log_id.as_ref().map(log_id_out),
        leader_commit: request.leader_commit.as_ref().map(log_id_out),
        frames: request.entries.into_iter().map(|entry| entry.into_frame().to_wire()).collect(),
    }
}

pub(crate) fn append_in(
    request: peer::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, PeerMessageError> {
    let mut entries = Vec::with_capacity(request.frames.len());
    for bytes in request.frames {
        entries.push(entry_in(bytes)?);
    }
    Ok(AppendEntriesRequest {
        vote: vote_in(request.vote.as_ref())?,
        prev_log_id: request.previous.as_ref().map(log_id_in),
        leader_commit: request.leader_commit.as_ref().map(log_id_in),
        entries,
    })
}

fn entry_in(bytes: Bytes) -> Result<Entry, PeerMessageError> {
    let frame = Frame::decode(bytes).map_err(|error| PeerMessageError::Frame(error.to_string()))?;
    Entry::of(frame).map_err(|error| PeerMessageError::Frame(error.to_string()))
}

pub(crate) fn append_result_out(result: &StreamAppendResult<TypeConfig>) -> peer::AppendResponse {
    use peer::append_response::Kind;
    let mut response = peer::AppendResponse::default();
    match result {
        Ok(log_id) => {
            response.set_kind(Kind::Success);
            response.log_id = log_id.as_ref().map(log_id_out);
        }
        Err(StreamAppendError::Conflict(log_id)) => {
            response.set_kind(Kind::Conflict);
            response.log_id = Some(log_id_out(log_id));
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            response.set_kind(Kind::HigherVote);
            response.higher_vote = Some(vote_out(vote));
        }
    }
    response
}

/// The answer to an append, or the sentence with which the peer refused it.
pub(crate) fn append_result_in(
    response: &peer::AppendResponse,
) -> Result<StreamAppendResult<TypeConfig>, String> {
    use peer::append_response::Kind;
    match response.kind() {
        Kind::Success | Kind::PartialSuccess => Ok(Ok(response.log_id.as_ref().map(log_id_in))),
        Kind::Conflict => match response.log_id.as_ref() {
            Some(id) => Ok(Err(StreamAppendError::Conflict(log_id_in(id)))),
            None => Err("a conflict without a log id".to_owned()),
        },
        Kind::HigherVote => vote_in(response.higher_vote.as_ref())
            .map(|vote| Err(StreamAppendError::HigherVote(vote)))
            .map_err(|error| error.to_string()),
        Kind::Refused | Kind::Unspecified => Err(response.refusal.clone()),
    }
}

pub(crate) fn vote_request_out(
    group: u32,
    target: u64,
    request: &VoteRequest<TypeConfig>,
) -> peer::VoteRequest {
    peer::VoteRequest {
        group,
        target,
        vote: Some(vote_out(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(log_id_out),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request_in(
    request: &peer::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, PeerMessageError> {
    let mut out =
        VoteRequest::new(vote_in(request.vote.as_ref())?, request.last_log_id.as_ref().map(log_id_in));
    out.leadership_transfer = request.leadership_transfer;
    Ok(out)
}

pub(crate) fn vote_response_out(response: &VoteResponse<TypeConfig>) -> peer::VoteResponse {
    peer::VoteResponse {
        vote: Some(vote_out(&response.vote)),
        last_log_id: response.last_log_id.as_ref().map(log_id_out),
        granted: response.vote_granted,
        refusal: String::new(),
    }
}

pub(crate) fn vote_response_in(
    response: &peer::VoteResponse,
) -> Result<VoteResponse<TypeConfig>, PeerMessageError> {
    Ok(VoteResponse::new(
        vote_in(response.vote.as_ref())?,
        response.last_log_id.as_ref().map(log_id_in),
        response.granted,
    ))
}
