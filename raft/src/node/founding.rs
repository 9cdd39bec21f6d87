//! What a node tells `meta` at its start: that it is there and, of a new cluster, which broker groups there are.
//!
//! A cluster is founded by the first leader of `meta`, and by nobody else: a node that joins, or that lost its data, knows as
//! little of it as there is of a new one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::machine::MetaAction;
use crate::names::GroupId;
use crate::node::NodeInner;
use crate::node::lifecycle::HEARD_OF_WITHIN;

/// All of its nodes elect the first leader, who waits so long for their answers: without them the cluster begins at the
/// lowest feature level.
const FOUNDERS_WAIT: Duration = HEARD_OF_WITHIN;
/// Between two looks whether `meta` knows this node.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two looks whether this node founds the cluster: people make topics at once.
const FOUNDING_LOOK_EVERY: Duration = Duration::from_millis(10);

impl NodeInner {
    /// Tells `meta` of this node and, once, of the broker groups.
    pub(super) async fn register(self: Arc<Self>) {
        let own = self.own();
        let brokers: Vec<GroupId> = (1..=self.options.broker_groups).map(GroupId).collect();
        let mut catalog = self.catalog.clone();
        let mut leads_since = None;
        while !self.is_stopping() {
            let (known, groups) = {
                let catalog = catalog.borrow_and_update();
                (catalog.nodes.get(&self.id) == Some(&own), !catalog.groups.is_empty())
            };
            if known && groups {
                return;
            }
            let deadline = Instant::now() + Duration::from_secs(5);
            let change = match groups {
                true => Some(MetaAction::RegisterNode(own.clone())),
                false if self.leads_meta() => {
                    let since: Instant = *leads_since.get_or_insert_with(Instant::now);
                    let is_due =
                        self.begin_at_newest_level(deadline).await || since.elapsed() >= FOUNDERS_WAIT;
                    is_due.then(|| MetaAction::SetGroups(brokers.clone()))
                }
                false => None,
            };
            if let Some(change) = change
                && let Err(error) = self.change(change, deadline).await
            {
                tracing::debug!(%error, "could not register yet");
                continue;
            }
            let pause = if groups { LOOK_EVERY } else { FOUNDING_LOOK_EVERY };
            let _ = tokio::time::timeout(pause, catalog.changed()).await;
        }
    }

    /// Whether this node leads `meta`, and what it knows of it is all there is. Who joins, or has lost its data, knows
    /// nothing, and founds no cluster for that.
    fn leads_meta(&self) -> bool {
        self.group(GroupId::META).is_ok_and(|meta| meta.serves(self.id))
    }
}
