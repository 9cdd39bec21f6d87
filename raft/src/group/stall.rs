//! A leader whose disk stands still while its followers go on.
//!
//! What clients see of it: nothing is acknowledged any more, and nothing of it looks like a failure. The leader commits
//! (openraft counts the followers that have an entry, its own disk or not), so the followers apply; it sends heartbeats,
//! so they elect nobody; but it applies nothing, and so acknowledges nothing, before its own disk has the entry
//! (rule R1). Measured before there was this module: no acknowledgement for as long as the stall lasted.
//!
//! So a leader that sees the group commit ahead of its own disk, and its disk take nothing at all for
//! [`LOG_STALL_MAX`], gives the leadership to the follower that has the most (see [`crate::node`], `stall.rs`). That the
//! group commits without it is the proof that others can lead: when the disks of all stand still, or there is no
//! quorum, nothing is committed, and nobody gives way. A disk that is slow, but moves, starts the time anew with
//! every sync.
//!
//! A transfer needs nothing from the stalled disk, and it cannot fail halfway: openraft ends proposals and heartbeats
//! with it, so that the others elect somebody in any case. The stalled node cannot come back before its disk does, for
//! it could not save the vote. Until then openraft's core hangs in just that, and cannot tell this node who leads: so
//! what comes to it is sent to the successor, and what it has under way is answered as unknown, and tried again there.
//! Reads are as right as before: the leader confirms each with a quorum, and a core that hangs confirms none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::LOG_STALL_MAX;
use crate::names::NodeId;

/// Whether this replica gave way, and to whom.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    /// 0: it did not.
    successor: AtomicU64,
    begun: Notify,
    gave_way: AtomicU64,
}

impl Stall {
    /// Who leads while the disk stands still.
    pub(crate) fn successor(&self) -> Option<NodeId> {
        match self.successor.load(Ordering::Acquire) {
            0 => None,
            id => Some(NodeId(id)),
        }
    }

    /// From now on nothing is to be expected from this replica.
    pub(crate) fn begin(&self, successor: NodeId) {
        self.gave_way.fetch_add(1, Ordering::Relaxed);
        self.successor.store(successor.0, Ordering::Release);
        self.begun.notify_waiters();
    }

    /// Another one was elected than was thought.
    pub(crate) fn follow(&self, leader: NodeId) {
        let follows = |current: u64| (current != 0).then_some(leader.0);
        // Who has ended meanwhile follows the consensus.
        let _ = self.successor.fetch_update(Ordering::AcqRel, Ordering::Acquire, follows);
    }

    /// The disk goes on.
    pub(crate) fn end(&self) {
        self.successor.store(0, Ordering::Release);
    }

    /// Resolves when the replica has given way: at once, if it has.
    pub(crate) async fn begins(&self) {
        loop {
            let notified = self.begun.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.successor().is_some() {
                return;
            }
            notified.await;
        }
    }

    /// How often it gave way since the process began.
    pub(crate) fn gave_way(&self) -> u64 {
        self.gave_way.load(Ordering::Relaxed)
    }
}

/// What the looks at a log have shown.
#[derive(Debug, Default)]
pub(crate) struct StallWatch {
    /// The last entry that the disk had, and since when it has taken no more although others went on.
    held: Option<(Option<u64>, Instant)>,
}

impl StallWatch {
    /// How long the group has been ahead of this disk, which took nothing. `durable` and `committed` are indexes of
    /// log entries.
    pub(crate) fn look(&mut self, durable: Option<u64>, committed: Option<u64>, now: Instant) -> Duration {
        let behind = committed > durable;
        match self.held {
            Some((held, since)) if behind && held == durable => now.duration_since(since),
            _ => {
                self.held = behind.then_some((durable, now));
                Duration::ZERO
            }
        }
    }
}

/// Whether so long a time is a stall.
pub(crate) fn stands_still(lasts: Duration) -> bool {
    lasts >= LOG_STALL_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_slow_disk_that_moves_is_no_stall() {
        let (mut watch, begun) = (StallWatch::default(), Instant::now());
        for sync in 0..50 {
            // Each sync takes 200 ms, and the group is always ahead.
            for look in 0..2 {
                let now = begun + ms(sync * 200 + look * 100);
                let lasts = watch.look(Some(sync), Some(sync + 10), now);
                assert!(!stands_still(lasts), "sync {sync}, look {look}: {lasts:?}");
            }
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_while_the_group_commits_stands_still() {
        let (mut watch, begun) = (StallWatch::default(), Instant::now());
        let mut stalled_after = None;
        for look in 0..20 {
            let lasts = watch.look(Some(7), Some(8 + look), begun + ms(look * 100));
            if stands_still(lasts) {
                stalled_after.get_or_insert(look * 100);
            }
        }
        let stalled_after = stalled_after.expect("a stall is seen");
        assert!(stalled_after <= LOG_STALL_MAX.as_millis() as u64 + 100, "seen after {stalled_after} ms");
        assert_eq!(watch.look(Some(8), Some(30), begun + ms(9_000)), Duration::ZERO, "it moved");
    }

    #[test]
    fn a_group_that_commits_nothing_gives_nothing_to_be_seen() {
        let (mut watch, begun) = (StallWatch::default(), Instant::now());
        for look in 0..20 {
            // Every disk stands still, or this one has everything.
            assert_eq!(watch.look(Some(7), Some(7), begun + ms(look * 1_000)), Duration::ZERO);
        }
        assert_eq!(watch.look(None, None, begun), Duration::ZERO);
        assert_eq!(watch.look(None, Some(0), begun), Duration::ZERO, "the first look begins the time");
    }

    #[tokio::test]
    async fn whoever_waits_learns_of_it_and_later_comers_too() {
        let stall = Stall::default();
        stall.follow(NodeId(3));
        assert_eq!(stall.successor(), None, "nobody is followed before it begins");
        {
            let waiting = stall.begins();
            tokio::pin!(waiting);
            assert!(futures::poll!(&mut waiting).is_pending());
            stall.begin(NodeId(2));
            waiting.await;
        }
        stall.begins().await;
        stall.follow(NodeId(3));
        assert_eq!((stall.successor(), stall.gave_way()), (Some(NodeId(3)), 1));
        stall.end();
        assert_eq!((stall.successor(), stall.gave_way()), (None, 1));
    }
}
