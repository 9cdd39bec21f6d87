//! How consumer groups stand: what they have not settled, and what became a dead letter.

use std::fmt;

use raft::measure::tally;
use raft::names::{ConsumerId, TopicId};
use raft::node::Lag;

use super::names::{OTHER, Sum};
use super::page::Page;
use super::picture::Picture;

/// The latency of a sum is the longest.
#[derive(Clone, Copy, Debug, Default)]
struct Told(Lag);

impl Sum for Told {
    fn add(&mut self, other: Told) {
        let (sum, more) = (&mut self.0, other.0);
        sum.messages += more.messages;
        sum.in_flight += more.in_flight;
        sum.ready += more.ready;
        sum.oldest_ms = sum.oldest_ms.into_iter().chain(more.oldest_ms).min();
    }
}

pub(super) fn write(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let report = &picture.measures.lag;
    let name = |(consumer, topic): (ConsumerId, TopicId)| {
        Some((picture.names.topic(topic)?, picture.names.consumer(consumer)?))
    };
    let lags = report.lags.iter().map(|(pair, lag)| (name(*pair), Told(*lag)));
    let others = (report.others != Lag::default()).then_some((None, Told(report.others)));
    let lags = picture.bounded(lags.chain(others), (OTHER, OTHER));
    let now_ms = raft::clock::now_ms();
    let latency_ms = |lag: &Lag| lag.oldest_ms.map_or(0, |oldest_ms| now_ms.saturating_sub(oldest_ms));
    let mut gauges = |name: &str, help: &str, value: &dyn Fn(&Lag) -> u64| {
        let label = |(topic, group)| [("topic", topic), ("consumer_group", group)];
        page.gauges(name, help, lags.rows.iter().map(|(labels, lag)| (label(*labels), value(&lag.0))))
    };
    gauges(
        "rocketmq_consumer_lag_messages",
        "Messages from the first unsettled one of each queue to its end.",
        &|lag| lag.messages,
    )?;
    gauges(
        "rocketmq_consumer_lag_latency",
        "How long the oldest unsettled message has been there, in milliseconds.",
        &latency_ms,
    )?;
    gauges(
        "rocketmq_consumer_inflight_messages",
        "Messages that were delivered and are neither settled nor due again.",
        &|lag| lag.in_flight,
    )?;
    gauges(
        "rocketmq_consumer_ready_messages",
        "Messages that were never delivered, or wait to be delivered again.",
        &|lag| lag.ready,
    )?;
    page.gauge(
        "ledgermq_lag_unlooked_queues",
        "Queues whose oldest unsettled message was not looked at: the latency may be greater than told.",
        report.unlooked,
    )?;
    dead_letters(page, picture)
}

fn dead_letters(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let name = |key| {
        let (topic, consumer) = tally::pair(key);
        Some((picture.names.topic(TopicId(topic))?, picture.names.consumer(ConsumerId(consumer))?))
    };
    let groups = &picture.measures.groups;
    let named = groups.iter().flat_map(|group| &group.dead_letters.names);
    let named = named.map(|(key, counts)| (name(*key), *counts));
    let others = groups.iter().map(|group| (None, group.dead_letters.others));
    let bounded = picture.bounded(named.chain(others), (OTHER, OTHER)).without_nothing();
    let label = |(topic, group)| [("topic", topic), ("consumer_group", group)];
    page.counters(
        "rocketmq_send_to_dlq_messages",
        "Messages that became dead letters while this node led their group.",
        bounded.rows.iter().map(|(labels, [count])| (label(*labels), *count)),
    )?;
    let sums = groups.iter().filter(|group| group.broker.is_some()).map(|group| {
        let named: u64 = group.dead_letters.names.iter().map(|(_, [count])| count).sum();
        ([("group", group.group.to_string())], named + group.dead_letters.others[0])
    });
    page.counters("ledgermq_dead_letters", "The same, of each broker group, from 0 on.", sums)
}
