//! The way to what nothing outside this crate calls, for fuzzing only (`cargo fuzz` sets the flag).

use bytes::Bytes;
use prost::Message;
use proto::peer;

use crate::consensus::convert;

/// Reads one of the messages of the peer protocol, chosen by the first byte, as a node does that gets it.
pub fn peer_message(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(data);
    match kind % 6 {
        0 => drop(peer::AppendRequest::decode(bytes).map(|it| convert::append_in(it).is_ok())),
        1 => drop(peer::AppendResponse::decode(bytes).map(|it| convert::append_result_in(&it).is_ok())),
        2 => drop(peer::VoteRequest::decode(bytes).map(|it| convert::vote_request_in(&it).is_ok())),
        3 => drop(peer::VoteResponse::decode(bytes).map(|it| convert::vote_response_in(&it).is_ok())),
        4 => drop(serde_json::from_slice::<crate::question::Question>(data)),
        _ => drop(serde_json::from_slice::<crate::question::Answer>(data)),
    }
}
