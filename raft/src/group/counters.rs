//! What happened in a group, for the metrics. What changes state counts on the node that led then: every replica applies
//! it, and the sum over all nodes is to be right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use store::commit_log::SyncMeter;

use crate::limits::{DEAD_LETTER_COUNTS, TRANSACTION_COUNTS};
use crate::machine::{Effects, FrameContext, TransactionEnded};
use crate::measure::histogram::{BYTES, COUNTS, MICROSECONDS};
use crate::measure::{Histogram, Tally, tally};
use crate::names::NodeId;
use crate::request::Resolution;

/// Bounds of the time from a half message to its commit, in milliseconds: RocketMQ's, and two below.
pub(crate) const FINISH_BOUNDS_MS: [u64; 8] =
    [100, 1_000, 5_000, 60_000, 600_000, 3_600_000, 43_200_000, 86_400_000];
/// Bounds of the lateness of timers, in milliseconds.
const LATENESS_MS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 60_000];

/// Of the transactions of a topic: commits, rollbacks, those given up; then of the commits how many took how long, up to
/// each of [`FINISH_BOUNDS_MS`] and longer, and how many milliseconds together.
pub(crate) const TRANSACTION_FIELDS: usize = 3 + FINISH_BOUNDS_MS.len() + 2;

/// Counts since the start of the process. What a replica applies again after a start counts again.
#[derive(Debug)]
pub(crate) struct Counters {
    node: u64,
    expired: AtomicU64,
    /// By topic and consumer group.
    pub dead_letters: Tally<1>,
    /// By topic.
    pub transactions: Tally<TRANSACTION_FIELDS>,
    /// In milliseconds.
    pub timer_lateness: Histogram,
    pub syncs: Arc<SyncCounters>,
    /// The term when the process joined the group.
    pub first_term: AtomicU64,
    /// Frames under way with traced commands, which this node proposed.
    pub traced_frames: AtomicUsize,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters::of(NodeId::default())
    }
}

impl Counters {
    /// Of this node.
    pub(crate) fn of(node: NodeId) -> Counters {
        Counters {
            node: node.0,
            expired: AtomicU64::new(0),
            dead_letters: Tally::new(DEAD_LETTER_COUNTS),
            transactions: Tally::new(TRANSACTION_COUNTS),
            timer_lateness: Histogram::new(LATENESS_MS),
            syncs: Arc::default(),
            first_term: AtomicU64::new(0),
            traced_frames: AtomicUsize::new(0),
        }
    }

    /// A frame was applied. Every replica applies it; the one that proposed it counts.
    pub(crate) fn applied(&self, frame: &FrameContext, effects: &Effects) {
        if frame.leader != self.node {
            return;
        }
        if effects.expired > 0 {
            self.expired.fetch_add(effects.expired, Ordering::Relaxed);
        }
        for buried in &effects.dead_lettered {
            self.dead_letters.add(tally::key(buried.from.0.topic.0, buried.consumer.0), [1]);
        }
        effects.released_late_ms.iter().for_each(|late_ms| self.timer_lateness.observe(*late_ms));
        effects.transactions_ended.iter().for_each(|ended| self.transaction_ended(ended));
    }

    fn transaction_ended(&self, ended: &TransactionEnded) {
        let mut fields = [0; TRANSACTION_FIELDS];
        match ended.resolution {
            Resolution::Commit => {
                fields[0] = 1;
                fields[3 + FINISH_BOUNDS_MS.partition_point(|bound| *bound < ended.waited_ms)] = 1;
                fields[TRANSACTION_FIELDS - 1] = ended.waited_ms;
            }
            Resolution::Rollback => fields[1] = 1,
            Resolution::GiveUp => fields[2] = 1,
        }
        self.transactions.add(tally::key(ended.topic.0, 0), fields);
    }

    /// Messages that were passed over because their time to live was over, once for each consumer group.
    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}

/// How the log of a group gets to its disk.
#[derive(Debug)]
pub(crate) struct SyncCounters {
    epoch: Instant,
    /// In microseconds.
    pub time: Histogram,
    /// Of one sync.
    pub frames: Histogram,
    /// Of one sync.
    pub bytes: Histogram,
}

impl Default for SyncCounters {
    fn default() -> SyncCounters {
        SyncCounters {
            epoch: Instant::now(),
            time: Histogram::new(MICROSECONDS),
            frames: Histogram::new(COUNTS),
            bytes: Histogram::new(BYTES),
        }
    }
}

impl SyncCounters {
    fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }
}

/// The log has no clock: this one is looked at for it.
pub(crate) struct SyncClock(pub Arc<SyncCounters>);

impl SyncMeter for SyncClock {
    fn begins(&self) -> u64 {
        self.0.now_us()
    }

    fn ended(&self, begun: u64, frames: u64, bytes: u64) {
        self.0.time.observe(self.0.now_us().saturating_sub(begun));
        self.0.frames.observe(frames);
        self.0.bytes.observe(bytes);
    }
}
