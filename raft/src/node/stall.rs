//! Leaderships that are given away because this node's disk stands still: see [`crate::group::stall`].

use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior};

use crate::group::Group;
use crate::group::stall::{StallWatch, stands_still};
use crate::limits::{LOG_STALL_LOOK_EVERY, LOG_STALL_PAUSE};
use crate::node::{Node, NodeInner};

/// Looks how far a group's disk is behind the group, until the node stops.
pub(crate) async fn keep_looking(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(LOG_STALL_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let durable = group.store.durable();
    let mut watch = StallWatch::default();
    let mut gave_way: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let committed = group.store.log().committed().map(|mark| mark.index);
        // As it was told to who waits: the log notes a sync on the disk before that, and a disk that stands still may
        // let the sync through and hold up the note.
        let durable = *durable.borrow();
        let lasts = watch.look(durable, committed, Instant::now());
        let moves = lasts.is_zero();
        if group.stall.successor().is_some() {
            if moves {
                group.stall.end();
                let lasted_ms = gave_way.map_or(0, |since| since.elapsed().as_millis() as u64);
                tracing::warn!(group = %group.id, lasted_ms, "this node's disk goes on");
            }
            continue;
        }
        // One at a time: where disks stall in turns the leadership goes around no faster than this.
        let paused = gave_way.is_some_and(|since| since.elapsed() < LOG_STALL_PAUSE);
        if stands_still(lasts) && !paused && group.leader() == Some(node.id) && node.give_way(&group).await {
            gave_way = Some(Instant::now());
        }
    }
}

impl Node {
    /// How often this node gave a leadership away because its disk stood still.
    pub fn stalls(&self) -> u64 {
        self.inner.groups.values().map(|group| group.stall.gave_way()).sum()
    }
}

impl NodeInner {
    /// Gives the leadership of a group to the most caught-up voter that answers, if there is one.
    async fn give_way(&self, group: &Group) -> bool {
        let voters = group.raft.voter_ids().collect();
        let Some(successor) = self.most_caught_up(group, &voters) else { return false };
        tracing::warn!(group = %group.id, %successor, "this node's disk stands still: it gives the leadership away");
        if let Err(fatal) = group.raft.trigger().transfer_leader(successor.0).await {
            tracing::debug!(group = %group.id, %fatal, "the group has stopped");
            return false;
        }
        group.stall.begin(successor);
        group.wakers.wake_all();
        true
    }
}
