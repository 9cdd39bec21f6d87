//! The feature level of the cluster: see [`crate::features`].

use std::sync::Arc;

use tokio::time::Instant;

use crate::features::FeatureLevel;
use crate::machine::MetaAction;
use crate::node::route::invalid;
use crate::node::{Node, NodeInner, unexpected};
use crate::outcome::Outcome;
use crate::request::RequestError;

impl Node {
    /// Raises the feature level of the cluster to `to`, or as far as all nodes can read. The level that it has then.
    ///
    /// # Errors
    /// [`crate::request::Rejection::Invalid`] if a node does not answer, or cannot read that.
    pub async fn raise_feature_level(
        &self,
        to: Option<FeatureLevel>,
        deadline: Instant,
    ) -> Result<FeatureLevel, RequestError> {
        self.inner.raise_feature_level(to, deadline).await
    }

    /// Whether the cluster has gone on to a feature level that this node cannot read.
    pub fn is_outdated(&self) -> bool {
        let level = self.inner.catalog.borrow().feature_level;
        self.inner.options.reads_up_to.falls_short_of(level).is_some()
    }
}

impl NodeInner {
    /// Refuses what the cluster does not write yet.
    pub(crate) fn needs(&self, level: FeatureLevel) -> Result<(), RequestError> {
        let now = self.catalog.borrow().feature_level;
        match level <= now {
            true => Ok(()),
            false => Err(invalid(format!(
                "this needs feature level {level}, and the cluster is at {now}: once no node is to run an older version \
                 again, `ledgermq cluster feature-level --raise`"
            ))),
        }
    }

    async fn raise_feature_level(
        &self,
        to: Option<FeatureLevel>,
        deadline: Instant,
    ) -> Result<FeatureLevel, RequestError> {
        let now = self.catalog.borrow().feature_level;
        let to = match (to, self.read_by_all(to).await) {
            (_, Err(why)) => return Err(invalid(why)),
            (to, Ok(all)) => to.unwrap_or(all.max(now)),
        };
        if to < now {
            return Err(invalid(format!(
                "the cluster is at feature level {now}, and does not go back to {to}"
            )));
        }
        match self.change(MetaAction::RaiseFeatureLevel(to), deadline).await? {
            Outcome::Done => {}
            other => return Err(unexpected(other)),
        }
        let mut catalog = self.catalog.clone();
        let seen = catalog.wait_for(|catalog| catalog.feature_level >= to);
        // At the deadline it is raised all the same.
        let seen = tokio::time::timeout_at(deadline, seen).await;
        Ok(seen.ok().and_then(Result::ok).map_or(to, |catalog| catalog.feature_level))
    }

    /// The newest level that all nodes can read, or why it cannot be `wanted`.
    async fn read_by_all(&self, wanted: Option<FeatureLevel>) -> Result<FeatureLevel, String> {
        let status = self.cluster_status().await;
        let mut all = self.options.reads_up_to;
        for node in &status.nodes {
            let (id, name) = (node.info.id, &node.info.name);
            let Some((_, program)) = status.programs.iter().find(|(of, _)| *of == id) else {
                return Err(format!(
                    "node {id} ({name}) does not answer, so nobody knows what it can read: start it, or take it out \
                     with `ledgermq cluster remove-node {id}`"
                ));
            };
            all = all.min(program.reads_up_to);
            if let Some(wanted) = wanted.filter(|wanted| program.reads_up_to < *wanted) {
                let version = if program.version.is_empty() { "an older version" } else { &program.version };
                return Err(format!(
                    "node {id} ({name}) runs {version} and reads up to feature level {}, not {wanted}: upgrade it first",
                    program.reads_up_to
                ));
            }
        }
        Ok(all)
    }

    /// A new cluster has nothing that an older version would have to read. Whether it is at the newest level that all
    /// nodes can read: not while one of them does not answer.
    pub(crate) async fn begin_at_newest_level(&self, deadline: Instant) -> bool {
        let now = self.catalog.borrow().feature_level;
        if self.options.reads_up_to <= now {
            return true;
        }
        let Ok(level) = self.read_by_all(None).await else { return false };
        if level <= now {
            return true;
        }
        let raised = self.change(MetaAction::RaiseFeatureLevel(level), deadline).await;
        raised
            .inspect_err(|error| tracing::debug!(%error, %level, "the feature level is not raised yet"))
            .is_ok()
    }

    /// Ends the node once the cluster writes what it cannot read.
    pub(crate) async fn heed_feature_level(self: Arc<Self>) {
        let mut catalog = self.catalog.clone();
        let known = self.options.reads_up_to;
        let beyond = catalog.wait_for(|catalog| known < catalog.feature_level);
        let why = tokio::select! {
            () = self.stopped() => None,
            beyond = beyond => beyond.ok().and_then(|catalog| known.falls_short_of(catalog.feature_level)),
        };
        if let Some(why) = why {
            self.failure.tell(why);
        }
    }
}
