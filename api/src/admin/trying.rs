//! What a person tries with messages: to send one, to send one again, to have it consumed now.

use bytes::Bytes;
use proto::admin::{
    ResendMessageRequest, SendMessageRequest, SendMessageResponse, VerifyMessageRequest,
    VerifyMessageResponse,
};
use proto::v2::{self, Encoding, SystemProperties};
use raft::clock;
use raft::request::RequestError;
use store::record::{BodyEncoding, MessageRecord};
use tokio::time::Instant;

use super::find::{copies, found_record};
use crate::client::message_id::MessageIds;
use crate::convert::name::{DEAD_LETTERS, RETRIES, resource_of};
use crate::convert::status::Fault;
use crate::convert::time::wire_timestamp;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::send_message;
use crate::rocketmq_admin::verify_message;

/// Stands where a producer's host would.
const BORN_HOST: &str = "console";
/// The first status of the protocol that tells of the server's failure, and not of the request's.
const SERVER_FAULTS_FROM: i32 = 50_000;

/// Sends a message like any other: with the same checks, quotas and answers.
pub(super) async fn send(
    edge: &EdgeState,
    caller: &Caller,
    request: SendMessageRequest,
) -> Result<SendMessageResponse, Fault> {
    let text = |text: String| (!text.is_empty()).then_some(text);
    let due_ms = (request.delay_ms > 0).then(|| clock::now_ms().saturating_add(request.delay_ms));
    let system = SystemProperties {
        tag: text(request.tag),
        keys: request.keys,
        message_group: text(request.message_group),
        lite_topic: text(request.lite_topic),
        priority: request.priority,
        delivery_timestamp: due_ms.map(wire_timestamp),
        ..SystemProperties::default()
    };
    publish(edge, caller, &request.topic, system, request.properties.into_iter().collect(), request.body)
        .await
}

/// Sends what a message holds once more, to the topic that it was sent to.
pub(super) async fn resend(
    edge: &EdgeState,
    caller: &Caller,
    request: ResendMessageRequest,
    deadline: Instant,
) -> Result<SendMessageResponse, Fault> {
    let (found, _) = copies(edge, caller, &request.id, &request.topic, deadline).await?;
    let Some((_, found)) = found.first() else {
        return Err(Fault::NotFound(format!("there is no message {}", request.id)));
    };
    let record: MessageRecord = found_record(found)?;
    let body_encoding = match record.body_encoding {
        BodyEncoding::Gzip => Encoding::Gzip,
        BodyEncoding::Identity => Encoding::Identity,
    };
    let system = SystemProperties {
        tag: record.tag,
        keys: record.keys,
        message_group: record.message_group,
        lite_topic: record.lite_topic,
        priority: record.priority.and_then(|priority| i32::try_from(priority).ok()),
        body_encoding: body_encoding as i32,
        ..SystemProperties::default()
    };
    publish(edge, caller, &record.topic, system, record.properties.into_iter().collect(), record.body).await
}

async fn publish(
    edge: &EdgeState,
    caller: &Caller,
    topic: &str,
    system: SystemProperties,
    user_properties: std::collections::HashMap<String, String>,
    body: Bytes,
) -> Result<SendMessageResponse, Fault> {
    if [DEAD_LETTERS, RETRIES].iter().any(|prefix| topic.starts_with(prefix)) {
        return Err(Fault::IllegalTopic(format!("{topic} is the cluster's own: nobody sends to it")));
    }
    let message_id = MessageIds::new().next();
    let system = SystemProperties {
        message_id: message_id.clone(),
        born_host: BORN_HOST.to_owned(),
        born_timestamp: Some(wire_timestamp(clock::now_ms())),
        ..system
    };
    let message = v2::Message {
        topic: Some(resource_of(topic)),
        user_properties,
        system_properties: Some(system),
        body,
    };
    let entries =
        send_message::publish(edge, caller, v2::SendMessageRequest { messages: vec![message] }).await?;
    let status = entries.into_iter().next().and_then(|entry| entry.status).unwrap_or_default();
    match status.code {
        code if code == v2::Code::Ok as i32 => Ok(SendMessageResponse { message_id }),
        code if code >= SERVER_FAULTS_FROM => Err(RequestError::Unknown { reason: status.message }.into()),
        _ => Err(Fault::BadRequest(status.message)),
    }
}

/// Has a connected consumer consume a message now. Nothing is leased or settled.
pub(super) async fn verify(
    edge: &EdgeState,
    caller: &Caller,
    request: VerifyMessageRequest,
) -> Result<VerifyMessageResponse, Fault> {
    let public = v2::VerifyMessageRequest {
        deployment_name: None,
        client_id: request.client_id,
        group: Some(resource_of(&request.group)),
        topic: Some(resource_of(&request.topic)),
        message_id: request.id,
    };
    let status = verify_message(edge, caller, public).await?;
    Ok(VerifyMessageResponse { code: status.code, message: status.message })
}
