//! Keeps the clock of this node right, with the clocks of its peers: see [`crate::clock`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::{self, LEAD_EVERY, Led, PEERS_MIN, SKEW_MAX_MS};
use crate::names::NodeId;
use crate::node::NodeInner;

/// A peer's clock counts for so many rounds.
const READING_ROUNDS: u32 = 5;

/// How far the clocks of peers are ahead of ours, and when they said so.
#[derive(Clone, Default)]
pub(crate) struct PeerClocks {
    // Touched once a second by each peer's watch; never held over an await.
    ahead_ms: Arc<Mutex<BTreeMap<NodeId, (Instant, i64)>>>,
    news: Arc<Notify>,
}

impl PeerClocks {
    /// A peer has just said what its clock shows.
    pub(crate) fn heard(&self, peer: NodeId, clock_ms: u64) {
        let ahead_ms = clock_ms as i64 - clock::now_ms() as i64;
        let mut all = self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(peer, (Instant::now(), ahead_ms));
        self.news.notify_one();
    }

    fn fresh(&self) -> Vec<i64> {
        let all = self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = all.values().filter(|(at, _)| at.elapsed() <= LEAD_EVERY * READING_ROUNDS);
        fresh.map(|(_, ahead_ms)| *ahead_ms).collect()
    }

    /// What was heard was measured against a clock that is no more.
    fn forget(&self) {
        self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Leads the clock until the node stops.
pub(crate) async fn keep_time(node: Arc<NodeInner>) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(LEAD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    if node.members.known().len() <= PEERS_MIN {
        clock::settle();
    }
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
            () = node.clocks.news.notified(), if !clock::is_settled() => {}
        }
        let peers = node.clocks.fresh();
        let led = clock::lead(&peers);
        if led != Led::Unread && peers.len() >= PEERS_MIN {
            clock::settle();
        }
        match led {
            Led::Unread => {}
            Led::Agrees => told = false,
            Led::WallJumped(ahead_ms) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(
                        ahead_ms,
                        "the wall clock of this machine has jumped, or is wrong; the log's time does not follow \
                         it. Set it right, or restart this node if it is right now"
                    );
                }
            }
            Led::Corrected(by_ms) if by_ms.unsigned_abs() <= SKEW_MAX_MS => {
                node.clocks.forget();
                tracing::warn!(
                    by_ms,
                    "the clock of this node was off at its start; it begins with its peers' time"
                );
            }
            Led::Corrected(by_ms) => {
                node.clocks.forget();
                tracing::error!(by_ms, "the clock of this node was off; it follows its peers' clocks now");
            }
        }
    }
}
