//! Where messages were seen.

use super::message::ranges;
use super::{Evidence, MessageNumber};
use crate::history::{Call, Outcome, Place, Symbol};

/// Who saw a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The answer to a send.
    Answer,
    /// A consumer with a lease.
    Delivery,
    /// A consumer without.
    Pull,
    /// The read of the queue at the end.
    Stored,
    /// Replicas' logs.
    Log,
}

impl Source {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Source::Answer => "the answer to its send",
            Source::Delivery => "a delivery",
            Source::Pull => "a pull",
            Source::Stored => "the final read",
            Source::Log => "a replica's log",
        }
    }
}

/// A message at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub topic: Symbol,
    /// `None` in a log whose reader does not know it.
    pub place: Option<Place>,
    pub message: MessageNumber,
    pub source: Source,
    /// When the call that saw it returned; `None` after the run.
    pub at_ns: Option<u64>,
    /// The digest of its body; `None` in an answer.
    pub body: Option<u64>,
    /// Its message group, where that is told.
    pub message_group: Option<Symbol>,
}

impl Evidence<'_> {
    pub(super) fn collect_places(&mut self) {
        let history = self.history;
        for operation in &history.operations {
            let at_ns = Some(operation.return_ns);
            match &operation.call {
                Call::Send(send) if operation.outcome == Outcome::Ok && send.place.is_some() => {
                    let (topic, place) = (send.topic, send.place);
                    self.see(
                        send.message,
                        Source::Answer,
                        Sight { topic, place, at_ns, body: None, message_group: None },
                    );
                }
                Call::Receive(receive) => {
                    for one in &receive.delivered {
                        let sight = Sight {
                            topic: receive.topic,
                            place: Some(one.place),
                            at_ns,
                            body: Some(one.body),
                            message_group: one.message_group,
                        };
                        self.see(one.message, Source::Delivery, sight);
                    }
                }
                Call::Pull(pull) => {
                    for one in &pull.pulled {
                        let place = Some(Place { queue: pull.queue, offset: one.offset });
                        let (topic, body) = (pull.topic, Some(one.body));
                        self.see(
                            one.message,
                            Source::Pull,
                            Sight { topic, place, at_ns, body, message_group: None },
                        );
                    }
                }
                _ => {}
            }
        }
        for stored in &history.stored {
            let (topic, place, body) = (stored.topic, Some(stored.place), Some(stored.body));
            let message_group = stored.message_group;
            self.see(
                stored.message,
                Source::Stored,
                Sight { topic, place, at_ns: None, body, message_group },
            );
        }
        for record in &history.records {
            let (topic, place, body) = (record.topic, record.place, Some(record.body));
            let message_group = record.message_group;
            self.see(record.message, Source::Log, Sight { topic, place, at_ns: None, body, message_group });
        }
        self.seen.sort_by_key(|seen| (seen.topic, seen.place, seen.message, seen.source));
        let mut by_message: Vec<u32> = (0..self.seen.len() as u32).collect();
        by_message.sort_by_key(|at| self.seen[*at as usize].message);
        let seen = &self.seen;
        for (message, range) in ranges(&by_message, |at| seen[*at as usize].message) {
            self.messages[message as usize].seen = range;
        }
        self.seen_by_message = by_message;
    }

    fn see(&mut self, id: Symbol, source: Source, sight: Sight) {
        let message = self.number_or_new(id);
        let Sight { topic, place, at_ns, body, message_group } = sight;
        self.seen.push(Seen { topic, place, message, source, at_ns, body, message_group });
    }

    /// Where a message was seen, by topic and place; first those without a place.
    pub(crate) fn seen_of(&self, number: MessageNumber) -> impl Iterator<Item = &Seen> {
        let (from, to) = self.messages[number as usize].seen;
        self.seen_by_message[from as usize..to as usize].iter().map(|at| &self.seen[*at as usize])
    }
}

struct Sight {
    topic: Symbol,
    place: Option<Place>,
    at_ns: Option<u64>,
    body: Option<u64>,
    message_group: Option<Symbol>,
}
