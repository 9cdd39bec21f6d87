//! Consumer groups that are paused, and what a poll of one that is at its bound waits for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, timeout_at};

use crate::catalog::Catalog;
use crate::names::ConsumerId;
use crate::node::NodeInner;

/// The paused consumer groups, by id: the catalog has them by name.
#[derive(Debug, Default)]
pub(crate) struct Paused {
    // A mutex, because every poll looks and a changed catalog is read once; never held over an await.
    known: Mutex<(u64, Arc<BTreeSet<ConsumerId>>)>,
}

impl Paused {
    fn contains(&self, catalog: &Catalog, consumer: ConsumerId) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != catalog.version {
            let paused = catalog.consumers.values().filter(|group| group.settings.paused);
            *known = (catalog.version, Arc::new(paused.map(|group| group.id).collect()));
        }
        known.1.contains(&consumer)
    }
}

impl NodeInner {
    /// Whether nothing is to be delivered to a consumer group, as far as this node knows.
    pub(crate) fn is_paused(&self, consumer: ConsumerId) -> bool {
        let catalog = self.catalog.borrow().clone();
        self.paused.contains(&catalog, consumer)
    }

    /// Waits until a consumer group is not paused. Answers false if it still is at `wait_until`, or when the node
    /// stops.
    pub(crate) async fn until_resumed(&self, consumer: ConsumerId, wait_until: Instant) -> bool {
        if !self.is_paused(consumer) {
            return true;
        }
        let mut catalog = self.catalog.clone();
        let resumed = catalog.wait_for(|catalog| !self.paused.contains(catalog, consumer));
        tokio::select! {
            biased;
            resumed = timeout_at(wait_until, resumed) => matches!(resumed, Ok(Ok(_))),
            () = self.stopped() => false,
        }
    }
}
