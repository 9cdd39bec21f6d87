//! A history in the order in which it is asked about: by message, by place, by consumer group.
//!
//! Everything is sorted once, here, so that the checkers are linear.

mod lease;
mod message;
mod place;
mod resolution;
mod settlement;

use std::collections::HashMap;

use crate::history::{History, Symbol};

pub(crate) use lease::LeaseSpan;
pub(crate) use message::{Ending, Fate, Message, SendRef, SentAs};
pub(crate) use place::{Seen, Source};
pub use resolution::{Resolution, Resolved};
pub(crate) use settlement::{Course, DeliveryRef, SettleKind, SettleRef};

/// Number of a message in [`Evidence::messages`].
pub(crate) type MessageNumber = u32;

/// A history, and what follows from it.
pub struct Evidence<'h> {
    /// The history.
    pub history: &'h History,
    /// All messages that were sent or seen, in the order of their first mention.
    pub(crate) messages: Vec<Message>,
    /// By symbol.
    numbers: Vec<MessageNumber>,
    /// All sends, by message and then time.
    pub(crate) sends: Vec<SendRef>,
    /// All ends of transactions, by message and then time.
    pub(crate) endings: Vec<Ending>,
    /// Where messages were seen, by (topic, queue, offset), then message.
    pub(crate) seen: Vec<Seen>,
    /// The same, by message: indices into `seen`.
    seen_by_message: Vec<u32>,
    /// Deliveries, by consumer group, topic, message and then time.
    pub(crate) deliveries: Vec<DeliveryRef>,
    /// Whatever ended or changed a lease, in the same order.
    pub(crate) settles: Vec<SettleRef>,
    /// When processes said goodbye to a consumer group, by time.
    farewells: HashMap<(u32, Symbol), Vec<u64>>,
    /// The topics whose queues were read to their end.
    read_topics: HashMap<Symbol, bool>,
}

const NO_MESSAGE: MessageNumber = MessageNumber::MAX;

impl<'h> Evidence<'h> {
    /// Sorts a history. Takes n log n.
    pub fn new(history: &'h History) -> Evidence<'h> {
        let mut read_topics = HashMap::new();
        for queue in &history.queues {
            *read_topics.entry(queue.topic).or_insert(true) &= queue.complete;
        }
        let mut evidence = Evidence {
            history,
            messages: Vec::new(),
            numbers: vec![NO_MESSAGE; history.names.len()],
            sends: Vec::new(),
            endings: Vec::new(),
            seen: Vec::new(),
            seen_by_message: Vec::new(),
            deliveries: Vec::new(),
            settles: Vec::new(),
            farewells: HashMap::new(),
            read_topics,
        };
        evidence.collect_sends();
        evidence.collect_places();
        evidence.collect_deliveries();
        evidence.collect_farewells();
        evidence
    }

    /// The text of a symbol.
    pub(crate) fn text(&self, symbol: Symbol) -> &'h str {
        self.history.names.text(symbol)
    }

    /// The id of a message.
    pub(crate) fn id(&self, number: MessageNumber) -> &'h str {
        self.text(self.messages[number as usize].id)
    }

    /// Whether every queue of a topic was read to its end.
    pub(crate) fn was_read(&self, topic: Symbol) -> bool {
        self.read_topics.get(&topic).copied().unwrap_or(false)
    }

    /// The message with an id, if it was sent or seen.
    pub(crate) fn number(&self, id: Symbol) -> Option<MessageNumber> {
        self.numbers.get(id.0 as usize).copied().filter(|number| *number != NO_MESSAGE)
    }

    fn number_or_new(&mut self, id: Symbol) -> MessageNumber {
        let slot = &mut self.numbers[id.0 as usize];
        if *slot == NO_MESSAGE {
            *slot = u32::try_from(self.messages.len()).expect("fewer than 2^32 messages");
            self.messages.push(Message::new(id));
        }
        *slot
    }
}

/// Milliseconds as nanoseconds.
pub(crate) fn ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

/// Nanoseconds of the run as seconds, for people.
pub(crate) fn seconds(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}
