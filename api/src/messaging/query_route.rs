//! `QueryRoute`: which nodes serve a topic.

use proto::v2::{MessageQueue, QueryRouteRequest, QueryRouteResponse};

use crate::convert::name::full_name;
use crate::convert::route::message_queues;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;

/// Answers from this node's picture of the cluster; makes the topic if that is allowed.
pub async fn query_route(
    edge: &EdgeState,
    caller: &Caller,
    request: QueryRouteRequest,
) -> QueryRouteResponse {
    match queues(edge, caller, request).await {
        Ok(message_queues) => QueryRouteResponse { status: Some(ok()), message_queues },
        Err(fault) => {
            QueryRouteResponse { status: Some(fault.status(caller.language())), message_queues: Vec::new() }
        }
    }
}

async fn queues(
    edge: &EdgeState,
    caller: &Caller,
    request: QueryRouteRequest,
) -> Result<Vec<MessageQueue>, Fault> {
    edge.admit_client(caller, &request)?;
    let resource = request.topic.unwrap_or_default();
    let name = full_name(&resource, caller.namespace());
    let topic = resolve::topic(edge, caller, &name, caller.deadline()).await?;
    let nodes = edge.live_nodes();
    Ok(message_queues(&topic, &resource, &nodes))
}
