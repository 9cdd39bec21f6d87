//! Recall handles and transaction ids: what names a message that waits, as text that any node can read.
//!
//! Lowercase hex of these bytes, big endian:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version: 1 recall handle, 2 transaction id |
//! | 4 | broker group |
//! | 4 | topic id |
//! | 8 | when it falls due, ms since 1970 (0 in a transaction id) |
//! | 8 | number of the message |
//! | 16 | the message id as the window of ids knows it |
//! | rest | the message id as the client gave it (a recall handle only) |
//! | 4 | lower half of the 64-bit hash of all before |

use std::fmt::Write;

use raft::hash::hash64;
use raft::names::{GroupId, TopicId};
use raft::request::{Timer, Transaction};

use crate::convert::receipt::unhex;

const RECALL: u8 = 1;
const TRANSACTION: u8 = 2;
const HEAD_BYTES: usize = 41;
const SUM_BYTES: usize = 4;

/// The handle that recalls a message.
pub fn recall_handle(timer: &Timer, message_id: &str) -> String {
    let mut bytes = head(RECALL, timer.group, timer.topic, timer.due_ms, timer.number, timer.id);
    bytes.extend_from_slice(message_id.as_bytes());
    text(bytes)
}

/// What a recall handle says: the timer, and the message id as the client gave it. `None` if it is
/// not one of ours.
pub fn read_recall_handle(handle: &str) -> Option<(Timer, String)> {
    let (bytes, due_ms, message_id) = parts(handle, RECALL)?;
    let Transaction { group, topic, number, id } = bytes;
    Some((Timer { group, topic, due_ms, number, id }, String::from_utf8(message_id).ok()?))
}

/// The id of a transaction.
pub fn transaction_id(transaction: &Transaction) -> String {
    let Transaction { group, topic, number, id } = *transaction;
    text(head(TRANSACTION, group, topic, 0, number, id))
}

/// What a transaction id says; `None` if it is not one of ours.
pub fn read_transaction_id(id: &str) -> Option<Transaction> {
    let (transaction, _, rest) = parts(id, TRANSACTION)?;
    rest.is_empty().then_some(transaction)
}

fn head(version: u8, group: GroupId, topic: TopicId, due_ms: u64, number: u64, id: u128) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 40);
    bytes.push(version);
    bytes.extend_from_slice(&group.0.to_be_bytes());
    bytes.extend_from_slice(&topic.0.to_be_bytes());
    bytes.extend_from_slice(&due_ms.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes
}

fn text(mut bytes: Vec<u8>) -> String {
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

fn parts(text: &str, version: u8) -> Option<(Transaction, u64, Vec<u8>)> {
    let bytes = unhex(text.as_bytes())?;
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
    let (head, rest) = content.split_at_checked(HEAD_BYTES)?;
    if sum != checksum(content).to_be_bytes() || head[0] != version {
        return None;
    }
    let word = |at: usize| head[at..at + 4].try_into().map(u32::from_be_bytes).expect("four bytes");
    let long = |at: usize| head[at..at + 8].try_into().map(u64::from_be_bytes).expect("eight bytes");
    let transaction = Transaction {
        group: GroupId(word(1)),
        topic: TopicId(word(5)),
        number: long(17),
        id: head[25..].try_into().map(u128::from_be_bytes).expect("sixteen bytes"),
    };
    Some((transaction, long(9), rest.to_vec()))
}

fn checksum(bytes: &[u8]) -> u32 {
    hash64(bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: Transaction =
        Transaction { group: GroupId(1), topic: TopicId(2), number: 1 << 40, id: 7 << 100 };

    #[test]
    fn handles_survive_their_text_and_are_not_taken_for_each_other() {
        let Transaction { group, topic, number, id } = TRANSACTION;
        let timer = Timer { group, topic, due_ms: 1_700_000_000_000, number, id };
        let handle = recall_handle(&timer, "01AB-é");
        assert_eq!(read_recall_handle(&handle), Some((timer, "01AB-é".to_owned())));
        let text = transaction_id(&TRANSACTION);
        assert_eq!(read_transaction_id(&text), Some(TRANSACTION));
        assert_eq!((read_transaction_id(&handle), read_recall_handle(&text)), (None, None));
    }

    #[test]
    fn what_was_changed_is_refused() {
        let text = transaction_id(&TRANSACTION);
        for at in 0..text.len() {
            let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
            let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
            assert_eq!(read_transaction_id(&changed), None, "digit {at} was changed");
            assert_eq!(read_transaction_id(&text[..at]), None, "cut at {at}");
        }
        assert_eq!(read_transaction_id("éé"), None);
    }
}
