//! The way to what nothing outside this crate calls, for fuzzing only (`cargo fuzz` sets the flag).

use bytes::Bytes;
use prost::Message;
use proto::peer;
use rustls::pki_types::CertificateDer;

use crate::consensus::convert;
use crate::tls;

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

/// Whether a peer that presents these certificates, as DER, is taken where these names are allowed; none if one of them is
/// no name. That the authority signed them is asked elsewhere.
pub fn peer_certificates(presented: &[&[u8]], allowed: &[String]) -> Option<bool> {
    let allowed = tls::names_of_hosts(allowed).ok()?;
    let presented: Vec<CertificateDer<'_>> = presented.iter().map(|it| CertificateDer::from(*it)).collect();
    Some(tls::check_name(&allowed, Some(&presented)).is_ok())
}
