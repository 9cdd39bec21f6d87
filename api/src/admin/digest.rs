//! Checksums over the tables of every replica.

use std::time::Duration;

use proto::admin::{DigestReplicasRequest, DigestReplicasResponse, ReplicaDigest};
use raft::limits::DIGEST_TIME_MAX;
use raft::names::{GroupId, NodeId};
use tokio::time::Instant;

use super::cluster::parse_group;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::DIGEST_TIMEOUT;

pub(super) async fn digest(
    edge: &EdgeState,
    request: &DigestReplicasRequest,
) -> Result<DigestReplicasResponse, Fault> {
    let groups = match request.group.as_str() {
        "" => edge.node.groups(),
        name => vec![parse_group(name)?],
    };
    let timeout = match request.timeout_ms {
        0 => DIGEST_TIMEOUT,
        timeout_ms => Duration::from_millis(timeout_ms).min(DIGEST_TIME_MAX),
    };
    let deadline = Instant::now() + timeout;
    let mut replicas = Vec::new();
    // One after the other: a node makes one digest at a time.
    for group in groups {
        let digests = edge.node.digests(group, deadline).await?;
        replicas.extend(digests.into_iter().map(|(node, digest)| wire(group, node, digest)));
    }
    Ok(DigestReplicasResponse { replicas })
}

fn wire(group: GroupId, node: NodeId, digest: Result<raft::node::ReplicaDigest, String>) -> ReplicaDigest {
    let of = ReplicaDigest { group: group.to_string(), node: node.0, ..ReplicaDigest::default() };
    match digest {
        Err(error) => ReplicaDigest { error, ..of },
        Ok(digest) => ReplicaDigest {
            applied_index: digest.applied_index,
            checksum: digest.checksum,
            rows: digest.rows,
            took_ms: digest.took.as_millis() as u64,
            ..of
        },
    }
}
