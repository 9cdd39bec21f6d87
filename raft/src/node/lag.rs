//! How far consumer groups are behind, for the metrics and for who asks: summed up over the queues of the groups that this node leads, so
//! that the sum over all nodes is right.
//!
//! There may be a million cursors, and a scrape comes every few seconds. So nobody computes anything for a scrape that
//! need not: a walk goes over the cursors in small stretches, between which the machine goes on, and what it found is kept.
//! A scrape begins a walk if the last one is a while ago, waits for it a moment, and takes what there is. A walk that took
//! long is not made again before [`LAG_REST_FACTOR`] times as long has passed: walks take a few percent of one core at
//! most, whatever there is to walk over. Nobody asks: nobody walks.
//!
//! How long the oldest unsettled message has been there is in memory for whoever keeps up. Else a row has to be read; for a
//! consumer group that stands still it is the same row as the last time, so it is remembered. What is left is bounded by
//! [`LAG_ROWS_READ_MAX`] a walk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::tables::consume_queue::Block;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::group::Group;
use crate::limits::{
    LAG_CURSORS_AT_ONCE, LAG_FRESH, LAG_KNOWN_MAX, LAG_PAIRS_MAX, LAG_REST_FACTOR, LAG_ROWS_READ_MAX,
    LAG_WAIT,
};
use crate::machine::CursorLag;
use crate::names::{ConsumerId, GroupId, QueueKey, TopicId};
use crate::node::NodeInner;

/// How far a consumer group is behind in the queues of a topic whose broker groups this node leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The messages from the first unsettled one to the end of each queue.
    pub messages: u64,
    /// Leases that are held.
    pub in_flight: u64,
    /// Messages that were never delivered, or wait to be delivered again.
    pub ready: u64,
    /// When the oldest unsettled message was stored, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct LagReport {
    /// By consumer group and topic: at most [`LAG_PAIRS_MAX`], those with the smallest ids.
    pub lags: BTreeMap<(ConsumerId, TopicId), Lag>,
    /// All others together.
    pub others: Lag,
    /// Queues whose oldest unsettled message was not looked at: there were too many.
    pub unlooked: u64,
    /// How long the walk took.
    pub took: Duration,
}

impl Lag {
    fn add(&mut self, lag: &CursorLag, oldest_ms: Option<u64>) {
        self.messages += lag.lag;
        self.in_flight += lag.in_flight;
        self.ready += lag.ready;
        let both = self.oldest_ms.into_iter().chain(oldest_ms);
        self.oldest_ms = both.min();
    }
}

/// Where a row was looked for, and when its message was stored.
type Known = HashMap<(GroupId, ConsumerId, QueueKey), (u64, u64)>;

#[derive(Debug, Default)]
struct Walks {
    /// When the last walk ended.
    ended: Option<Instant>,
    goes_on: bool,
    known: Known,
}

/// What the last walk found. Soft state.
#[derive(Debug)]
pub(crate) struct LagCache {
    report: watch::Sender<Arc<LagReport>>,
    // A mutex, because several may scrape; never held over an await.
    walks: Mutex<Walks>,
}

impl Default for LagCache {
    fn default() -> LagCache {
        LagCache { report: watch::Sender::new(Arc::default()), walks: Mutex::default() }
    }
}

impl LagCache {
    fn walks(&self) -> MutexGuard<'_, Walks> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of rows, if a walk is due now.
    fn begin(&self) -> Option<Known> {
        let rest = (self.report.borrow().took * LAG_REST_FACTOR).max(LAG_FRESH);
        let mut walks = self.walks();
        let rested = walks.ended.is_none_or(|ended| ended.elapsed() >= rest);
        if walks.goes_on || !rested {
            return None;
        }
        walks.goes_on = true;
        Some(std::mem::take(&mut walks.known))
    }

    fn end(&self, report: LagReport, known: Known) {
        *self.walks() = Walks { ended: Some(Instant::now()), goes_on: false, known };
        self.report.send_replace(Arc::new(report));
    }
}

impl NodeInner {
    /// How far consumer groups are behind, as of a moment ago.
    pub(crate) async fn lags(self: &Arc<Self>) -> Arc<LagReport> {
        let mut report = self.counters.lag.report.subscribe();
        if let Some(known) = self.counters.lag.begin() {
            let node = self.clone();
            self.spawn(async move {
                let walker = node.clone();
                let walked = crate::seams::spawn_blocking(move || walker.walk(known)).await;
                let (report, known) = walked.unwrap_or_default();
                node.counters.lag.end(report, known);
            });
        }
        let goes_on = self.counters.lag.walks().goes_on;
        if goes_on {
            let _ = tokio::time::timeout(LAG_WAIT, report.changed()).await;
        }
        report.borrow().clone()
    }

    /// Goes over all cursors of the broker groups that this node leads. May block on the disk.
    fn walk(&self, known: Known) -> (LagReport, Known) {
        let begun = std::time::Instant::now();
        let mut walk = Walk { known, ..Walk::default() };
        let led = self.groups.values().filter(|group| group.id != GroupId::META && group.serves(self.id));
        for group in led {
            let mut after = None;
            while !self.is_stopping() {
                let lags = group.replica().broker().lags(after, LAG_CURSORS_AT_ONCE);
                lags.iter().for_each(|lag| walk.take(group, lag));
                after = lags.last().map(|lag| (lag.consumer, lag.queue));
                if lags.len() < LAG_CURSORS_AT_ONCE {
                    break;
                }
                std::thread::yield_now();
            }
        }
        walk.report.took = begun.elapsed();
        (walk.report, walk.found)
    }
}

#[derive(Default)]
struct Walk {
    report: LagReport,
    known: Known,
    /// What is known after this walk.
    found: Known,
    rows_read: usize,
}

impl Walk {
    fn take(&mut self, group: &Group, lag: &CursorLag) {
        let oldest_ms = match (lag.oldest, lag.oldest_ms) {
            (Some(offset), None) => self.stored_ms(group, lag, offset),
            (_, known) => known,
        };
        let pair = (lag.consumer, lag.queue.topic);
        let is_new = !self.report.lags.contains_key(&pair);
        let sum = match is_new && self.report.lags.len() >= LAG_PAIRS_MAX {
            true => &mut self.report.others,
            false => self.report.lags.entry(pair).or_default(),
        };
        sum.add(lag, oldest_ms);
    }

    /// When a message was stored that is not in memory.
    fn stored_ms(&mut self, group: &Group, lag: &CursorLag, offset: u64) -> Option<u64> {
        let place = (group.id, lag.consumer, lag.queue);
        let known = self.known.get(&place).filter(|(at, _)| *at == offset).map(|(_, stored_ms)| *stored_ms);
        let stored_ms = known.or_else(|| self.read(group, lag.queue, offset));
        match stored_ms {
            Some(stored_ms) if self.found.len() < LAG_KNOWN_MAX => {
                self.found.insert(place, (offset, stored_ms));
            }
            Some(_) => {}
            None => self.report.unlooked += 1,
        }
        stored_ms
    }

    fn read(&mut self, group: &Group, queue: QueueKey, offset: u64) -> Option<u64> {
        if self.rows_read >= LAG_ROWS_READ_MAX {
            return None;
        }
        self.rows_read += 1;
        let tables = group.replica().tables().clone();
        let numbers = (queue.topic.0, queue.number);
        // What cannot be read here is found by those who need it.
        Some(Block::at_or_before(&tables, numbers, offset).ok()??.stored_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_that_took_long_is_not_made_again_soon() {
        let cache = LagCache::default();
        let known = cache.begin().expect("the first scrape begins a walk");
        assert!(cache.begin().is_none(), "one at a time");
        cache.end(LagReport { took: Duration::from_secs(3), ..LagReport::default() }, known);
        assert!(cache.begin().is_none(), "it rests");
        cache.walks().ended = Some(Instant::now() - Duration::from_secs(3) * LAG_REST_FACTOR);
        assert!(cache.begin().is_some(), "it has rested");
    }
}
