//! Consumers that are connected, to whichever node.

use std::collections::HashMap;
use std::net::SocketAddr;

use prost::Message as _;
use proto::v2::{
    ClientInfo, ClientType, ConsumerRunningInfo, FilterExpression, GetConsumerRunningInfoRequest,
    GetConsumerRunningInfoResponse, ListConsumerConnectionRequest, ListConsumerConnectionResponse,
    MessageModel, MessageQueueItem, PrintThreadStackTraceRequest, PrintThreadStackTraceResponse,
    ProcessQueueInfo, Resource, Status, VerifyMessageRequest,
};
use raft::hash::hash64;

use super::{Call, messages};
use crate::check::message::lite_topic;
use crate::convert::route::assignments;
use crate::convert::status::Fault;
use crate::session::remote::{self, ClientCommand, ClientReport, Done, NotDone};

/// The clients of a group: of those that read the topic if one is named, and the lite topic of it if one is.
pub(super) async fn connections(
    call: &Call<'_>,
    request: ListConsumerConnectionRequest,
) -> Result<ListConsumerConnectionResponse, Fault> {
    let group = call.group(request.group.as_ref())?;
    let topic = match &request.topic {
        Some(_) => Some(call.topic(request.topic.as_ref())?),
        None => None,
    };
    let clients = remote::clients_of(call.edge, &group.name, call.deadline).await;
    let lite = match (request.lite_topic.as_deref(), topic) {
        (None, _) => None,
        (Some(_), None) => return Err(Fault::BadRequest("say of which topic the lite topic is".into())),
        (Some(name), Some(topic)) => {
            lite_topic(name)?;
            Some((topic.id, hash64(name.as_bytes())))
        }
    };
    let reads = |client: &&ClientReport| match (lite, topic) {
        (Some((topic, hash)), _) => {
            let starts = call.edge.lite.of(&client.client_id, topic, group.id).by_start();
            starts.iter().any(|(_, hashes)| hashes.contains(&hash))
        }
        (None, Some(topic)) => client.filters.contains_key(&topic.name),
        (None, None) => true,
    };
    let client_info = clients.iter().filter(reads).map(client_info).collect();
    Ok(ListConsumerConnectionResponse { client_info, ..Default::default() })
}

pub(super) fn client_info(client: &ClientReport) -> ClientInfo {
    let host = client.address.parse::<SocketAddr>().map(|address| address.ip().to_string());
    let model = match client.client_type() {
        ClientType::LitePushConsumer | ClientType::LiteSimpleConsumer => MessageModel::LiteSelective,
        _ => MessageModel::Clustering,
    };
    ClientInfo {
        client_id: client.client_id.clone(),
        version: client.version.clone(),
        language: client.language.clone(),
        // Official clients' ids begin with the name of their host.
        hostname: client.client_id.split('@').next().unwrap_or_default().to_owned(),
        egress_ip: host.unwrap_or_else(|_| client.address.clone()),
        message_model: model as i32,
    }
}

/// What the cluster knows of a consumer: the official gRPC clients have no command that asks for more.
pub(super) async fn running_info(
    call: &Call<'_>,
    request: GetConsumerRunningInfoRequest,
) -> Result<GetConsumerRunningInfoResponse, Fault> {
    let group = call.group(request.group.as_ref())?;
    let clients = remote::clients_of(call.edge, &group.name, call.deadline).await;
    let client = clients.iter().find(|client| client.client_id == request.client_id);
    let client = client.ok_or_else(|| not_done(NotDone::NotConnected, &request.client_id))?;
    let properties: HashMap<String, String> = [
        ("client_id", client.client_id.clone()),
        ("consumer_group", group.name.clone()),
        ("client_type", client.client_type().as_str_name().to_owned()),
        ("language", client.language.clone()),
        ("version", client.version.clone()),
        ("address", client.address.clone()),
        ("fifo", group.fifo.to_string()),
        ("max_attempts", group.max_attempts.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let mut info = ConsumerRunningInfo { properties, ..Default::default() };
    for name in client.filters.keys() {
        let filter: FilterExpression = client.filter(name).unwrap_or_default();
        info.subscriptions.insert(name.clone(), filter);
        let Some(topic) = call.catalog.topics.get(name) else { continue };
        let resource = Resource { resource_namespace: String::new(), name: name.clone() };
        let places = call.edge.node.own_places(topic, Some(group.id), call.deadline).await?;
        let settled = |queue: i32| usize::try_from(queue).ok().and_then(|at| places.get(at));
        for assignment in assignments(topic, &resource, &call.edge.live_nodes(), group.fifo) {
            let queue = assignment.message_queue.as_ref().map_or(-1, |queue| queue.id);
            let process = ProcessQueueInfo {
                commit_offset: settled(queue).map_or(-1, |place| place.state.settled as i64),
                cached_msg_count: settled(queue).map_or(0, |place| place.state.in_flight as i32),
                ..Default::default()
            };
            info.message_queue_table.push(MessageQueueItem {
                message_queue: assignment.message_queue,
                process_queue_info: Some(process),
            });
        }
    }
    Ok(GetConsumerRunningInfoResponse { consumer_running_info: Some(info), ..Default::default() })
}

/// Asks a client where its threads are.
pub(super) async fn stack_trace(
    call: &Call<'_>,
    request: PrintThreadStackTraceRequest,
) -> Result<PrintThreadStackTraceResponse, Fault> {
    let done = remote::command(call.edge, &request.client_id, ClientCommand::StackTrace, call.deadline).await;
    match done.map_err(|why| not_done(why, &request.client_id))? {
        Done::StackTrace(trace) => {
            Ok(PrintThreadStackTraceResponse { thread_stack_trace: Some(trace), ..Default::default() })
        }
        Done::Verified { .. } => Err(not_done(NotDone::Silent, &request.client_id)),
    }
}

/// Has a client consume one message now: its own status, whatever it is. Nothing is leased or settled.
pub(super) async fn verify(call: &Call<'_>, request: VerifyMessageRequest) -> Result<Status, Fault> {
    call.group(request.group.as_ref())?;
    let topic = call.topic(request.topic.as_ref())?;
    let resource = request.topic.clone().unwrap_or_default();
    let message = messages::by_its_id(call, topic, &resource, &request.message_id).await?;
    let command = ClientCommand::Verify(message.encode_to_vec());
    let done = remote::command(call.edge, &request.client_id, command, call.deadline).await;
    match done.map_err(|why| not_done(why, &request.client_id))? {
        Done::Verified { code, message } => Ok(Status { code, message }),
        Done::StackTrace(_) => Err(not_done(NotDone::Silent, &request.client_id)),
    }
}

fn not_done(why: NotDone, client_id: &str) -> Fault {
    match why {
        NotDone::NotConnected => {
            Fault::NotFound(format!("client {client_id} is not connected: its telemetry stream is closed"))
        }
        NotDone::WentAway => Fault::NotFound(format!("client {client_id} went away before it answered")),
        NotDone::Silent => Fault::ClientSilent(format!("client {client_id} did not answer in time")),
    }
}
