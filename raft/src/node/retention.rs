//! What is old goes: first out of the queues, then out of the log, then from the disk.
//!
//! The leader of a broker group looks from time to time. It proposes to trim the queues of what is older than
//! it may get, has the records that somebody still refers to carried to the log's end, and raises the floor below
//! which nobody needs the log. Each node then deletes the segments below the floor on its own disk, as far as Raft
//! has given them up. A node whose disk is too full does all of that for its groups at once, whoever leads.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use store::commit_log::{CommitLog, ReadError, SegmentSpan};
use store::planted::{PlantedBug, planted};
use store::position::LogPosition;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock;
use crate::command::{encode_raise_floor, encode_trim};
use crate::group::Group;
use crate::limits::{CARRY_BYTES_AT_ONCE, CARRY_PAUSE, QUEUES_AT_ONCE};
use crate::machine::{ExpiredLook, MachineFailure};
use crate::names::{QueueKey, TopicId};
use crate::node::NodeInner;
use crate::node::held::{HeldRecord, carries, held_below};
use crate::node::lasting::Lasting;
use crate::node::options::Retention;
use crate::node::route::Leader;
use crate::node::sizes::Sizes;
use crate::node::space::DiskLevel;
use crate::outcome::Outcome;
use crate::request::{Rejection, RequestError};

/// How often a node looks for segments to delete.
const DELETE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is proposed must be decided within this.
const DECISION_WAIT_MAX: Duration = Duration::from_secs(10);
const MINUTES_A_DAY: u64 = 24 * 60;
/// For so long from its beginning the time of cleaning lasts.
const CLEANING_MINUTES: u64 = 60;

/// Why a look ended early. The next one tries again.
#[derive(Debug, Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Machine(#[from] MachineFailure),
    #[error("the log cannot be read: {0}")]
    Log(#[from] ReadError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the node is stopping")]
    Stopping,
}

/// Starts what looks and deletes in a broker group; it ends when the node stops.
pub(crate) fn start(node: &Arc<NodeInner>, group: &Group) {
    node.spawn(keep_trimming(node.clone(), group.clone()));
    node.spawn(keep_deleting(node.clone(), group.clone()));
}

async fn keep_trimming(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut space = node.space.changes();
    let sizes = Arc::new(Sizes::default());
    let stuck = Arc::new(Mutex::new(Lasting::default()));
    let mut ticks = tokio::time::interval(node.options.tuning.retention.look_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let pressed = node.space.own().level >= DiskLevel::Clean;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
            _ = space.changed() => {}
            () = tokio::time::sleep(DELETE_LOOK_EVERY), if pressed => {}
        }
        let pressed = node.space.own().level >= DiskLevel::Clean;
        let leads = matches!(node.leader(group.id), Leader::Here) && group.serves(node.id);
        let look =
            Look { node: node.clone(), group: group.clone(), sizes: sizes.clone(), stuck: stuck.clone() };
        if !pressed {
            look.is_not_stuck();
        }
        let work = async {
            match leads || pressed {
                true => look.run(pressed).await,
                false => look.lowest_of_queues().await.map(|_| ()),
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            looked = work => if let Err(error) = looked {
                tracing::warn!(group = %group.id, %error, "retention is tried again later");
            }
        }
    }
}

struct Look {
    node: Arc<NodeInner>,
    group: Group,
    sizes: Arc<Sizes>,
    /// The disk is full, and nothing can be done about it.
    // A mutex, because a look is given away to other threads; held for a line.
    stuck: Arc<Mutex<Lasting>>,
}

impl Look {
    async fn run(&self, pressed: bool) -> Result<(), LookError> {
        let retention = &self.node.options.tuning.retention;
        let log = self.group.store.log().clone();
        let bytes = retention.log_bytes;
        let by_bytes = self.blocking(move |_| Ok(stamp_beyond(&log, bytes)?)).await?;
        self.trim(by_bytes.unwrap_or(0)).await?;
        self.trim_topics_by_bytes().await?;
        self.raise_floor().await?;
        if pressed {
            self.make_room().await?;
        }
        Ok(())
    }

    fn stuck(&self) -> MutexGuard<'_, Lasting> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_not_stuck(&self) {
        if self.stuck().is_over() {
            tracing::info!(group = %self.group.id, "the disk is not full of pending messages any more");
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Group) -> Result<T, LookError> + Send + 'static,
    ) -> Result<T, LookError> {
        let group = self.group.clone();
        crate::seams::spawn_blocking(move || work(&group)).await.map_err(|_| LookError::Stopping)?
    }

    async fn submit(&self, commands: Vec<Bytes>) -> Result<Vec<Outcome>, LookError> {
        let deadline = Instant::now() + DECISION_WAIT_MAX;
        let results = self.node.submit_all(self.group.id, commands, deadline).await;
        Ok(results.into_iter().collect::<Result<_, _>>()?)
    }

    /// Trims the queues of what is older than it may get, and of what was stored before `at_least_ms`.
    async fn trim(&self, at_least_ms: u64) -> Result<(), LookError> {
        let catalog = self.node.catalog.borrow().clone();
        let retention = &self.node.options.tuning.retention;
        let now_ms = clock::now_ms();
        let kept_ms: BTreeMap<TopicId, u64> = catalog
            .topics
            .values()
            .filter_map(|topic| Some((topic.id, topic.settings.retention_ms?)))
            .collect();
        let topics = self.group.replica().broker().topics();
        for topic in topics {
            let kept_ms = kept_ms.get(&topic).copied().unwrap_or(retention.keep.as_millis() as u64);
            let unknown = !catalog.topics.values().any(|it| it.id == topic);
            let before_ms = match unknown && planted(PlantedBug::MetadataLossDeletesData) {
                false => now_ms.saturating_sub(kept_ms).max(at_least_ms),
                true => now_ms,
            };
            let mut after = None;
            loop {
                // The machine is free between two looks.
                let look = move |group: &Group| {
                    let mut replica = group.replica();
                    Ok(replica.broker_mut().expired(topic, before_ms, after, QUEUES_AT_ONCE)?)
                };
                let ExpiredLook { queues: found, next } = self.blocking(look).await?;
                if !found.is_empty() {
                    let commands = found.iter().map(|(queue, first)| encode_trim(*queue, *first));
                    let outcomes = self.submit(commands.collect()).await?;
                    for ((queue, _), outcome) in found.iter().zip(outcomes) {
                        self.report(*queue, &outcome);
                    }
                }
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Trims the queues of topics that have more bytes than they may.
    async fn trim_topics_by_bytes(&self) -> Result<(), LookError> {
        let catalog = self.node.catalog.borrow().clone();
        let bounded = catalog.topics.values().filter_map(|topic| {
            let bytes = topic.settings.retention_bytes?;
            Some(topic.queues_of(self.group.id).map(move |queue| (queue, bytes / topic.queues.len() as u64)))
        });
        let budgets = bounded.flatten().collect::<BTreeMap<_, _>>();
        self.sizes.forget_others(&budgets);
        for (queue, bytes) in budgets {
            let sizes = self.sizes.clone();
            let Some(first) = self.blocking(move |group| Ok(sizes.beyond(group, queue, bytes)?)).await?
            else {
                continue;
            };
            let outcomes = self.submit(vec![encode_trim(queue, first)]).await?;
            self.report(queue, &outcomes[0]);
        }
        Ok(())
    }

    /// Says and counts what consumer groups have missed.
    fn report(&self, queue: QueueKey, outcome: &Outcome) {
        let Outcome::Trimmed { first, skipped } = outcome else {
            tracing::debug!(?queue, ?outcome, "a queue was not trimmed");
            return;
        };
        let catalog = self.node.catalog.borrow().clone();
        let topic = catalog.topics.values().find(|topic| topic.id == queue.topic);
        let topic = topic.map_or("?", |topic| &topic.name);
        tracing::debug!(topic, queue = queue.number, first, "a queue was trimmed");
        for (consumer, messages) in skipped {
            let name = catalog.consumers.values().find(|it| it.id == *consumer);
            let name = name.map_or("?", |consumer| &consumer.name);
            tracing::warn!(
                consumer = name,
                topic,
                queue = queue.number,
                messages,
                goes_on_at = first,
                "messages went by retention before the consumer group got them"
            );
            self.node.messages_skipped.fetch_add(*messages, Ordering::Relaxed);
        }
    }

    /// Raises the floor as far as whole segments can go, and carries the records that are still referred to.
    async fn raise_floor(&self) -> Result<(), LookError> {
        let lowest = self.lowest_in_order().await?;
        let log = self.group.store.log();
        let below: Vec<SegmentSpan> =
            log.segments().into_iter().filter(|it| it.end.is_some_and(|end| end <= lowest)).collect();
        let floor = self.group.replica().broker().floor();
        if below.last().and_then(|last| last.end).is_none_or(|end| end <= floor) {
            return Ok(());
        }
        let (held, paying) = self.blocking(move |group| held_below(group, &below)).await?;
        let Some(target) = paying.into_iter().rfind(|target| *target > floor) else { return Ok(()) };
        self.carry(held.into_iter().filter(|held| held.key.position < target).collect()).await?;
        let outcomes = self.submit(vec![encode_raise_floor(target)]).await?;
        match &outcomes[0] {
            Outcome::Floor(at) => {
                tracing::info!(group = %self.group.id, floor = %at, "the log is not needed below");
            }
            // Somebody has begun to refer to something below meanwhile: the next look carries that too.
            Outcome::Rejected(Rejection::Invalid(why)) => {
                tracing::debug!(group = %self.group.id, why, "the floor stays");
            }
            other => tracing::warn!(group = %self.group.id, ?other, "the floor was not raised"),
        }
        Ok(())
    }

    /// Where the first record lies that a queue of the group needs in its order, as far as it is applied here.
    async fn lowest_in_order(&self) -> Result<LogPosition, LookError> {
        let applied = self
            .blocking(|group| {
                // What comes later lies behind the last frame that is applied now.
                let index = group.replica().applied().map_or(0, |applied| applied.index);
                let frames = group.store.log().frames(index..index + 1, 0)?;
                let position = frames.first().and_then(|frame| frame.position());
                Ok(position.unwrap_or_default())
            })
            .await?;
        Ok(self.lowest_of_queues().await?.map_or(applied, |lowest| lowest.min(applied)))
    }

    /// Where the first record lies that a queue needs in its order. The machine remembers it, so that a floor that is
    /// raised finds it there: a replica that does not lead looks for that alone. After a start that can be a block of
    /// the tables for each queue, a few at a time.
    async fn lowest_of_queues(&self) -> Result<Option<LogPosition>, LookError> {
        loop {
            let look = |group: &Group| Ok(group.replica().broker_mut().lowest_in_order(QUEUES_AT_ONCE)?);
            if let Some(lowest) = self.blocking(look).await? {
                return Ok(lowest);
            }
        }
    }

    /// Puts records at the log's end for those who refer to them; bounded bytes at a time.
    async fn carry(&self, held: Vec<HeldRecord>) -> Result<(), LookError> {
        let mut held = held.into_iter().peekable();
        while held.peek().is_some() {
            let mut some = Vec::new();
            let mut bytes = 0;
            while let Some(next) = held.next_if(|_| bytes < CARRY_BYTES_AT_ONCE) {
                bytes += if next.in_use { u64::from(next.length) } else { 0 };
                some.push(next);
            }
            let commands = self.blocking(move |group| carries(group.store.log(), &some)).await?;
            self.submit(commands).await?;
            tokio::time::sleep(CARRY_PAUSE).await;
        }
        Ok(())
    }

    /// The disk is too full: lets the oldest segment's messages go, unless files that may go are still there.
    async fn make_room(&self) -> Result<(), LookError> {
        let log = self.group.store.log().clone();
        let floor = self.group.replica().broker().floor();
        let sealed = log.segments().into_iter().filter(|segment| segment.end.is_some()).collect::<Vec<_>>();
        if sealed.first().and_then(|first| first.end).is_none_or(|end| end <= floor) {
            return Ok(());
        }
        let segments = sealed.clone();
        let (_, paying) = self.blocking(move |group| held_below(group, &segments)).await?;
        let Some(end) = paying.into_iter().find(|end| *end > floor) else {
            if self.stuck().holds(Instant::now()) {
                tracing::warn!(group = %self.group.id, "the disk is full of messages that are pending");
            }
            return Ok(());
        };
        self.is_not_stuck();
        let last = sealed.iter().find(|segment| segment.end == Some(end)).and_then(|it| it.last_index);
        let last = last.unwrap_or(0);
        let newest_ms = self.blocking(move |_| Ok(stamp_of(&log, last)?)).await?;
        let Some(newest_ms) = newest_ms else { return Ok(()) };
        tracing::warn!(group = %self.group.id, up_to = %end,
            "the disk is too full: the oldest messages go before their time");
        self.trim(newest_ms + 1).await?;
        self.raise_floor().await
    }
}

/// What was stored before this time lies beyond the newest `bytes` of the log. `None` if nothing does.
fn stamp_beyond(log: &CommitLog, bytes: u64) -> Result<Option<u64>, ReadError> {
    let end = log.pointers().next_position.0;
    let beyond = |segment: &SegmentSpan| segment.end.filter(|at| bytes > 0 && at.0 + bytes <= end);
    let last = log.segments().into_iter().rfind(|segment| beyond(segment).is_some());
    let Some(index) = last.and_then(|last| last.last_index) else { return Ok(None) };
    Ok(stamp_of(log, index)?.map(|stamp_ms| stamp_ms + 1))
}

/// The stamp of an entry; entries of Raft itself have none, so the last one with a stamp at or before it.
fn stamp_of(log: &CommitLog, index: u64) -> Result<Option<u64>, ReadError> {
    let first = log.segments()[0].base_index;
    for index in (first..=index).rev() {
        let frames = log.frames(index..index + 1, 0)?;
        if let Some(stamp_ms) = frames.first().map(|frame| frame.stamp_ms).filter(|stamp_ms| *stamp_ms > 0) {
            return Ok(Some(stamp_ms));
        }
    }
    Ok(None)
}

impl Retention {
    /// Whether files may be deleted at this time, in milliseconds since 1970.
    fn cleans_at(&self, now_ms: u64) -> bool {
        let Some(from) = self.clean_at_minute else { return true };
        let minute = now_ms / 60_000 % MINUTES_A_DAY;
        (minute + MINUTES_A_DAY - u64::from(from)) % MINUTES_A_DAY < CLEANING_MINUTES
    }
}

/// Deletes the segments of this node's log that nobody needs, as far as Raft has given them up, and sees to it that
/// Raft gives them up.
async fn keep_deleting(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(DELETE_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let tuning = &node.options.tuning;
        let pressed = node.space.own().level >= DiskLevel::Clean;
        if !pressed && !tuning.retention.cleans_at(clock::now_ms()) {
            continue;
        }
        let floor = group.replica().broker().floor();
        let log = group.store.log();
        log.set_read_floor(floor);
        let below = log.segments().into_iter().filter(|it| it.end.is_some_and(|end| end <= floor));
        let Some(last) = below.filter_map(|segment| segment.last_index).next_back() else { continue };
        let kept = if pressed { 0 } else { tuning.snapshot_entries_kept };
        let reach = group.reach_of_purge(kept);
        let applied = group.replica().applied().map_or(0, |applied| applied.index);
        // A snapshot of now lets them go.
        if reach.is_none_or(|reach| reach < last)
            && applied.saturating_sub(kept) >= last
            && group.raft.trigger().snapshot().await.is_err()
        {
            return;
        }
        if let Some(reach) = reach.filter(|_| pressed)
            && group.raft.trigger().purge_log(reach).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_at_their_hour() {
        let at = |clean_at_minute, hour: u64, minute: u64| {
            let retention = Retention { clean_at_minute, ..Retention::default() };
            retention.cleans_at(((24 * 20_000 + hour) * 60 + minute) * 60_000)
        };
        assert!(at(None, 12, 0));
        let four = Some(4 * 60);
        assert_eq!(
            [at(four, 3, 59), at(four, 4, 0), at(four, 4, 59), at(four, 5, 0)],
            [false, true, true, false]
        );
        let late = Some(23 * 60 + 30);
        assert_eq!(
            [at(late, 23, 29), at(late, 23, 30), at(late, 0, 29), at(late, 0, 30)],
            [false, true, true, false]
        );
    }
}
