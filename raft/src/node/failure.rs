//! What ends a node.

use tokio::sync::watch;

/// Why the node must stop, once there is a reason. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    reason: watch::Sender<Option<String>>,
}

impl Failure {
    pub(crate) fn new() -> Failure {
        Failure { reason: watch::Sender::new(None) }
    }

    /// The node must stop. The first reason stays: what comes behind it comes of it.
    pub(crate) fn tell(&self, reason: String) {
        tracing::error!(%reason, "the node must stop");
        self.reason.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(reason);
            is_first
        });
    }

    /// Resolves with the reason.
    pub(crate) async fn told(&self) -> String {
        let mut reason = self.reason.subscribe();
        let told = reason.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        told.unwrap_or_else(|| "the node was dropped".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let failure = Failure::new();
        failure.tell("a damaged frame".to_owned());
        failure.clone().tell("the group stopped".to_owned());
        assert_eq!(failure.told().await, "a damaged frame");
    }
}
