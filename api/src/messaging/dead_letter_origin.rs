//! What a delivered dead letter says of its past, beside `dead_letter_queue`: as properties, because the protocol has
//! no field for it.

use std::collections::BTreeMap;

use proto::v2::Message;
use raft::catalog::Topic;
use raft::names::{GroupId, QueueKey};
use raft::request::{DeadLettersWanted, Delivered};
use tokio::time::Instant;

use crate::convert::name::DEAD_LETTERS;
use crate::edge::EdgeState;
use crate::limits::RECEIVE_BATCH_MAX;

/// The topic that the message was sent to.
pub const ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// The id that it had there, and has still.
pub const ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// How often it was delivered before it was given up.
pub const ORIGIN_ATTEMPTS: &str = "DLQ_ORIGIN_ATTEMPTS";

/// How often dead letters were delivered before they were given up, by queue and offset.
pub type Attempts = BTreeMap<(u32, u64), u16>;

/// Asks the leaders of the groups that the messages came from; empty unless the topic is one of dead letters. What
/// cannot be told is left out: the message is worth more than its past.
pub async fn attempts(
    edge: &EdgeState,
    topic: &Topic,
    delivered: &[Delivered],
    deadline: Instant,
) -> Attempts {
    let mut found = Attempts::new();
    if !topic.name.starts_with(DEAD_LETTERS) {
        return found;
    }
    let mut places: BTreeMap<(GroupId, QueueKey), Vec<u64>> = BTreeMap::new();
    for message in delivered {
        let receipt = &message.receipt;
        places.entry((receipt.group, receipt.queue)).or_default().push(receipt.offset.0);
    }
    for ((group, queue), mut offsets) in places {
        offsets.sort_unstable();
        let mut rest = offsets.as_slice();
        // One question for those that lie together.
        while let Some(first) = rest.first().copied() {
            let reach = first + 4 * RECEIVE_BATCH_MAX as u64;
            let together = rest.partition_point(|offset| *offset < reach);
            let max = (rest[together - 1] - first + 1) as usize;
            let wanted = DeadLettersWanted { group, queue, from: first, max, with_records: false };
            for letter in edge.node.dead_letters(&wanted, deadline).await.unwrap_or_default() {
                found.insert((queue.number, letter.offset.0), letter.attempts);
            }
            rest = &rest[together..];
        }
    }
    found
}

/// Adds the properties to a message that is a dead letter.
pub fn mark(message: &mut Message, attempts: &Attempts) {
    let Some(system) = &message.system_properties else { return };
    let Some(origin) = &system.dead_letter_queue else { return };
    let place = (system.queue_id as u32, system.queue_offset.unwrap_or_default() as u64);
    let attempts = attempts.get(&place).map(|attempts| (ORIGIN_ATTEMPTS, attempts.to_string()));
    let facts = [(ORIGIN_TOPIC, origin.topic.clone()), (ORIGIN_MESSAGE_ID, origin.message_id.clone())];
    for (name, value) in facts.into_iter().chain(attempts) {
        message.user_properties.insert(name.to_owned(), value);
    }
}
