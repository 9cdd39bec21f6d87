//! Whether replicas are equal: checksums over all rows, with the applied index that they are of (rule R4).

use std::time::Duration;

use proto::peer;
use tokio::time::{Instant, timeout_at};

use crate::limits::DIGEST_TIME_MAX;
use crate::names::{GroupId, NodeId};
use crate::node::peers::Lane;
use crate::node::{Node, NodeInner};
use crate::request::RequestError;
use crate::seams;

/// A checksum over the rows of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaDigest {
    /// The last entry that they have.
    pub applied_index: u64,
    /// Over all of them.
    pub checksum: u64,
    /// How many there are.
    pub rows: u64,
    /// How long it took to read them.
    pub took: Duration,
}

impl Node {
    /// A checksum over the rows of every replica of a group, each with the applied index that it is of: replicas at
    /// the same index have the same one (rule R4). Asks every node that holds it; what one did not answer is told in its place.
    ///
    /// Each node reads all rows of its replica, past its caches; it applies on meanwhile. One at a time on a node, and
    /// no longer than until the deadline: at most [`crate::limits::DIGEST_TIME_MAX`].
    ///
    /// # Errors
    /// If there is no such group.
    pub async fn digests(
        &self,
        group: GroupId,
        deadline: Instant,
    ) -> Result<Vec<(NodeId, Result<ReplicaDigest, String>)>, RequestError> {
        self.inner.must_exist(group)?;
        Ok(self.inner.digests(group, deadline).await)
    }

    /// [`Node::digests`] of this node's own replica: its applied index and the checksum.
    ///
    /// # Errors
    /// If this node does not hold the group, or its tables cannot be read.
    pub async fn replica_digest(&self, group: GroupId) -> Result<(u64, u64), RequestError> {
        let deadline = Instant::now() + DIGEST_TIME_MAX;
        let digest = self.inner.own_digest(group, deadline).await?;
        Ok((digest.applied_index, digest.checksum))
    }
}

impl NodeInner {
    /// Of this node's replica. Reads every row, past the caches; applying goes on meanwhile. One at a time, and no
    /// longer than until the deadline.
    pub(crate) async fn own_digest(
        &self,
        group: GroupId,
        deadline: Instant,
    ) -> Result<ReplicaDigest, RequestError> {
        let unknown = |reason: &str| RequestError::Unknown { reason: reason.to_owned() };
        let group = self.group(group)?.clone();
        let deadline = deadline.min(Instant::now() + DIGEST_TIME_MAX);
        let alone = timeout_at(deadline, self.digesting.clone().lock_owned()).await;
        let alone = alone.map_err(|_| unknown("another digest is being made, and took all the time"))?;
        let stop = self.stop.subscribe();
        let read = seams::spawn_blocking(move || {
            // Until it has ended, also if nobody waits for it any more.
            let _alone = alone;
            let begun = Instant::now();
            let digest = group.digest(&mut || Instant::now() < deadline && !*stop.borrow());
            digest.map(|digest| (digest, begun.elapsed()))
        });
        let (digest, took) = read
            .await
            .map_err(|error| unknown(&error.to_string()))?
            .map_err(|error| unknown(&error.to_string()))?;
        let (applied_index, digest) =
            digest.ok_or_else(|| unknown("there are too many rows for the time"))?;
        Ok(ReplicaDigest { applied_index, checksum: digest.checksum, rows: digest.rows, took })
    }

    /// For a peer that asks.
    pub(crate) async fn digest_for_peer(&self, request: peer::DigestRequest) -> peer::DigestResponse {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms).min(DIGEST_TIME_MAX);
        match self.own_digest(GroupId(request.group), deadline).await {
            Ok(digest) => peer::DigestResponse {
                applied_index: digest.applied_index,
                checksum: digest.checksum,
                rows: digest.rows,
                took_ms: digest.took.as_millis() as u64,
                refusal: String::new(),
            },
            Err(error) => peer::DigestResponse { refusal: error.to_string(), ..Default::default() },
        }
    }

    /// Asks every node at the same time.
    pub(crate) async fn digests(
        &self,
        group: GroupId,
        deadline: Instant,
    ) -> Vec<(NodeId, Result<ReplicaDigest, String>)> {
        let asked = self.holders(group).into_iter().map(|id| async move {
            let digest = match id == self.id {
                true => self.own_digest(group, deadline).await.map_err(|error| error.to_string()),
                false => self.digest_of_peer(id, group, deadline).await,
            };
            (id, digest)
        });
        futures::future::join_all(asked).await
    }

    async fn digest_of_peer(
        &self,
        id: NodeId,
        group: GroupId,
        deadline: Instant,
    ) -> Result<ReplicaDigest, String> {
        let mut client = self.peers.client(id, Lane::Control)?;
        let timeout_ms = deadline.saturating_duration_since(Instant::now()).as_millis() as u64;
        let request = peer::DigestRequest { group: group.0, timeout_ms };
        let answer = timeout_at(deadline, client.digest(request)).await;
        let answer = answer.map_err(|_| "it does not answer in time".to_owned())?;
        let answer = answer.map_err(|status| status.message().to_owned())?.into_inner();
        match answer.refusal.as_str() {
            "" => Ok(ReplicaDigest {
                applied_index: answer.applied_index,
                checksum: answer.checksum,
                rows: answer.rows,
                took: Duration::from_millis(answer.took_ms),
            }),
            refusal => Err(refusal.to_owned()),
        }
    }
}
