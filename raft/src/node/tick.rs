//! What a node does from time to time: renew leases, flush tables, make snapshots.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::clock;
use crate::command;
use crate::group::Group;
use crate::names::GroupId;
use crate::node::route::Leader;
use crate::node::{NodeInner, retention, space, stall};
use crate::node::{clearing, lite_idle, releases, respread, timekeeping, transactions};

/// How often the leader looks for leases to renew.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Leases that end within this are renewed.
const RENEW_AHEAD_MS: u64 = 30_000;
/// What a renewal gives.
const RENEWAL_MS: u64 = 60_000;
/// Memtables go to disk at least so often, so that replay is bounded (DESIGN 7).
const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// Or after so much log.
const FLUSH_LOG_BYTES: u64 = 256 << 20;
const FLUSH_LOOK_EVERY: Duration = Duration::from_secs(2);
const SNAPSHOT_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts the periodic tasks; they end when the node stops.
pub(crate) fn start(node: &Arc<NodeInner>) {
    node.spawn(timekeeping::keep_time(node.clone()));
    node.spawn(space::keep_looking(node.clone()));
}

/// The same of one group.
pub(crate) fn start_group(node: &Arc<NodeInner>, group: &Group) {
    node.spawn(keep_flushing(node.clone(), group.clone()));
    node.spawn(stall::keep_looking(node.clone(), group.clone()));
    node.spawn(keep_snapshotting(node.clone(), group.clone()));
    if group.id == GroupId::META {
        node.spawn(respread::keep_spreading(node.clone(), group.clone()));
    } else {
        node.spawn(clearing::keep_clearing(node.clone(), group.clone()));
        node.spawn(keep_renewing(node.clone(), group.clone()));
        node.spawn(releases::keep_releasing(node.clone(), group.clone()));
        node.spawn(lite_idle::keep_expiring(node.clone(), group.clone()));
        node.spawn(transactions::keep_checking(node.clone(), group.clone()));
        retention::start(node, group);
    }
}

async fn keep_renewing(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(RENEW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if !matches!(node.leader(group.id), Leader::Here) {
            continue;
        }
        let ending_by_ms = clock::now_ms() + RENEW_AHEAD_MS;
        let clients: Vec<u64> = {
            let replica = group.replica();
            let clients = replica.broker().expiring_auto_leases(ending_by_ms);
            clients.into_iter().filter(|client| node.presence.client_online(*client)).collect()
        };
        if !clients.is_empty() {
            let command = command::encode_renew_leases(&clients, ending_by_ms, RENEWAL_MS);
            if let Err(error) = node.submit_done(group.id, command, Instant::now() + RENEW_EVERY).await {
                tracing::warn!(group = %group.id, %error, "leases were not renewed");
            }
        }
    }
}

async fn keep_flushing(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(FLUSH_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let position = || group.store.log().pointers().next_position;
    let (mut flushed_at, mut flushed_to) = (Instant::now(), position());
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let now = position();
        let grown = now.0.saturating_sub(flushed_to.0);
        if grown == 0 || (grown < FLUSH_LOG_BYTES && flushed_at.elapsed() < FLUSH_EVERY) {
            continue;
        }
        (flushed_at, flushed_to) = (Instant::now(), now);
        let durability = group.replica().durability();
        let flushed = crate::seams::spawn_blocking(move || durability.flush()).await;
        if let Ok(Err(error)) = flushed {
            node.failure.tell(format!("the tables of {} failed: {error}", group.id));
        }
    }
}

/// Makes a snapshot after so much log, and then gives up what it holds to it, as far as Raft needs it.
async fn keep_snapshotting(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(SNAPSHOT_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let (due, looked) = (group.clone(), node.options.tuning.snapshot_log_bytes);
        let due = crate::seams::spawn_blocking(move || due.snapshot_is_due(looked)).await;
        // It says itself if it cannot go on; then the node is told.
        if matches!(due, Ok(true)) && group.raft.trigger().snapshot().await.is_err() {
            return;
        }
        // Asked for until it is done: what Raft does not know of a snapshot yet it does not give up, and forgets.
        let reach = group.reach_of_purge(node.options.tuning.snapshot_entries_kept);
        let given_up = group.store.log().pointers().purged.map(|purged| purged.index);
        if let Some(last) = reach.filter(|_| reach > given_up)
            && group.raft.trigger().purge_log(last).await.is_err()
        {
            return;
        }
    }
}
