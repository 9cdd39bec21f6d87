//! The process, its disk, and what the cluster consists of.

use std::fmt;
use std::fs;

use super::page::Page;
use super::picture::Picture;

/// Ticks of `/proc/self/stat` in a second: 100 wherever Linux tells programs the time in ticks.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn write(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let (node, catalog) = (&picture.node, &picture.catalog);
    page.info("ledgermq_build", "The version.", &[("version", env!("CARGO_PKG_VERSION"))])?;
    page.gauge("ledgermq_topics", "Topics, dead-letter topics included.", catalog.topics.len())?;
    page.gauge("ledgermq_consumer_groups", "Consumer groups.", catalog.consumers.len())?;
    page.gauge(
        "ledgermq_members",
        "Nodes of the cluster, whether they live or not.",
        picture.measures.members,
    )?;
    let live = node.live_nodes().borrow().len();
    page.gauge("ledgermq_live_nodes", "Nodes that this one can reach, itself included.", live)?;
    let disk = node.disk();
    page.gauge("ledgermq_disk_total_bytes", "What the disk holds when it is full.", disk.total_bytes)?;
    page.gauge("ledgermq_disk_free_bytes", "What is free of it.", disk.free_bytes)?;
    page.gauge(
        "ledgermq_disk_level",
        "0 normal, 1 warn, 2 clean: the oldest messages go, 3 refuse: no messages are taken.",
        disk.level as u64,
    )?;
    page.counter(
        "ledgermq_messages_skipped",
        "Messages that went by retention before a consumer group got them.",
        node.messages_skipped(),
    )?;
    page.counter(
        "ledgermq_messages_expired",
        "Messages that a consumer group did not get because their time to live was over.",
        node.messages_expired(),
    )?;
    page.counter(
        "ledgermq_leaderships_left",
        "Leaderships that this node gave away because its disk stood still.",
        node.stalls(),
    )?;
    page.gauge("process_resident_memory_bytes", "Memory of the process.", resident_memory_bytes())?;
    page.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        picture.started_s,
    )?;
    page.counter("process_cpu_seconds", "Time that the process had a processor.", cpu_seconds())
}

/// 0 where the operating system does not tell.
fn resident_memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// 0 where the operating system does not tell.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may have any character; what follows has no parenthesis.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
