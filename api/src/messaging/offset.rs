//! What the methods about offsets have in common: which queue, and which offsets may be.

use proto::v2::MessageQueue;
use raft::catalog::Topic;
use raft::request::QueueState;
use tokio::time::Instant;

use crate::convert::name::full_name;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;

/// The topic and the number of the queue that a request names.
///
/// # Errors
/// [`Fault::BadRequest`] when the topic has no such queue, or what [`resolve::topic`] says.
pub async fn asked_queue(
    edge: &EdgeState,
    caller: &Caller,
    queue: Option<&MessageQueue>,
    deadline: Instant,
) -> Result<(Topic, u32), Fault> {
    let resource = queue.and_then(|queue| queue.topic.clone()).unwrap_or_default();
    let id = queue.map_or(-1, |queue| queue.id);
    let topic = resolve::topic(edge, caller, &full_name(&resource, caller.namespace()), deadline).await?;
    match u32::try_from(id) {
        Ok(number) if (number as usize) < topic.queues.len() => Ok((topic, number)),
        _ => Err(Fault::BadRequest(format!(
            "topic {} has the queues 0 to {}; {id} is none of them",
            topic.name,
            topic.queues.len() - 1
        ))),
    }
}

/// An offset as the protocol writes it.
///
/// # Errors
/// [`Fault::IllegalOffset`] for a negative one.
pub fn asked_offset(offset: i64) -> Result<u64, Fault> {
    u64::try_from(offset)
        .map_err(|_| Fault::IllegalOffset(format!("the offset {offset} is negative; the first one is 0")))
}

/// Refuses an offset that the queue does not have yet.
///
/// # Errors
/// [`Fault::IllegalOffset`].
pub fn within(offset: u64, number: u32, end: u64) -> Result<(), Fault> {
    match offset <= end {
        true => Ok(()),
        false => Err(Fault::IllegalOffset(format!(
            "the offset {offset} lies behind the end of queue {number}: its next message gets {end}"
        ))),
    }
}

/// An offset for the wire.
pub fn wire_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// What a consumer group has left behind it in a queue: it goes on here.
pub fn committed(state: &QueueState) -> u64 {
    state.settled.max(state.first)
}
