//! Topics and their messages.

use std::collections::HashMap;

use proto::v2::{
    AdminSendMessageRequest, AdminSendMessageResponse, DescribeTopicStatusRequest,
    DescribeTopicStatusResponse, GetTopicRouteRequest, GetTopicRouteResponse, Message, MessageType,
    SendMessageRequest,
};
use raft::catalog::TopicType;
use raft::clock;
use serde_json::json;

use super::Call;
use crate::client::message_id::MessageIds;
use crate::convert::status::Fault;
use crate::convert::time::wire_timestamp;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::send_message::send_message;

/// Whom a message of an administrator names as its sender, if the caller does not say.
const ADMINISTRATOR: &str = "administrator";

pub(super) async fn status(
    call: &Call<'_>,
    request: DescribeTopicStatusRequest,
) -> Result<DescribeTopicStatusResponse, Fault> {
    let topic = call.topic(request.topic.as_ref())?;
    let tags: HashMap<String, String> = [
        ("id", topic.id.0.to_string()),
        ("queues", topic.queues.len().to_string()),
        ("type", format!("{:?}", topic.kind).to_lowercase()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Ok(DescribeTopicStatusResponse {
        topic_message_type: message_type(topic.kind) as i32,
        description: Some(format!("{} queues", topic.queues.len())),
        create_timestamp: Some(wire_timestamp(topic.created_ms)),
        tags,
        ..Default::default()
    })
}

/// A topic of mixed messages has no one type.
fn message_type(kind: TopicType) -> MessageType {
    match kind {
        TopicType::Normal => MessageType::Normal,
        TopicType::Fifo => MessageType::Fifo,
        TopicType::Delay => MessageType::Delay,
        TopicType::Transaction => MessageType::Transaction,
        TopicType::Priority => MessageType::Priority,
        TopicType::Lite => MessageType::Lite,
        TopicType::Mixed => MessageType::Unspecified,
    }
}

/// The route in the JSON of the older protocol: one broker for each live node, as in `QueryRoute`.
pub(super) async fn route(
    call: &Call<'_>,
    request: GetTopicRouteRequest,
) -> Result<GetTopicRouteResponse, Fault> {
    /// Readable and writable.
    const PERMISSION: u32 = 6;
    let topic = call.topic(request.topic.as_ref())?;
    let nodes = call.edge.live_nodes();
    let brokers = nodes.iter().map(|node| {
        json!({
            "brokerName": node.name, "cluster": call.edge.options.cluster,
            "brokerAddrs": { "0": node.grpc },
        })
    });
    let queues = nodes.iter().map(|node| {
        json!({
            "brokerName": node.name, "perm": PERMISSION, "topicSysFlag": 0,
            "readQueueNums": topic.queues.len(), "writeQueueNums": topic.queues.len(),
        })
    });
    let route = json!({
        "brokerDatas": brokers.collect::<Vec<_>>(), "queueDatas": queues.collect::<Vec<_>>(),
        "filterServerTable": {},
    });
    Ok(GetTopicRouteResponse { topic_route_data: route.to_string(), ..Default::default() })
}

/// Sends a message like any other: with the same checks, quotas and answers.
pub(super) async fn send(
    edge: &EdgeState,
    caller: &Caller,
    request: AdminSendMessageRequest,
) -> AdminSendMessageResponse {
    let mut system = request.system_properties.unwrap_or_default();
    if system.message_id.is_empty() {
        system.message_id = MessageIds::new().next();
    }
    if system.born_host.is_empty() {
        system.born_host = ADMINISTRATOR.to_owned();
    }
    if system.born_timestamp.is_none() {
        system.born_timestamp = Some(wire_timestamp(clock::now_ms()));
    }
    system.tag = request.tag.or(system.tag);
    system.keys.extend(request.key);
    let message_id = system.message_id.clone();
    let message = Message {
        topic: request.topic,
        user_properties: request.user_properties,
        system_properties: Some(system),
        body: request.body,
    };
    let sent = send_message(edge, caller, SendMessageRequest { messages: vec![message] }).await;
    AdminSendMessageResponse { status: sent.status, message_id }
}
