//! `QueryOffset`: where a queue begins, where it ends, or what it held at a time.

use proto::v2::{QueryOffsetPolicy, QueryOffsetRequest, QueryOffsetResponse};

use crate::convert::status::{Fault, ok};
use crate::convert::time;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::offset::{asked_queue, wire_offset};

/// Answers as the leader of the queue's group has it.
pub async fn query_offset(
    edge: &EdgeState,
    caller: &Caller,
    request: QueryOffsetRequest,
) -> QueryOffsetResponse {
    match query(edge, caller, request).await {
        Ok(offset) => QueryOffsetResponse { status: Some(ok()), offset: wire_offset(offset) },
        Err(fault) => QueryOffsetResponse { status: Some(fault.status(caller.language())), offset: 0 },
    }
}

async fn query(edge: &EdgeState, caller: &Caller, request: QueryOffsetRequest) -> Result<u64, Fault> {
    edge.client_seen(&edge.admit_client(caller, &request)?, caller);
    let deadline = caller.deadline();
    let policy = QueryOffsetPolicy::try_from(request.query_offset_policy).map_err(|_| {
        Fault::BadRequest(format!("the offset policy {} is unknown", request.query_offset_policy))
    })?;
    let (topic, number) = asked_queue(edge, caller, request.message_queue.as_ref(), deadline).await?;
    match policy {
        QueryOffsetPolicy::Beginning => {
            Ok(edge.node.place(&topic, number, None, deadline).await?.state.first)
        }
        QueryOffsetPolicy::End => Ok(edge.node.place(&topic, number, None, deadline).await?.state.end),
        QueryOffsetPolicy::Timestamp => {
            let at = request
                .timestamp
                .ok_or_else(|| Fault::BadRequest("the policy TIMESTAMP needs a timestamp".to_owned()))?;
            Ok(edge.node.offset_at(&topic, number, time::unix_ms(&at), deadline).await?)
        }
    }
}
