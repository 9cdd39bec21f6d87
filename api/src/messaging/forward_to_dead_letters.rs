//! `ForwardMessageToDeadLetterQueue`: a FIFO push consumer gives a message up.

use proto::v2::{ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse};

use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::{resolve, settle};

/// Moves the message to its consumer group's dead letters and settles its lease, in one step.
pub async fn forward_to_dead_letters(
    edge: &EdgeState,
    caller: &Caller,
    request: ForwardMessageToDeadLetterQueueRequest,
) -> ForwardMessageToDeadLetterQueueResponse {
    let status = match forward(edge, caller, &request).await {
        Ok(()) => ok(),
        Err(fault) => fault.status(caller.language()),
    };
    ForwardMessageToDeadLetterQueueResponse { status: Some(status) }
}

async fn forward(
    edge: &EdgeState,
    caller: &Caller,
    request: &ForwardMessageToDeadLetterQueueRequest,
) -> Result<(), Fault> {
    edge.admit_client(caller, request)?;
    let deadline = caller.deadline();
    let group = request.group.clone().unwrap_or_default();
    let consumer = resolve::known_consumer(edge, &full_name(&group, caller.namespace()), deadline).await?;
    let handle = settle::handle(edge, caller, Some(&group), request.topic.as_ref(), &request.receipt_handle)?;
    let queues = resolve::dead_letter_queues(edge, &consumer, &[handle.receipt.group], deadline).await?;
    Ok(edge.node.dead_letter(handle.receipt, queues[0], deadline).await?)
}
