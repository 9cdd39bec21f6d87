//! `QueryAssignment`: what a push consumer polls, asked every 5 s.

use proto::v2::{Assignment, ClientType, QueryAssignmentRequest, QueryAssignmentResponse};
use raft::catalog::TopicType;

use crate::convert::name::full_name;
use crate::convert::route::assignments;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;

/// Answers from this node's picture of the cluster; makes topic and group if that is allowed.
pub async fn query_assignment(
    edge: &EdgeState,
    caller: &Caller,
    request: QueryAssignmentRequest,
) -> QueryAssignmentResponse {
    match assign(edge, caller, request).await {
        Ok(assignments) => QueryAssignmentResponse { status: Some(ok()), assignments },
        Err(fault) => {
            QueryAssignmentResponse { status: Some(fault.status(caller.language())), assignments: Vec::new() }
        }
    }
}

async fn assign(
    edge: &EdgeState,
    caller: &Caller,
    request: QueryAssignmentRequest,
) -> Result<Vec<Assignment>, Fault> {
    let client_id = &*edge.admit_client(caller, &request)?;
    let deadline = caller.deadline();
    let resource = request.topic.unwrap_or_default();
    let group = request.group.unwrap_or_default();
    let topic = resolve::topic(edge, caller, &full_name(&resource, caller.namespace()), deadline).await?;
    let consumer = resolve::consumer(edge, caller, &full_name(&group, caller.namespace()), deadline).await?;
    let nodes = edge.live_nodes();
    // Who pulls keeps an offset for each queue, so it needs them all by number.
    let pulls = edge.sessions.kind(client_id) == Some(ClientType::PullConsumer);
    // A priority topic's queues are read together, and so are lite topics.
    let by_queue = consumer.fifo && !matches!(topic.kind, TopicType::Priority | TopicType::Lite);
    let assigned = assignments(&topic, &resource, &nodes, by_queue || pulls);
    if assigned.is_empty() {
        return Err(Fault::Forbidden(format!("no node can serve topic {}", topic.name)));
    }
    Ok(assigned)
}
