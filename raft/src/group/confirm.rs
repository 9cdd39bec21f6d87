//! Whether this replica still leads: what a leader that was cut off from the others does not know by itself.
//!
//! A question is answered from tables, without the log. A leader that was deposed without having heard of it would
//! answer from yesterday's: a quorum has to say that it leads still (ReadIndex; Ongaro's thesis, 6.4). Many questions
//! share a round: one that begins after a question came is as good as the question's own.

use std::sync::atomic::{AtomicU64, Ordering};

use openraft::{Raft, ReadPolicy};
use store::planted::{PlantedBug, planted};
use tokio::sync::Mutex;

use crate::consensus::applier::Applier;
use crate::consensus::types::TypeConfig;

/// The rounds of one group.
#[derive(Debug, Default)]
pub(crate) struct Confirmations {
    /// How many rounds have begun.
    begun: AtomicU64,
    /// The last round that a quorum answered. Held during a round: there is one at a time.
    confirmed: Mutex<u64>,
}

impl Confirmations {
    /// Whether this replica led at some moment after the call, and has applied all that was acknowledged before it.
    /// Takes a round trip to a quorum; about as long as a leader's lease if there is none.
    pub(crate) async fn still_leads(&self, raft: &Raft<TypeConfig, Applier>) -> bool {
        if planted(PlantedBug::DeposedLeaderServes) {
            return true;
        }
        let before = self.begun.load(Ordering::Acquire);
        let mut confirmed = self.confirmed.lock().await;
        if *confirmed > before {
            return true;
        }
        let round = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        match raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => {
                *confirmed = round;
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a quorum does not say that this node leads");
                false
            }
        }
    }
}
