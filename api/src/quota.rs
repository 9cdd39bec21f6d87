//! How much may be sent in a second: by topic, and by client.
//!
//! A quota of a topic holds for the cluster: each node takes its part, the quota divided by the nodes that live. A
//! client's quota is an option of the node, and holds there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use raft::catalog::Topic;
use raft::names::TopicId;
use tokio::time::Instant;

use crate::convert::status::Fault;
use crate::limits::QUOTA_BUCKETS_MAX;

/// Whose quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Topic(TopicId),
    Client(String),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Messages,
    Bytes,
}

/// What may still be taken. It fills up to the quota of one second, and may go below zero once: a message that is
/// larger than the quota passes too, and those after it wait.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, per_s: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * per_s).min(per_s.max(1.0));
        self.at = now;
    }
}

/// What one request sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// Bounds of a client, 0 for none: see [`crate::edge_options::EdgeLimits`].
#[derive(Clone, Copy, Debug)]
pub struct ClientQuota {
    /// Messages in a second.
    pub messages_per_s: u32,
    /// Bytes of bodies in a second.
    pub bytes_per_s: u64,
}

/// The quotas in use on this node, at most [`QUOTA_BUCKETS_MAX`].
#[derive(Debug, Default)]
pub struct Quotas {
    // A mutex: it is locked once a request, and only where a quota is set.
    buckets: Mutex<HashMap<(Whose, What), Bucket>>,
}

/// One bound that a request must keep.
struct Bound {
    whose: Whose,
    what: What,
    /// Whole, for the sentence.
    quota: u64,
    /// This node's part.
    per_s: f64,
    cost: u64,
}

impl Quotas {
    /// Takes what a request sends from the quotas that it touches, or nothing.
    ///
    /// # Errors
    /// [`Fault::TooManyRequests`] names the quota that is used up.
    pub fn take(
        &self,
        topic: &Topic,
        nodes: usize,
        (client_id, client): (&str, ClientQuota),
        load: Load,
        now: Instant,
    ) -> Result<(), Fault> {
        let bounds = bounds(topic, nodes, (client_id, client), load);
        if bounds.is_empty() {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for bound in &bounds {
            let fresh = Bucket { left: bound.per_s.max(1.0), at: now };
            let bucket = buckets.entry((bound.whose.clone(), bound.what)).or_insert(fresh);
            bucket.fill(bound.per_s, now);
            if bucket.left <= 0.0 {
                return Err(Fault::TooManyRequests(sentence(bound, &topic.name)));
            }
        }
        for bound in bounds {
            if let Some(bucket) = buckets.get_mut(&(bound.whose, bound.what)) {
                bucket.left -= bound.cost as f64;
            }
        }
        if buckets.len() > QUOTA_BUCKETS_MAX {
            // One that is not touched for a second is full again, and need not be remembered unless it was far below.
            buckets.retain(|_, bucket| bucket.left <= 0.0 || bucket.at == now);
            if buckets.len() > QUOTA_BUCKETS_MAX {
                buckets.clear();
            }
        }
        Ok(())
    }
}

fn bounds(topic: &Topic, nodes: usize, (client_id, client): (&str, ClientQuota), load: Load) -> Vec<Bound> {
    let nodes = nodes.max(1) as f64;
    let settings = &topic.settings;
    let of_topic = |what, quota: u64, cost| Bound {
        whose: Whose::Topic(topic.id),
        what,
        quota,
        per_s: quota as f64 / nodes,
        cost,
    };
    let of_client = |what, quota: u64, cost| Bound {
        whose: Whose::Client(client_id.to_owned()),
        what,
        quota,
        per_s: quota as f64,
        cost,
    };
    let mut bounds = Vec::new();
    if let Some(quota) = settings.max_messages_per_s {
        bounds.push(of_topic(What::Messages, u64::from(quota), load.messages));
    }
    if let Some(quota) = settings.max_bytes_per_s {
        bounds.push(of_topic(What::Bytes, quota, load.bytes));
    }
    if client.messages_per_s > 0 {
        bounds.push(of_client(What::Messages, u64::from(client.messages_per_s), load.messages));
    }
    if client.bytes_per_s > 0 {
        bounds.push(of_client(What::Bytes, client.bytes_per_s, load.bytes));
    }
    bounds
}

fn sentence(bound: &Bound, topic: &str) -> String {
    let what = match bound.what {
        What::Messages => "messages",
        What::Bytes => "bytes",
    };
    match &bound.whose {
        Whose::Topic(_) => format!("topic {topic} takes {} {what} in a second: try again later", bound.quota),
        Whose::Client(_) => {
            format!("a client may send {} {what} in a second: try again later", bound.quota)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raft::catalog::TopicType;
    use raft::names::GroupId;
    use raft::settings::TopicSettings;

    use super::*;

    const NO_QUOTA: ClientQuota = ClientQuota { messages_per_s: 0, bytes_per_s: 0 };
    const ONE: Load = Load { messages: 1, bytes: 10 };

    fn topic(messages: Option<u32>, bytes: Option<u64>) -> Topic {
        Topic {
            id: TopicId(1),
            name: "t".into(),
            kind: TopicType::Normal,
            queues: vec![GroupId(1)],
            created_ms: 0,
            revision: 0,
            settings: TopicSettings {
                max_messages_per_s: messages,
                max_bytes_per_s: bytes,
                ..TopicSettings::default()
            },
            spread: 0,
            mapping: Default::default(),
        }
    }

    fn taken(quotas: &Quotas, topic: &Topic, nodes: usize, client: ClientQuota, now: Instant) -> usize {
        (0..1_000).take_while(|_| quotas.take(topic, nodes, ("c", client), ONE, now).is_ok()).count()
    }

    #[tokio::test]
    async fn a_topics_quota_is_shared_by_the_nodes_and_refills() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let topic = topic(Some(60), None);
        assert_eq!(taken(&quotas, &topic, 3, NO_QUOTA, start), 20);
        let refused = quotas.take(&topic, 3, ("c", NO_QUOTA), ONE, start).unwrap_err();
        assert_eq!(refused.to_string(), "topic t takes 60 messages in a second: try again later");
        assert_eq!(taken(&quotas, &topic, 3, NO_QUOTA, start + Duration::from_millis(500)), 10);
        // What is not used in a second is not saved up.
        assert_eq!(taken(&quotas, &topic, 3, NO_QUOTA, start + Duration::from_secs(60)), 20);
    }

    #[tokio::test]
    async fn bytes_count_too_and_a_large_message_passes_alone() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let topic = topic(None, Some(100));
        let large = Load { messages: 1, bytes: 250 };
        assert!(quotas.take(&topic, 1, ("c", NO_QUOTA), large, start).is_ok());
        assert!(quotas.take(&topic, 1, ("c", NO_QUOTA), ONE, start + Duration::from_secs(1)).is_err());
        assert!(quotas.take(&topic, 1, ("c", NO_QUOTA), ONE, start + Duration::from_secs(2)).is_ok());
    }

    #[tokio::test]
    async fn a_client_has_its_own_quota_and_a_refusal_costs_nothing() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let client = ClientQuota { messages_per_s: 5, bytes_per_s: 0 };
        let topic = topic(Some(100), None);
        assert_eq!(taken(&quotas, &topic, 1, client, start), 5);
        let refused = quotas.take(&topic, 1, ("c", client), ONE, start).unwrap_err();
        assert_eq!(refused.to_string(), "a client may send 5 messages in a second: try again later");
        assert!(quotas.take(&topic, 1, ("d", client), ONE, start).is_ok());
        // The topic's was touched by the six that passed.
        assert_eq!(taken(&quotas, &topic, 1, NO_QUOTA, start), 94);
    }
}
