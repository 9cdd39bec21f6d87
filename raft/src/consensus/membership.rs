//! The body of a membership frame, in our own format (docs/formats.md, "Membership").

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::BasicNode;
use thiserror::Error;

use crate::consensus::types::Membership;
use crate::names::NodeId;

const VERSION: u8 = 1;

/// Why bytes are not a membership.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum MembershipDecodeError {
    /// The bytes end too early, or hold a length that cannot be.
    #[error("the membership is cut short")]
    Truncated,
    /// Written by a newer version.
    #[error("the membership has version {0}; this build reads up to {VERSION}")]
    Version(u8),
    /// The sets and the nodes do not belong together.
    #[error("the membership contradicts itself: {0}")]
    Contradiction(String),
}

/// Version, the voter sets (two while a change is under way), then the nodes with their addresses.
pub(crate) fn encode(membership: &Membership) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    out.put_u8(VERSION);
    let configs = membership.get_joint_config();
    out.put_u32_le(configs.len() as u32);
    for config in configs {
        out.put_u32_le(config.len() as u32);
        for id in config {
            out.put_u64_le(*id);
        }
    }
    let nodes: Vec<_> = membership.nodes().collect();
    out.put_u32_le(nodes.len() as u32);
    for (id, node) in nodes {
        out.put_u64_le(*id);
        out.put_u32_le(node.addr.len() as u32);
        out.put_slice(node.addr.as_bytes());
    }
    out.freeze()
}

/// The inverse of [`encode`].
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Membership, MembershipDecodeError> {
    let version = take_u8(&mut bytes)?;
    if version != VERSION {
        return Err(MembershipDecodeError::Version(version));
    }
    let mut configs = Vec::new();
    for _ in 0..take_u32(&mut bytes)? {
        let mut config = BTreeSet::new();
        for _ in 0..take_u32(&mut bytes)? {
            config.insert(take_u64(&mut bytes)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..take_u32(&mut bytes)? {
        let id = take_u64(&mut bytes)?;
        let length = take_u32(&mut bytes)? as usize;
        if bytes.len() < length {
            return Err(MembershipDecodeError::Truncated);
        }
        let addr = String::from_utf8_lossy(&bytes[..length]).into_owned();
        bytes.advance(length);
        nodes.insert(id, BasicNode { addr });
    }
    Membership::new(configs, nodes).map_err(|error| MembershipDecodeError::Contradiction(error.to_string()))
}

/// The bytes of a membership in which every one of `members`, with its peer address, has a vote.
pub(crate) fn encode_voters(members: &[(NodeId, String)]) -> Result<Bytes, MembershipDecodeError> {
    let voters: BTreeSet<u64> = members.iter().map(|(id, _)| id.0).collect();
    let nodes: BTreeMap<u64, _> =
        members.iter().map(|(id, peer)| (id.0, BasicNode { addr: peer.clone() })).collect();
    let membership = Membership::new(vec![voters], nodes);
    let membership = membership.map_err(|error| MembershipDecodeError::Contradiction(error.to_string()))?;
    Ok(encode(&membership))
}

fn take_u8(bytes: &mut &[u8]) -> Result<u8, MembershipDecodeError> {
    bytes.try_get_u8().map_err(|_| MembershipDecodeError::Truncated)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, MembershipDecodeError> {
    bytes.try_get_u32_le().map_err(|_| MembershipDecodeError::Truncated)
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, MembershipDecodeError> {
    bytes.try_get_u64_le().map_err(|_| MembershipDecodeError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Membership {
        let nodes = (1..=3u64).map(|id| (id, BasicNode { addr: format!("127.0.0.1:80{id}3") }));
        Membership::new(vec![BTreeSet::from([1, 2, 3])], nodes.collect::<BTreeMap<_, _>>()).unwrap()
    }

    #[test]
    fn what_is_encoded_comes_back() {
        assert_eq!(decode(&encode(&three())).unwrap(), three());
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = encode(&three());
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Err(MembershipDecodeError::Truncated), "cut at {length}");
        }
    }

    #[test]
    fn a_newer_version_is_refused() {
        let mut bytes = encode(&three()).to_vec();
        bytes[0] = 9;
        assert_eq!(decode(&bytes), Err(MembershipDecodeError::Version(9)));
    }
}
