//! Consumer groups that wait behind a step which spread the message groups of a topic: the leader of a broker group asks
//! whether they have settled what came before it, wherever that lies, and has it written down here when they have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::catalog::{Catalog, Topic, distinct};
use crate::clock;
use crate::command;
use crate::group::Group;
use crate::limits::CLEARINGS_AT_ONCE;
use crate::names::{ConsumerId, GroupId, TopicId};
use crate::node::NodeInner;
use crate::node::ask::Source;
use crate::question::{Answer, Question};
use crate::request::RequestError;

/// How often to look who waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// One that waits is asked for again after an eighth of the time that it has waited, but not later than this.
const ASK_EVERY_MAX: Duration = Duration::from_secs(5);
/// A question must be answered, and a command decided, within this.
const WAIT_MAX: Duration = Duration::from_secs(2);

type Waiting = (TopicId, ConsumerId, u32);

/// When each was first asked for, and is to be asked for next.
#[derive(Default)]
struct Asked(BTreeMap<Waiting, (Instant, Instant)>);

impl Asked {
    fn is_due(&mut self, waiting: Waiting, now: Instant) -> bool {
        let (since, next) = *self.0.entry(waiting).or_insert((now, now));
        if now < next {
            return false;
        }
        let pause = (now.duration_since(since) / 8).clamp(LOOK_EVERY, ASK_EVERY_MAX);
        self.0.insert(waiting, (since, now + pause));
        true
    }
}

/// What of a catalog matters here.
#[derive(Default)]
struct Known {
    version: u64,
    /// The topics with steps that have queues in the broker group.
    topics: Vec<Topic>,
    /// The FIFO consumer groups.
    consumers: Vec<ConsumerId>,
}

impl Known {
    fn of(catalog: &Catalog, group: GroupId) -> Known {
        let has_steps = |topic: &&Topic| topic.mapping.generation > 0 && topic.ordered().contains(&group);
        Known {
            version: catalog.version,
            topics: catalog.topics.values().filter(has_steps).cloned().collect(),
            consumers: catalog.consumers.values().filter(|it| it.fifo).map(|it| it.id).collect(),
        }
    }
}

/// Clears consumer groups, while this node leads the group.
pub(crate) async fn keep_clearing(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut known, mut asked) = (Known::default(), Asked::default());
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let catalog = node.catalog.borrow().clone();
        if catalog.version != known.version {
            known = Known::of(&catalog, group.id);
        }
        if known.topics.is_empty() || !group.serves(node.id) {
            asked.0.clear();
            continue;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = look(&node, &group, &known, &mut asked) => {}
        }
    }
}

async fn look(node: &NodeInner, group: &Group, known: &Known, asked: &mut Asked) {
    let mut waiting = Vec::new();
    for topic in &known.topics {
        seal_if_missing(node, group, topic).await;
        let replica = group.replica();
        let waits = |consumer: &ConsumerId| {
            let queues = topic.queues_of(group.id);
            let generation = replica.broker().waits_for_clearance(topic.id, *consumer, queues)?;
            Some((topic, *consumer, generation))
        };
        waiting.extend(known.consumers.iter().filter_map(waits));
    }
    let name = |(topic, consumer, generation): &(&Topic, ConsumerId, u32)| (topic.id, *consumer, *generation);
    asked.0.retain(|before, _| waiting.iter().any(|now| name(now) == *before));
    let now = Instant::now();
    let due = waiting.into_iter().filter(|it| asked.is_due(name(it), now)).take(CLEARINGS_AT_ONCE);
    let cleared = due.map(|(topic, consumer, generation)| clear(node, group, topic, consumer, generation));
    for error in futures::future::join_all(cleared).await.into_iter().filter_map(Result::err) {
        tracing::debug!(group = %group.id, %error, "a consumer group waits on");
    }
}

/// A broker group that was restored from a backup may not have sealed what `meta` says is over.
async fn seal_if_missing(node: &NodeInner, group: &Group, topic: &Topic) {
    let generation = topic.mapping.generation;
    if group.replica().broker().spread_generation(topic.id) >= generation {
        return;
    }
    let width = topic.ordered().len() as u32;
    let (from, to) = topic.mapping.step(generation).map_or((width, width), |step| (step.from, step.to));
    let seal = command::encode_seal_spread(topic.id, generation, from, to);
    if let Err(error) = node.submit_done(group.id, seal, Instant::now() + WAIT_MAX).await {
        tracing::warn!(group = %group.id, topic = topic.name, %error, "a step is not sealed here yet");
    }
}

/// Clears a consumer group of a step if it has settled everything that came before it.
async fn clear(
    node: &NodeInner,
    group: &Group,
    topic: &Topic,
    consumer: ConsumerId,
    generation: u32,
) -> Result<(), RequestError> {
    let (asked_ms, deadline) = (clock::now_ms(), Instant::now() + WAIT_MAX);
    if generation > topic.mapping.generation {
        // It has not ended yet.
        return Ok(());
    }
    // One that was given up has changed no mapping: there is nothing to wait for.
    if let Some(step) = topic.mapping.step(generation) {
        let sources = distinct(&topic.queues[..step.from as usize]).into_iter();
        let asked = sources.map(|source| has_settled(node, source, topic.id, generation, consumer, deadline));
        for settled in futures::future::join_all(asked).await {
            if !settled? {
                return Ok(());
            }
        }
    }
    let clear = command::encode_clear_spread(topic.id, consumer, generation, asked_ms);
    node.submit_done(group.id, clear, deadline).await
}

async fn has_settled(
    node: &NodeInner,
    source: GroupId,
    topic: TopicId,
    generation: u32,
    consumer: ConsumerId,
    deadline: Instant,
) -> Result<bool, RequestError> {
    let question = Question::Unsettled { topic, generation, consumers: vec![consumer] };
    match node.ask(source, question, Source::Leader, deadline, deadline).await?.0 {
        Answer::Unsettled(Some(found)) => Ok(found.iter().all(|it| it.messages == 0)),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_long_is_asked_for_less_often() {
        let (mut asked, begun) = (Asked::default(), Instant::now());
        let waiting = (TopicId(1), ConsumerId(2), 3);
        let due: Vec<u64> =
            (0..2000).filter(|tick| asked.is_due(waiting, begun + LOOK_EVERY * *tick as u32)).collect();
        assert_eq!(due[..9], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(due.windows(2).any(|pair| pair[1] - pair[0] == 50), "the pause grows: {due:?}");
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] <= 50), "but not for ever: {due:?}");
    }
}
