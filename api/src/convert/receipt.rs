//! Receipt handles: a [`Receipt`] as text that any node can read, and nobody else needs to.
//!
//! Lowercase hex of these bytes, big endian:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 4 | consumer group id |
//! | 4 | topic id |
//! | 4 | queue number |
//! | 4 | broker group |
//! | 8 | queue offset |
//! | 8 | lease |
//! | 4 | revision |
//! | 2 | delivery attempt |
//! | 4 | lower half of the 64-bit hash of all before |
//!
//! The handle of a traced delivery has the version 2, and before the hash 16 bytes with the trace's id and 8 with the
//! span's: what settles the message is told in the same trace, whichever node it comes to.

use std::fmt::Write;

use raft::hash::hash64;
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use raft::request::Receipt;
use raft::spans::SpanContext;

use crate::convert::status::Fault;

const VERSION: u8 = 1;
const TRACED_VERSION: u8 = 2;
const CONTENT_BYTES: usize = 39;
const TRACED_CONTENT_BYTES: usize = CONTENT_BYTES + 16 + 8;
const SUM_BYTES: usize = 4;
const HANDLE_BYTES: [usize; 2] = [CONTENT_BYTES + SUM_BYTES, TRACED_CONTENT_BYTES + SUM_BYTES];

/// What a handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The lease.
    pub receipt: Receipt,
    /// How often the message had been delivered when the handle was given out.
    pub attempt: u16,
    /// The span of the delivery, if that is traced.
    pub trace: Option<SpanContext>,
}

impl Handle {
    /// As text.
    pub fn encode(&self) -> String {
        let receipt = &self.receipt;
        let mut bytes = [0u8; TRACED_CONTENT_BYTES + SUM_BYTES];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&receipt.consumer.0.to_be_bytes());
        bytes[5..9].copy_from_slice(&receipt.queue.topic.0.to_be_bytes());
        bytes[9..13].copy_from_slice(&receipt.queue.number.to_be_bytes());
        bytes[13..17].copy_from_slice(&receipt.group.0.to_be_bytes());
        bytes[17..25].copy_from_slice(&receipt.offset.0.to_be_bytes());
        bytes[25..33].copy_from_slice(&receipt.lease.to_be_bytes());
        bytes[33..37].copy_from_slice(&receipt.revision.to_be_bytes());
        bytes[37..39].copy_from_slice(&self.attempt.to_be_bytes());
        let content = match self.trace {
            None => CONTENT_BYTES,
            Some(span) => {
                bytes[0] = TRACED_VERSION;
                bytes[39..55].copy_from_slice(&span.trace.to_be_bytes());
                bytes[55..63].copy_from_slice(&span.span.to_be_bytes());
                TRACED_CONTENT_BYTES
            }
        };
        let sum = checksum(&bytes[..content]);
        let end = content + SUM_BYTES;
        bytes[content..end].copy_from_slice(&sum.to_be_bytes());

        let mut text = String::with_capacity(2 * end);
        for byte in &bytes[..end] {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        text
    }

    /// From text.
    ///
    /// # Errors
    /// [`Fault::InvalidReceipt`] for anything that [`Handle::encode`] did not write.
    pub fn decode(text: &str) -> Result<Handle, Fault> {
        let bytes = unhex(text.as_bytes())
            .filter(|bytes| HANDLE_BYTES.contains(&bytes.len()))
            .ok_or_else(|| Fault::InvalidReceipt("the receipt handle is not one of this cluster".into()))?;
        let (content, sum) = bytes.split_at(bytes.len() - SUM_BYTES);
        if sum != checksum(content).to_be_bytes() {
            return Err(Fault::InvalidReceipt("the receipt handle is damaged".into()));
        }
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| (u64::from(word(at)) << 32) | u64::from(word(at + 4));
        let trace = match (content[0], content.len()) {
            (VERSION, CONTENT_BYTES) => None,
            (TRACED_VERSION, TRACED_CONTENT_BYTES) => {
                let trace = u128::from(long(39)) << 64 | u128::from(long(47));
                Some(SpanContext { trace, span: long(55), sampled: true })
            }
            (version, _) => {
                return Err(Fault::InvalidReceipt(format!(
                    "the receipt handle has the unknown version {version}"
                )));
            }
        };
        let receipt = Receipt {
            consumer: ConsumerId(word(1)),
            queue: QueueKey { topic: TopicId(word(5)), number: word(9) },
            group: GroupId(word(13)),
            offset: QueueOffset(long(17)),
            lease: long(25),
            revision: word(33),
        };
        Ok(Handle { receipt, attempt: u16::from_be_bytes([bytes[37], bytes[38]]), trace })
    }
}

fn checksum(content: &[u8]) -> u32 {
    hash64(content) as u32
}

/// Bytes from hex digits, two each; `None` for anything else.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        Handle {
            receipt: Receipt {
                consumer: ConsumerId(7),
                queue: QueueKey { topic: TopicId(3), number: 5 },
                group: GroupId(2),
                offset: QueueOffset(0x0102_0304_0506_0708),
                lease: u64::MAX - 1,
                revision: 9,
            },
            attempt: 16,
            trace: None,
        }
    }

    fn traced() -> Handle {
        let trace = SpanContext { trace: (7 << 100) | 5, span: u64::MAX - 2, sampled: true };
        Handle { trace: Some(trace), ..handle() }
    }

    #[test]
    fn a_handle_reads_back() {
        for handle in [handle(), traced()] {
            assert_eq!(Handle::decode(&handle.encode()), Ok(handle));
        }
        assert_eq!((handle().encode().len(), traced().encode().len()), (86, 134));
    }

    #[test]
    fn the_bytes_are_a_format() {
        assert_eq!(
            handle().encode()[..78],
            *"010000000700000003000000050000000201020304050607 08fffffffffffffffe000000090010"
                .replace(' ', "")
        );
    }

    #[test]
    fn every_changed_digit_is_noticed() {
        for text in [handle().encode(), traced().encode()] {
            for at in 0..text.len() {
                let mut damaged = text.clone().into_bytes();
                damaged[at] = if damaged[at] == b'0' { b'1' } else { b'0' };
                let damaged = String::from_utf8(damaged).unwrap();
                assert!(matches!(Handle::decode(&damaged), Err(Fault::InvalidReceipt(_))), "digit {at}");
            }
        }
    }

    #[test]
    fn foreign_text_is_refused() {
        for text in ["", "abc", "é", &"z".repeat(86), &"0".repeat(86), &"0".repeat(134), &"0".repeat(8)] {
            assert!(matches!(Handle::decode(text), Err(Fault::InvalidReceipt(_))), "{text}");
        }
    }
}
