//! What was meant to happen to each message: its sends, the ends of its transaction, and its fate.

use super::{Evidence, MessageNumber};
use crate::history::{Call, Kind, Outcome, Place, Send, Symbol};

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Its id.
    pub id: Symbol,
    /// Where its sends are in [`Evidence::sends`].
    sends: (u32, u32),
    /// Where the ends of its transaction are in [`Evidence::endings`].
    endings: (u32, u32),
    /// Where it was seen, in the list by message.
    pub(super) seen: (u32, u32),
    /// When somebody tried to take it back.
    pub recalled: Option<(u64, Outcome)>,
}

/// A send of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendRef {
    pub message: MessageNumber,
    /// Its operation.
    pub operation: u32,
}

/// A commit or a rollback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub message: MessageNumber,
    pub invoke_ns: u64,
    pub return_ns: u64,
    pub outcome: Outcome,
    pub commits: bool,
}

/// What became of a message whose sends nobody confirmed, as the final reads say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is (or was) at this place.
    At(Place),
    /// It is in a log, with no place that is known.
    Logged,
    /// It is nowhere, and everything was read.
    Absent,
    /// Not enough was read.
    Unknown,
}

impl Message {
    pub(super) fn new(id: Symbol) -> Message {
        Message { id, sends: (0, 0), endings: (0, 0), seen: (0, 0), recalled: None }
    }
}

impl<'h> Evidence<'h> {
    pub(super) fn collect_sends(&mut self) {
        let history = self.history;
        for (at, operation) in history.operations.iter().enumerate() {
            let (id, commits) = match &operation.call {
                Call::Send(send) => {
                    let message = self.number_or_new(send.message);
                    self.sends.push(SendRef { message, operation: at as u32 });
                    continue;
                }
                Call::Commit(end) => (end.message, true),
                Call::Rollback(end) => (end.message, false),
                Call::Recall(recall) => {
                    let number = self.number_or_new(recall.message);
                    if operation.outcome.may_have_happened() {
                        self.messages[number as usize].recalled =
                            Some((operation.invoke_ns, operation.outcome));
                    }
                    continue;
                }
                _ => continue,
            };
            let message = self.number_or_new(id);
            let (invoke_ns, return_ns, outcome) =
                (operation.invoke_ns, operation.return_ns, operation.outcome);
            self.endings.push(Ending { message, invoke_ns, return_ns, outcome, commits });
        }
        let operations = &history.operations;
        self.sends.sort_by_key(|send| (send.message, operations[send.operation as usize].invoke_ns));
        for (message, range) in ranges(&self.sends, |send| send.message) {
            self.messages[message as usize].sends = range;
        }
        self.endings.sort_by_key(|ending| (ending.message, ending.invoke_ns));
        for (message, range) in ranges(&self.endings, |ending| ending.message) {
            self.messages[message as usize].endings = range;
        }
    }

    /// The sends of a message, in the order of their beginnings.
    pub(crate) fn sends_of(&self, number: MessageNumber) -> impl Iterator<Item = SentAs<'h>> + Clone + '_ {
        let (from, to) = self.messages[number as usize].sends;
        self.sends[from as usize..to as usize].iter().map(|send| self.sent_as(*send))
    }

    /// What a reference to a send says.
    pub(crate) fn sent_as(&self, send: SendRef) -> SentAs<'h> {
        let operation = &self.history.operations[send.operation as usize];
        let Call::Send(call) = &operation.call else { unreachable!("only sends are collected") };
        SentAs {
            call,
            process: operation.process,
            invoke_ns: operation.invoke_ns,
            return_ns: operation.return_ns,
            outcome: operation.outcome,
        }
    }

    /// The commits and rollbacks that were meant for a message, in the order of their beginnings.
    pub(crate) fn endings_of(&self, number: MessageNumber) -> &[Ending] {
        let (from, to) = self.messages[number as usize].endings;
        &self.endings[from as usize..to as usize]
    }

    /// The first send of a message.
    pub(crate) fn first_send(&self, number: MessageNumber) -> Option<SentAs<'h>> {
        self.sends_of(number).next()
    }

    /// When a send of the message was first confirmed.
    pub(crate) fn acked_ns(&self, number: MessageNumber) -> Option<u64> {
        self.sends_of(number).filter(|send| send.outcome == Outcome::Ok).map(|send| send.return_ns).min()
    }

    /// The first place that an answer, a delivery or a final read gave for a message.
    pub(crate) fn fate(&self, number: MessageNumber) -> Fate {
        let mut fate = None;
        for seen in self.seen_of(number) {
            match seen.place {
                Some(place) => return Fate::At(place),
                None => fate = Some(Fate::Logged),
            }
        }
        fate.unwrap_or_else(|| match self.first_send(number) {
            Some(send) if self.was_read(send.call.topic) => Fate::Absent,
            _ => Fate::Unknown,
        })
    }
}

/// A send, without what it shares with all operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentAs<'h> {
    pub call: &'h Send<Symbol>,
    pub process: u32,
    pub invoke_ns: u64,
    pub return_ns: u64,
    pub outcome: Outcome,
}

impl SentAs<'_> {
    /// Whether a message like this has a place in its queue as soon as it is stored.
    pub fn is_immediate(&self) -> bool {
        self.call.kind == Kind::Normal
    }
}

/// The runs of equal keys in something sorted.
pub(super) fn ranges<T, K: PartialEq + Copy>(
    items: &[T],
    key: impl Fn(&T) -> K + Copy,
) -> impl Iterator<Item = (K, (u32, u32))> {
    let mut from = 0;
    items.chunk_by(move |a, b| key(a) == key(b)).map(move |chunk| {
        let range = (from, from + chunk.len() as u32);
        from = range.1;
        (key(&chunk[0]), range)
    })
}
