//! What becomes of messages that were on their way to a client when a node was lost.
//!
//! A lease is committed before its message goes out. A node that dies in between leaves a message
//! leased to a client that never saw it; the leader would renew the lease for as long as the client
//! is online. Nobody knows which messages arrived, so those of the last moments are not renewed any
//! more: whoever has one has a while to settle it, then it is delivered again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::command;
use crate::group::Group;
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;
use crate::node::route::Leader;

/// What was leased so long before a node was lost may not have arrived.
const UNDERWAY_MS: u64 = 5_000;
/// So long a consumer that did get a message has to settle it.
const SETTLE_MS: u64 = 20_000;
/// A new leader is awaited so long.
const ELECTION_WAIT_MAX: Duration = Duration::from_secs(30);

impl NodeInner {
    /// Every node that loses a peer calls this; of a group's replicas, the leader acts.
    pub(crate) fn doubt_deliveries(self: &Arc<Self>, lost: NodeId) {
        for group in self.groups.values().filter(|group| group.id != GroupId::META) {
            // By the log's time: it is the clock of whoever gave the leases.
            let given_from_ms = group.replica().stamp_ms().saturating_sub(UNDERWAY_MS);
            tokio::spawn(self.clone().doubt_leases(group.clone(), lost, given_from_ms));
        }
    }

    async fn doubt_leases(self: Arc<Self>, group: Group, lost: NodeId, given_from_ms: u64) {
        let deadline = Instant::now() + ELECTION_WAIT_MAX;
        loop {
            match self.leader(group.id) {
                Leader::Here => break,
                Leader::At(other) if other != lost => return,
                _ if self.is_stopping() || Instant::now() >= deadline => return,
                _ => self.leader_may_change(group.id, deadline).await,
            }
        }
        let command = command::encode_doubt_leases(given_from_ms, SETTLE_MS);
        if let Err(error) = self.submit_done(group.id, command, deadline).await {
            tracing::warn!(group = %group.id, %error, "leases that may not have arrived are renewed on");
        }
    }
}
