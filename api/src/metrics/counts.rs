//! The messages that go through this node's client edge, by topic.

use raft::catalog::{Topic, TopicType};
use raft::measure::{Counted, Distribution, Histogram, Tally, histogram, tally};
use raft::names::{ConsumerId, TopicId};
use raft::request::Publish;

use crate::limits::MESSAGE_COUNTS;

/// What a message is, as RocketMQ's metrics call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MessageKind {
    /// Without order.
    Normal,
    /// In order within its message group.
    Fifo,
    /// Visible at its time.
    Delay,
    /// Visible once its transaction is committed.
    Transaction,
    /// With a priority.
    Priority,
    /// Of a lite topic.
    Lite,
}

impl MessageKind {
    /// All of them, by their numbers.
    pub const ALL: [MessageKind; 6] = [
        MessageKind::Normal,
        MessageKind::Fifo,
        MessageKind::Delay,
        MessageKind::Transaction,
        MessageKind::Priority,
        MessageKind::Lite,
    ];

    /// What a message is that is to be published to this topic.
    pub fn of(publish: &Publish, topic: &Topic) -> MessageKind {
        let extras = &publish.extras;
        match topic.kind {
            _ if extras.check_after_ms.is_some() => MessageKind::Transaction,
            _ if extras.due_ms.is_some() => MessageKind::Delay,
            _ if extras.lite_hash.is_some() => MessageKind::Lite,
            TopicType::Priority => MessageKind::Priority,
            _ if publish.order_hash != 0 => MessageKind::Fifo,
            _ => MessageKind::Normal,
        }
    }

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            MessageKind::Normal => "normal",
            MessageKind::Fifo => "fifo",
            MessageKind::Delay => "delay",
            MessageKind::Transaction => "transaction",
            MessageKind::Priority => "priority",
            MessageKind::Lite => "lite",
        }
    }

    /// Of a number.
    pub fn numbered(number: u32) -> MessageKind {
        MessageKind::ALL[number as usize % MessageKind::ALL.len()]
    }
}

/// Messages of one request, and bytes of their records, by what they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch([[u64; 2]; MessageKind::ALL.len()]);

impl Batch {
    /// One more.
    pub fn add(&mut self, kind: MessageKind, bytes: u64) {
        let [messages, sum] = &mut self.0[kind as usize];
        *messages += 1;
        *sum += bytes;
    }
}

/// Counters of this node's edge. No lock, no allocation.
#[derive(Debug)]
pub struct MessageCounts {
    /// Messages and bytes by topic and [`MessageKind`].
    incoming: Tally<2>,
    /// Messages and bytes by topic and consumer group.
    outgoing: Tally<2>,
    /// How long sends took.
    sends: Histogram,
}

impl Default for MessageCounts {
    fn default() -> MessageCounts {
        MessageCounts {
            incoming: Tally::new(MESSAGE_COUNTS),
            outgoing: Tally::new(MESSAGE_COUNTS),
            sends: Histogram::new(histogram::MICROSECONDS),
        }
    }
}

impl MessageCounts {
    /// Messages of one topic were taken from a producer.
    pub fn took(&self, topic: TopicId, batch: &Batch) {
        for (kind, counts) in batch.0.iter().enumerate().filter(|(_, [messages, _])| *messages > 0) {
            self.incoming.add(tally::key(topic.0, kind as u32), *counts);
        }
    }

    /// Messages of one topic were delivered to a consumer group, or, without one, to somebody who pulled.
    pub fn delivered(&self, topic: TopicId, consumer: Option<ConsumerId>, messages: usize, bytes: usize) {
        let consumer = consumer.map_or(0, |consumer| consumer.0);
        self.outgoing.add(tally::key(topic.0, consumer), [messages as u64, bytes as u64]);
    }

    /// The time of a send begins; it ends with what is answered.
    pub fn send_begins(&self) -> histogram::Timed<'_> {
        histogram::Timed::begin(&self.sends)
    }

    /// What was counted: incoming, outgoing, and how long sends took, in microseconds.
    pub fn read(&self) -> (Counted<2>, Counted<2>, Distribution) {
        (self.incoming.read(), self.outgoing.read(), self.sends.read())
    }

    /// Lets go of counts of topics that are gone, where room is short.
    pub fn forget(&self, gone: impl Fn(TopicId) -> bool) {
        let gone = |key| gone(TopicId(tally::pair(key).0));
        self.incoming.forget(gone);
        self.outgoing.forget(gone);
    }
}
