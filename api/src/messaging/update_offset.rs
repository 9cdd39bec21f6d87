//! `UpdateOffset`: notes, in the log, where a consumer group stands in one queue.

use proto::v2::{Status, UpdateOffsetRequest, UpdateOffsetResponse};
use raft::command::OffsetTarget;

use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::offset::{asked_offset, asked_queue, within};
use crate::messaging::resolve;

/// Moves the consumer group; what it held in the queue is given back.
pub async fn update_offset(
    edge: &EdgeState,
    caller: &Caller,
    request: UpdateOffsetRequest,
) -> UpdateOffsetResponse {
    let status = update(edge, caller, request).await;
    UpdateOffsetResponse { status: Some(status.unwrap_or_else(|fault| fault.status(caller.language()))) }
}

async fn update(edge: &EdgeState, caller: &Caller, request: UpdateOffsetRequest) -> Result<Status, Fault> {
    edge.client_seen(&edge.admit_client(caller, &request)?, caller);
    let deadline = caller.deadline();
    let offset = asked_offset(request.offset)?;
    let (topic, number) = asked_queue(edge, caller, request.message_queue.as_ref(), deadline).await?;
    let group = request.group.unwrap_or_default();
    let consumer = resolve::consumer(edge, caller, &full_name(&group, caller.namespace()), deadline).await?;
    let place = edge.node.place(&topic, number, None, deadline).await?;
    within(offset, number, place.state.end)?;
    edge.node.move_to(consumer.id, &topic, number, OffsetTarget::Offset(offset), deadline).await?;
    Ok(ok())
}
