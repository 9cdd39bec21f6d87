//! Raft, the log and the tables of each group.

use std::fmt;

use raft::measure::Distribution;
use raft::node::GroupMeasures;

use super::page::Page;
use super::picture::{MICROSECONDS, Picture};

pub(super) fn write(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    consensus(page, picture)?;
    logs(page, picture)?;
    tables(page, picture)?;
    routes(page, picture)
}

pub(super) fn label(group: &GroupMeasures) -> [(&'static str, String); 1] {
    [("group", group.group.to_string())]
}

fn gauges(
    page: &mut Page<'_>,
    picture: &Picture,
    name: &str,
    help: &str,
    value: fn(&GroupMeasures) -> u64,
) -> fmt::Result {
    let rows = picture.measures.groups.iter().map(|group| (label(group), value(group)));
    page.gauges(name, help, rows)
}

fn consensus(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let mut gauge =
        |name: &str, help: &str, value: fn(&GroupMeasures) -> u64| gauges(page, picture, name, help, value);
    gauge("ledgermq_leader", "Whether this node leads the group.", |group| u64::from(group.leads))?;
    gauge(
        "ledgermq_raft_led",
        "Whether somebody leads the group and reaches a quorum, as far as this node knows.",
        |group| u64::from(group.is_led),
    )?;
    gauge("ledgermq_raft_term", "The term.", |group| group.term)?;
    gauge("ledgermq_raft_voters", "Nodes that vote.", |group| group.voters as u64)?;
    gauge("ledgermq_raft_last_index", "The last entry of the log.", |group| group.last)?;
    gauge("ledgermq_raft_committed_index", "The last entry known to be committed.", |group| group.committed)?;
    gauge("ledgermq_raft_applied_index", "The last entry that is in the tables.", |group| group.applied)?;
    gauge("ledgermq_raft_durable_index", "The last entry that is fsynced here.", |group| group.durable)?;
    gauge("ledgermq_raft_snapshot_index", "The last entry of the snapshot.", |group| group.snapshot)?;
    gauge(
        "ledgermq_raft_apply_lag_entries",
        "Entries that are committed and not yet in the tables.",
        |group| group.committed.saturating_sub(group.applied),
    )?;
    let groups = &picture.measures.groups;
    page.counters(
        "ledgermq_raft_elections",
        "Terms that began since the process did.",
        groups.iter().map(|group| (label(group), group.elections)),
    )?;
    let followers = groups.iter().flat_map(|group| {
        let labels = |id| [("group", group.group.to_string()), ("follower", follower_name(picture, id))];
        group.followers.iter().map(move |(id, behind)| (labels(*id), *behind))
    });
    page.gauges(
        "ledgermq_raft_follower_lag_entries",
        "Entries that a follower has not got yet, as its leader knows.",
        followers,
    )
}

fn follower_name(picture: &Picture, id: raft::names::NodeId) -> String {
    picture.catalog.nodes.get(&id).map_or_else(|| id.to_string(), |info| info.name.clone())
}

fn logs(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    gauges(page, picture, "ledgermq_log_bytes", "Bytes of log on disk.", |group| group.log_bytes)?;
    gauges(page, picture, "ledgermq_log_cached_bytes", "Bytes of log in memory.", |group| {
        group.cached_bytes
    })?;
    gauges(
        page,
        picture,
        "ledgermq_proposals_waiting",
        "Commands that wait to be put into a frame.",
        |group| group.proposals,
    )?;
    let mut histogram = |name: &str, help: &str, unit: f64, values: fn(&GroupMeasures) -> &Distribution| {
        let rows = picture.measures.groups.iter().map(|group| (label(group), values(group)));
        page.histograms(name, help, unit, rows)
    };
    histogram("ledgermq_fsync_seconds", "How long a sync of the log took.", MICROSECONDS, |group| {
        &group.sync_us
    })?;
    histogram("ledgermq_fsync_frames", "How many frames a sync made durable.", 1.0, |group| {
        &group.sync_frames
    })?;
    histogram("ledgermq_fsync_bytes", "How many bytes a sync made durable.", 1.0, |group| &group.sync_bytes)
}

fn tables(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let brokers = || {
        let groups = picture.measures.groups.iter();
        groups.filter_map(|group| Some((label(group), group.broker.as_ref()?)))
    };
    page.gauges(
        "ledgermq_queues",
        "Queues of the group that have had a message, those of lite topics included.",
        brokers().map(|(label, broker)| (label, broker.sizes.queues)),
    )?;
    page.gauges(
        "ledgermq_consumer_places",
        "Places of consumer groups in queues.",
        brokers().map(|(label, broker)| (label, broker.sizes.cursors)),
    )?;
    let lag = &picture.measures.lag;
    let leases = lag.lags.values().map(|lag| lag.in_flight).sum::<u64>() + lag.others.in_flight;
    page.gauge("ledgermq_leases", "Leases that are held, in groups that this node leads.", leases)
}

fn routes(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let routed = &picture.measures.routed;
    let ways = [("here", routed.commands_here), ("forwarded", routed.commands_forwarded)];
    page.counters(
        "ledgermq_commands",
        "Commands that this node put into a log itself, or sent to the node that leads.",
        ways.map(|(way, count)| ([("way", way)], count)),
    )?;
    page.gauge(
        "ledgermq_requests_waiting_for_leader",
        "Requests that are parked until somebody leads their group.",
        routed.waiting_for_leader,
    )?;
    page.histogram(
        "ledgermq_leader_wait_seconds",
        "How long requests were parked because nobody led; those only that had to wait.",
        MICROSECONDS,
        &routed.leader_waits_us,
    )
}
