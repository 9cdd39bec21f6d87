//! What the state machine answers to a command, and its bytes on the way to another node.
//!
//! ```text
//! u8 kind | payload
//! 1 published     varint topic, queue, offset | u8 duplicate
//! 2 received      u64 stamp_ms | varint count | for each: varint topic, queue, offset, lease,
//!                 revision, attempt, until_ms, stored_ms, position, length
//! 3 acknowledged  varint count | for each: u8 0 settled, 1 invalid receipt
//! 4 changed       varint revision
//! 5 done
//! 6 rejected      u8 which | varint-length strings
//! 7 topic         JSON
//! 8 consumer      JSON
//! 15 trimmed      varint first | varint count | for each: varint consumer, messages skipped
//! 16 carried      varint holders
//! 17 floor        varint position
//! 24 lite gone    varint count, messages
//! 9 released      varint count | u8 more
//! 18 resent       varint count | for each: u8 0 resent, 1 before, 2 unknown, 3 topic gone | 0, 1: varint topic, queue, offset
//! 10 waiting      varint topic, queue, number | u8 duplicate
//! ```

use store::coding::{Reader, put_bytes, put_varint};
use store::position::LogPosition;

use crate::catalog::{ConsumerGroup, Topic};
use crate::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use crate::request::{Place, Published, Receipt, Rejection, ResendResult};

/// A message that a receive leased. Its record is in the log at `position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedMessage {
    /// The queue.
    pub queue: QueueKey,
    /// The message.
    pub offset: QueueOffset,
    /// The lease.
    pub lease: u64,
    /// Its revision.
    pub revision: u32,
    /// How often the message has been delivered, this time included.
    pub attempt: u16,
    /// When the lease ends, by the log's time, in milliseconds since 1970.
    pub until_ms: u64,
    /// When the log took the message, in milliseconds since 1970.
    pub stored_ms: u64,
    /// Where the record begins in the group's log.
    pub position: LogPosition,
    /// How many bytes the record has.
    pub length: u32,
}

impl LeasedMessage {
    /// The receipt that settles it.
    pub fn receipt(&self, consumer: ConsumerId, group: GroupId) -> Receipt {
        Receipt {
            consumer,
            queue: self.queue,
            group,
            offset: self.offset,
            lease: self.lease,
            revision: self.revision,
        }
    }
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To a publish.
    Published(Published),
    /// To a receive.
    Received {
        /// The log's time at which the leases began, in milliseconds since 1970.
        stamp_ms: u64,
        /// The messages, in the order of delivery.
        messages: Vec<LeasedMessage>,
    },
    /// To an acknowledgement: one entry for each receipt, in order.
    Acknowledged(Vec<Result<(), Rejection>>),
    /// To the change of a lease: the revision that is valid from now on.
    Changed {
        /// It.
        revision: u32,
    },
    /// What became of dead letters that were to be sent again, in order.
    Resent(Vec<ResendResult>),
    /// It is done, and there is no more to say.
    Done,
    /// Refused, without effect (rule R5).
    Rejected(Rejection),
    /// The topic that was made, changed or deleted.
    Topic(Topic),
    /// The consumer group that was made or deleted.
    Consumer(ConsumerGroup),
    /// To a trim.
    Trimmed {
        /// The queue's first offset.
        first: u64,
        /// Consumer groups that had not got so far, and how many messages each has missed.
        skipped: Vec<(ConsumerId, u64)>,
    },
    /// To a carried record: how many refer to its new place.
    Carried {
        /// It.
        holders: u64,
    },
    /// To a floor that was raised: where it is.
    Floor(LogPosition),
    /// To the end of idle lite topics.
    LiteGone {
        /// So many went.
        lite_topics: u64,
        /// So many messages went with them that a consumer group had not settled: each counts for each
        /// consumer group that had begun to read its lite topic, and once if none had.
        unread: u64,
    },
    /// To a release of due messages.
    Released {
        /// So many became visible.
        released: u32,
        /// Whether more are due.
        more: bool,
    },
}

impl Outcome {
    /// The outcome's bytes (see the module's page).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match self {
            Outcome::Published(published) => {
                let (kind, number) = match published.place {
                    Place::Queued(offset) => (1, offset.0),
                    Place::Waiting(number) => (10, number),
                };
                out.push(kind);
                put_place(&mut out, published.queue, QueueOffset(number));
                out.push(u8::from(published.duplicate));
            }
            Outcome::Received { stamp_ms, messages } => {
                out.push(2);
                out.extend_from_slice(&stamp_ms.to_le_bytes());
                put_varint(&mut out, messages.len() as u64);
                for message in messages {
                    put_message(&mut out, message);
                }
            }
            Outcome::Acknowledged(entries) => {
                out.push(3);
                put_varint(&mut out, entries.len() as u64);
                out.extend(entries.iter().map(|entry| u8::from(entry.is_err())));
            }
            Outcome::Changed { revision } => {
                out.push(4);
                put_varint(&mut out, u64::from(*revision));
            }
            Outcome::Resent(results) => {
                out.push(18);
                put_varint(&mut out, results.len() as u64);
                results.iter().for_each(|result| put_resend(&mut out, result));
            }
            Outcome::Done => out.push(5),
            Outcome::Rejected(rejection) => {
                out.push(6);
                put_rejection(&mut out, rejection);
            }
            Outcome::Topic(topic) => {
                out.push(7);
                out.extend(serde_json::to_vec(topic).expect("a topic has no map with odd keys"));
            }
            Outcome::Consumer(consumer) => {
                out.push(8);
                out.extend(serde_json::to_vec(consumer).expect("a consumer group has no map with odd keys"));
            }
            Outcome::Trimmed { first, skipped } => {
                out.push(15);
                put_varint(&mut out, *first);
                put_varint(&mut out, skipped.len() as u64);
                for (consumer, messages) in skipped {
                    put_varint(&mut out, u64::from(consumer.0));
                    put_varint(&mut out, *messages);
                }
            }
            Outcome::Carried { holders } => {
                out.push(16);
                put_varint(&mut out, *holders);
            }
            Outcome::Floor(position) => {
                out.push(17);
                put_varint(&mut out, position.0);
            }
            Outcome::LiteGone { lite_topics, unread } => {
                out.push(24);
                put_varint(&mut out, *lite_topics);
                put_varint(&mut out, *unread);
            }
            Outcome::Released { released, more } => {
                out.push(9);
                put_varint(&mut out, u64::from(*released));
                out.push(u8::from(*more));
            }
        }
        out
    }

    /// Reads what [`Outcome::encode`] wrote; `None` if the bytes are not an outcome.
    pub fn decode(bytes: &[u8]) -> Option<Outcome> {
        let mut reader = Reader::new(bytes);
        let outcome = match reader.u8()? {
            kind @ (1 | 10) => {
                let (queue, number) = place(&mut reader)?;
                let place = if kind == 1 { Place::Queued(number) } else { Place::Waiting(number.0) };
                Outcome::Published(Published { queue, place, duplicate: reader.u8()? != 0 })
            }
            2 => {
                let stamp_ms = reader.u64()?;
                let count = reader.varint()?;
                let messages = (0..count).map(|_| message(&mut reader)).collect::<Option<_>>()?;
                Outcome::Received { stamp_ms, messages }
            }
            3 => {
                let count = reader.varint()?;
                let entry = |byte: u8| if byte == 0 { Ok(()) } else { Err(Rejection::InvalidReceipt) };
                let entries = (0..count).map(|_| reader.u8().map(entry)).collect::<Option<_>>()?;
                Outcome::Acknowledged(entries)
            }
            4 => Outcome::Changed { revision: reader.varint32()? },
            18 => {
                let count = reader.varint()?;
                Outcome::Resent((0..count).map(|_| resend(&mut reader)).collect::<Option<_>>()?)
            }
            5 => Outcome::Done,
            6 => Outcome::Rejected(rejection(&mut reader)?),
            7 => return serde_json::from_slice(reader.rest()).ok().map(Outcome::Topic),
            8 => return serde_json::from_slice(reader.rest()).ok().map(Outcome::Consumer),
            15 => {
                let (first, count) = (reader.varint()?, reader.varint()?);
                let mut one = || Some((ConsumerId(reader.varint32()?), reader.varint()?));
                Outcome::Trimmed { first, skipped: (0..count).map(|_| one()).collect::<Option<_>>()? }
            }
            16 => Outcome::Carried { holders: reader.varint()? },
            17 => Outcome::Floor(LogPosition(reader.varint()?)),
            24 => Outcome::LiteGone { lite_topics: reader.varint()?, unread: reader.varint()? },
            9 => Outcome::Released { released: reader.varint32()?, more: reader.u8()? != 0 },
            _ => return None,
        };
        reader.is_empty().then_some(outcome)
    }
}

fn put_place(out: &mut Vec<u8>, queue: QueueKey, offset: QueueOffset) {
    put_varint(out, u64::from(queue.topic.0));
    put_varint(out, u64::from(queue.number));
    put_varint(out, offset.0);
}

fn place(reader: &mut Reader<'_>) -> Option<(QueueKey, QueueOffset)> {
    let queue = QueueKey { topic: TopicId(reader.varint32()?), number: reader.varint32()? };
    Some((queue, QueueOffset(reader.varint()?)))
}

fn put_resend(out: &mut Vec<u8>, result: &ResendResult) {
    match result {
        ResendResult::Resent { queue, offset } => {
            out.push(0);
            put_place(out, *queue, *offset);
        }
        ResendResult::Already { queue, offset } => {
            out.push(1);
            put_place(out, *queue, *offset);
        }
        ResendResult::Unknown => out.push(2),
        ResendResult::TopicGone => out.push(3),
    }
}

fn resend(reader: &mut Reader<'_>) -> Option<ResendResult> {
    Some(match reader.u8()? {
        0 => {
            let (queue, offset) = place(reader)?;
            ResendResult::Resent { queue, offset }
        }
        1 => {
            let (queue, offset) = place(reader)?;
            ResendResult::Already { queue, offset }
        }
        2 => ResendResult::Unknown,
        3 => ResendResult::TopicGone,
        _ => return None,
    })
}

fn put_message(out: &mut Vec<u8>, message: &LeasedMessage) {
    put_place(out, message.queue, message.offset);
    put_varint(out, message.lease);
    put_varint(out, u64::from(message.revision));
    put_varint(out, u64::from(message.attempt));
    put_varint(out, message.until_ms);
    put_varint(out, message.stored_ms);
    put_varint(out, message.position.0);
    put_varint(out, u64::from(message.length));
}

fn message(reader: &mut Reader<'_>) -> Option<LeasedMessage> {
    let (queue, offset) = place(reader)?;
    Some(LeasedMessage {
        queue,
        offset,
        lease: reader.varint()?,
        revision: reader.varint32()?,
        attempt: reader.varint()?.try_into().ok()?,
        until_ms: reader.varint()?,
        stored_ms: reader.varint()?,
        position: LogPosition(reader.varint()?),
        length: reader.varint32()?,
    })
}

fn put_rejection(out: &mut Vec<u8>, rejection: &Rejection) {
    let (which, texts) = match rejection {
        Rejection::TopicNotFound { name } => (1, vec![name]),
        Rejection::AlreadyExists { what, name } => (2, vec![what, name]),
        Rejection::ConsumerNotFound { name } => (3, vec![name]),
        Rejection::InvalidReceipt => (4, vec![]),
        Rejection::Invalid(why) => (5, vec![why]),
        Rejection::NotWaiting => (6, vec![]),
        Rejection::TransactionOver(why) => (7, vec![why]),
        Rejection::Full(why) => (8, vec![why]),
        Rejection::LiteTopicQuota(why) => (9, vec![why]),
        Rejection::Respread => (20, vec![]),
    };
    out.push(which);
    for text in texts {
        put_bytes(out, text.as_bytes());
    }
}

fn rejection(reader: &mut Reader<'_>) -> Option<Rejection> {
    let which = reader.u8()?;
    let mut text = || String::from_utf8(reader.bytes()?.to_vec()).ok();
    Some(match which {
        1 => Rejection::TopicNotFound { name: text()? },
        2 => Rejection::AlreadyExists { what: text()?, name: text()? },
        3 => Rejection::ConsumerNotFound { name: text()? },
        4 => Rejection::InvalidReceipt,
        5 => Rejection::Invalid(text()?),
        6 => Rejection::NotWaiting,
        7 => Rejection::TransactionOver(text()?),
        8 => Rejection::Full(text()?),
        9 => Rejection::LiteTopicQuota(text()?),
        20 => Rejection::Respread,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::position::LogPosition;

    use super::{LeasedMessage, Outcome};
    use crate::catalog::{Topic, TopicType};
    use crate::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
    use crate::request::{Place, Published, Rejection, ResendResult};

    #[test]
    fn every_outcome_survives_its_encoding() {
        let queue = QueueKey { topic: TopicId(300), number: 2 };
        let message = LeasedMessage {
            queue,
            offset: QueueOffset(7),
            lease: 8,
            revision: 1,
            attempt: 3,
            until_ms: 1 << 40,
            stored_ms: 9,
            position: LogPosition(1 << 50),
            length: 4 << 20,
        };
        let topic = Topic {
            id: TopicId(1),
            name: "t".into(),
            kind: TopicType::Fifo,
            queues: vec![GroupId(1); 2],
            created_ms: 5,
            revision: 0,
            settings: Default::default(),
            spread: 0,
            mapping: Default::default(),
        };
        let name = || "n".to_string();
        let outcomes = [
            Outcome::Published(Published { queue, place: Place::Queued(QueueOffset(5)), duplicate: true }),
            Outcome::Published(Published { queue, place: Place::Waiting(1 << 40), duplicate: false }),
            Outcome::Released { released: 300, more: true },
            Outcome::Rejected(Rejection::NotWaiting),
            Outcome::Rejected(Rejection::TransactionOver("why".into())),
            Outcome::Rejected(Rejection::Full("why".into())),
            Outcome::Rejected(Rejection::LiteTopicQuota("why".into())),
            Outcome::Rejected(Rejection::Respread),
            Outcome::Received { stamp_ms: 6, messages: vec![message; 3] },
            Outcome::Acknowledged(vec![Ok(()), Err(Rejection::InvalidReceipt)]),
            Outcome::Changed { revision: 3 },
            Outcome::Done,
            Outcome::Resent(vec![
                ResendResult::Resent { queue, offset: QueueOffset(5) },
                ResendResult::Already { queue, offset: QueueOffset(6) },
                ResendResult::Unknown,
                ResendResult::TopicGone,
            ]),
            Outcome::Rejected(Rejection::InvalidReceipt),
            Outcome::Rejected(Rejection::TopicNotFound { name: name() }),
            Outcome::Rejected(Rejection::ConsumerNotFound { name: name() }),
            Outcome::Rejected(Rejection::AlreadyExists { what: "topic".into(), name: name() }),
            Outcome::Rejected(Rejection::Invalid("why".into())),
            Outcome::Topic(topic),
            Outcome::Trimmed { first: 300, skipped: vec![(ConsumerId(4), 1 << 40), (ConsumerId(5), 1)] },
            Outcome::Carried { holders: 2 },
            Outcome::Floor(LogPosition(1 << 50)),
            Outcome::LiteGone { lite_topics: 300, unread: 5 },
        ];
        for outcome in outcomes {
            assert_eq!(Outcome::decode(&outcome.encode()), Some(outcome));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = Outcome::decode(&bytes);
        }
    }
}
