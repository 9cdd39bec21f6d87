//! `RecallMessage`: takes back a delayed message before its time.

use proto::v2::{RecallMessageRequest, RecallMessageResponse};
use tokio::time::Instant;

use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::convert::waiting::read_recall_handle;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;

/// Answers with the message's id once nobody will get it any more.
pub async fn recall_message(
    edge: &EdgeState,
    caller: &Caller,
    request: RecallMessageRequest,
) -> RecallMessageResponse {
    match recall(edge, caller, request).await {
        Ok(message_id) => RecallMessageResponse { status: Some(ok()), message_id },
        Err(fault) => RecallMessageResponse {
            status: Some(fault.status(caller.language())),
            ..RecallMessageResponse::default()
        },
    }
}

async fn recall(edge: &EdgeState, caller: &Caller, request: RecallMessageRequest) -> Result<String, Fault> {
    edge.admit_client(caller, &request)?;
    let name = request.topic.unwrap_or_default();
    by_handle(edge, &full_name(&name, caller.namespace()), &request.recall_handle, caller.deadline()).await
}

/// Takes back the message that a handle names, in the topic of this full name: its id.
///
/// # Errors
/// If the handle is none of ours or of another topic, and what the cluster says.
pub(crate) async fn by_handle(
    edge: &EdgeState,
    topic: &str,
    handle: &str,
    deadline: Instant,
) -> Result<String, Fault> {
    let (timer, message_id) = read_recall_handle(handle).ok_or_else(|| {
        Fault::BadRequest("the recall handle is not one of this cluster, or damaged".into())
    })?;
    let topic = resolve::known_topic(edge, topic, deadline).await?;
    if topic.id != timer.topic {
        let why = format!("the recall handle is of another topic than {}", topic.name);
        return Err(Fault::BadRequest(why));
    }
    edge.node.recall(timer, deadline).await?;
    Ok(message_id)
}
