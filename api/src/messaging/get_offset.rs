//! `GetOffset`: where a consumer group stands in one queue.

use proto::v2::{GetOffsetRequest, GetOffsetResponse};

use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::offset::{asked_queue, committed, wire_offset};
use crate::messaging::resolve;

/// Answers as the leader of the queue's group has it.
pub async fn get_offset(edge: &EdgeState, caller: &Caller, request: GetOffsetRequest) -> GetOffsetResponse {
    match get(edge, caller, request).await {
        Ok(offset) => GetOffsetResponse { status: Some(ok()), offset: wire_offset(offset) },
        Err(fault) => GetOffsetResponse { status: Some(fault.status(caller.language())), offset: 0 },
    }
}

async fn get(edge: &EdgeState, caller: &Caller, request: GetOffsetRequest) -> Result<u64, Fault> {
    edge.client_seen(&edge.admit_client(caller, &request)?, caller);
    let deadline = caller.deadline();
    let (topic, number) = asked_queue(edge, caller, request.message_queue.as_ref(), deadline).await?;
    let group = request.group.unwrap_or_default();
    let consumer = resolve::known_consumer(edge, &full_name(&group, caller.namespace()), deadline).await?;
    let place = edge.node.place(&topic, number, Some(consumer.id), deadline).await?;
    match place.begun {
        true => Ok(committed(&place.state)),
        false => Err(Fault::OffsetNotFound(format!(
            "consumer group {} has no offset in queue {number} of topic {}: it has neither received from it nor \
             noted one",
            consumer.name, topic.name
        ))),
    }
}
