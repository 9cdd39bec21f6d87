//! Messages that wait: for their time, or for the end of their transaction.

use std::collections::BTreeMap;
use std::fmt;

use raft::measure::Distribution;
use raft::names::TopicId;
use raft::node::{GroupMeasures, TransactionMeasures};

use super::groups::label;
use super::names::{OTHER, Sum};
use super::page::Page;
use super::picture::{MILLISECONDS, Picture};

/// Transactions, added up.
#[derive(Debug, Default)]
struct Ended(TransactionMeasures);

impl Sum for Ended {
    fn add(&mut self, other: Ended) {
        let (sum, more) = (&mut self.0, other.0);
        sum.committed += more.committed;
        sum.rolled_back += more.rolled_back;
        sum.given_up += more.given_up;
        if sum.commit_ms.counts.is_empty() {
            sum.commit_ms = Distribution { sum: sum.commit_ms.sum, ..more.commit_ms.clone() };
        } else {
            let counts = sum.commit_ms.counts.iter_mut().zip(&more.commit_ms.counts);
            counts.for_each(|(count, more)| *count += more);
        }
        sum.commit_ms.sum += more.commit_ms.sum;
    }
}

pub(super) fn write(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    timers(page, picture)?;
    halves(page, picture)?;
    let groups = &picture.measures.groups;
    let name = |topic: TopicId| picture.names.topic(topic);
    let ended = groups.iter().flat_map(|group| &group.transactions);
    let ended = ended.map(|(topic, measures)| (topic.and_then(name), Ended(measures.clone())));
    let mut ended = picture.bounded(ended, OTHER).rows;
    ended.retain(|_, ended| {
        ended.0 != TransactionMeasures { commit_ms: ended.0.commit_ms.clone(), ..Default::default() }
    });
    let rows = |value: fn(&TransactionMeasures) -> u64| {
        ended.iter().map(move |(topic, ended)| ([("topic", *topic)], value(&ended.0)))
    };
    page.counters(
        "rocketmq_commit_messages",
        "Transactions that were committed while this node led their group.",
        rows(|ended| ended.committed),
    )?;
    page.counters(
        "rocketmq_rollback_messages",
        "Transactions that were rolled back while this node led their group.",
        rows(|ended| ended.rolled_back),
    )?;
    let given_up = |group: &GroupMeasures| group.transactions.iter().map(|(_, ended)| ended.given_up).sum();
    let brokers = groups.iter().filter(|group| group.broker.is_some());
    page.counters(
        "ledgermq_transactions_given_up",
        "Transactions that nobody ended in time, while this node led their group; from 0 on.",
        brokers.map(|group| (label(group), given_up(group))),
    )?;
    page.histograms(
        "rocketmq_finish_message_latency",
        "How long after its half message a transaction was committed, in seconds.",
        MILLISECONDS,
        ended.iter().map(|(topic, ended)| ([("topic", *topic)], &ended.0.commit_ms)),
    )
}

/// Every replica holds them; the leader tells.
fn halves(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let led = picture.measures.groups.iter().filter(|group| group.leads);
    let halves = led.filter_map(|group| group.broker.as_ref()).flat_map(|broker| &broker.halves);
    let mut by_topic: BTreeMap<TopicId, u64> = BTreeMap::new();
    halves.for_each(|(topic, count)| *by_topic.entry(*topic).or_default() += count);
    let named = by_topic.into_iter().map(|(topic, count)| (picture.names.topic(topic), [count]));
    let bounded = picture.bounded(named, OTHER);
    page.gauges(
        "rocketmq_half_messages",
        "Half messages whose transactions have not ended, in groups that this node leads.",
        bounded.rows.iter().map(|(topic, [count])| ([("topic", *topic)], *count)),
    )
}

fn timers(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let led = || picture.measures.groups.iter().filter(|group| group.leads);
    let brokers = || led().filter_map(|group| Some((label(group), group.broker.as_ref()?)));
    page.gauges(
        "ledgermq_timers_waiting",
        "Messages that wait for their time, in groups that this node leads.",
        brokers().map(|(label, broker)| (label, broker.sizes.timers)),
    )?;
    let groups = || picture.measures.groups.iter().filter(|group| group.broker.is_some());
    let overdue_ms = |group: &GroupMeasures| group.broker.as_ref().map_or(0, |broker| broker.overdue_ms);
    page.gauges(
        "ledgermq_timer_overdue_seconds",
        "For how long the message has been due that waits longest, as this replica knows; 0 if none is due.",
        groups().map(|group| (label(group), overdue_ms(group) as f64 / MILLISECONDS)),
    )?;
    page.histograms(
        "ledgermq_timer_lateness_seconds",
        "How long behind its due time a message was released, by the log's time.",
        MILLISECONDS,
        groups().map(|group| (label(group), &group.timer_lateness_ms)),
    )
}
