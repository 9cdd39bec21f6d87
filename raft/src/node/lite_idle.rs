//! Lite topics that nobody uses go: the leader of a group looks for them, a bounded number at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::clock;
use crate::command::encode_expire_lite;
use crate::group::Group;
use crate::limits::{LITE_LOOKS_A_TICK, LITE_LOOKS_AT_ONCE};
use crate::names::TopicId;
use crate::node::NodeInner;
use crate::node::route::Leader;
use crate::outcome::Outcome;

/// How often the leader looks at some of them.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is proposed must be decided within this.
const DECISION_WAIT_MAX: Duration = Duration::from_secs(10);

/// Lets go of the group's idle lite topics until the node stops.
pub(crate) async fn keep_expiring(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked_to = None;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if !matches!(node.leader(group.id), Leader::Here) || !group.serves(node.id) {
            looked_to = None;
            continue;
        }
        for _ in 0..LITE_LOOKS_A_TICK / LITE_LOOKS_AT_ONCE {
            looked_to = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                looked_to = look(&node, &group, looked_to) => looked_to,
            };
            if looked_to.is_none() {
                break;
            }
        }
    }
}

/// Looks at some behind `after`, and proposes to let the idle ones go. Answers how far it looked.
async fn look(node: &NodeInner, group: &Group, after: Option<(TopicId, u64)>) -> Option<(TopicId, u64)> {
    let catalog = node.catalog.borrow().clone();
    let idle_ms: BTreeMap<TopicId, u64> = catalog
        .topics
        .values()
        .map(|topic| (topic.id, topic.settings.lite_idle_ms.unwrap_or_default()))
        .collect();
    let look = {
        let replica = group.replica();
        let idle_of = |topic| idle_ms.get(&topic).copied();
        replica.broker().idle_lite_topics(after, LITE_LOOKS_AT_ONCE, idle_of, clock::now_ms())
    };
    let mut by_topic: BTreeMap<TopicId, Vec<u64>> = BTreeMap::new();
    for (topic, name_hash) in look.idle {
        by_topic.entry(topic).or_default().push(name_hash);
    }
    for (topic, name_hashes) in by_topic {
        let command = encode_expire_lite(topic, idle_ms[&topic], &name_hashes);
        match node.submit(group.id, command, Instant::now() + DECISION_WAIT_MAX).await {
            Ok(Outcome::LiteGone { lite_topics, unread }) => {
                let name = catalog.topics.values().find(|it| it.id == topic).map_or("?", |it| &it.name);
                tracing::info!(topic = name, lite_topics, unread, "idle lite topics went");
                node.messages_skipped.fetch_add(unread, Ordering::Relaxed);
            }
            Ok(other) => tracing::debug!(?topic, ?other, "idle lite topics stay"),
            Err(error) => tracing::warn!(group = %group.id, %error, "idle lite topics are tried again later"),
        }
    }
    look.looked_to
}
