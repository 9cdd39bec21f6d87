//! Messages that go in and out.

use std::fmt;

use raft::measure::{Counted, tally};
use raft::names::{ConsumerId, TopicId};

use super::counts::MessageKind;
use super::names::{Bounded, OTHER};
use super::page::Page;
use super::picture::{MICROSECONDS, Picture};

/// A topic, and a kind of message or a consumer group.
type Labels<'a> = (&'a str, &'a str);

pub(super) fn write(page: &mut Page<'_>, picture: &Picture) -> fmt::Result {
    let Some(edge) = &picture.edge else { return Ok(()) };
    let incoming = incoming(picture, &edge.incoming);
    let rows = |at: usize| {
        let label = |(topic, kind)| [("topic", topic), ("message_type", kind)];
        incoming.rows.iter().map(move |(labels, counts)| (label(*labels), counts[at]))
    };
    page.counters("rocketmq_messages_in", "Messages that producers sent to this node.", rows(0))?;
    page.counters("rocketmq_throughput_in", "Bytes of the messages that producers sent.", rows(1))?;
    let outgoing = outgoing(picture, &edge.outgoing);
    let rows = |at: usize| {
        let label = |(topic, group)| [("topic", topic), ("consumer_group", group)];
        outgoing.rows.iter().map(move |(labels, counts)| (label(*labels), counts[at]))
    };
    page.counters("rocketmq_messages_out", "Messages that consumers got from this node.", rows(0))?;
    page.counters("rocketmq_throughput_out", "Bytes of the messages that consumers got.", rows(1))?;
    page.histogram(
        "ledgermq_send_seconds",
        "How long a send took, from its arrival to its answer.",
        MICROSECONDS,
        &edge.sends_us,
    )
}

fn incoming<'a>(picture: &'a Picture, counted: &Counted<2>) -> Bounded<Labels<'a>, [u64; 2]> {
    let name = |key| {
        let (topic, kind) = tally::pair(key);
        let topic = picture.names.topic(TopicId(topic))?;
        Some((topic, MessageKind::numbered(kind).name()))
    };
    let named = counted.names.iter().map(|(key, counts)| (name(*key), *counts));
    picture.bounded(named.chain([(None, counted.others)]), (OTHER, OTHER)).without_nothing()
}

fn outgoing<'a>(picture: &'a Picture, counted: &Counted<2>) -> Bounded<Labels<'a>, [u64; 2]> {
    let name = |key| {
        let (topic, consumer) = tally::pair(key);
        let topic = picture.names.topic(TopicId(topic))?;
        match consumer {
            // A pull without a group.
            0 => Some((topic, "")),
            id => Some((topic, picture.names.consumer(ConsumerId(id))?)),
        }
    };
    let named = counted.names.iter().map(|(key, counts)| (name(*key), *counts));
    picture.bounded(named.chain([(None, counted.others)]), (OTHER, OTHER)).without_nothing()
}
