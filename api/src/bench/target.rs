//! Connections to the brokers under load, and the topic and the consumer group that the load needs.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::admin;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::wire::EncodedCodec;
use super::{Kind, Load};
use crate::client::access::{Broker, ClientError};
use crate::client::producer::Producer;
use crate::client::session::{Role, Session};

const PREPARE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections, spread over the brokers.
#[derive(Clone, Debug)]
pub struct Target {
    /// The broker that was named.
    pub first: Broker,
    /// All connections, at least one to each broker.
    pub connections: Vec<Broker>,
}

impl Target {
    /// Connects, and makes the topic if it is not there.
    pub async fn open(load: &Load) -> Result<Target, ClientError> {
        let first = Broker::connect(load.endpoint.clone(), load.headers.of_another()).await?;
        let brokers = match load.direct {
            true => vec![first.clone()],
            false => {
                make_topic(&first, load).await?;
                Producer::open(&first, &load.topic, PREPARE_TIMEOUT).await?.into_brokers()
            }
        };
        let count = load.connections.max(brokers.len());
        let connections = (0..count).map(|index| {
            let broker = &brokers[index % brokers.len()];
            Broker::lazy(broker.endpoint.clone(), broker.headers.clone())
        });
        Ok(Target { first, connections: connections.collect() })
    }

    /// A session with each broker, as official clients have it: some brokers answer nothing to a
    /// client that they do not know.
    pub async fn begin_sessions(&self, role: &Role) -> Vec<Session> {
        let mut known = Vec::new();
        let mut sessions = Vec::new();
        for broker in &self.connections {
            if !known.contains(&broker.endpoint) {
                known.push(broker.endpoint.clone());
                sessions.push(Session::begin(broker.clone(), role.clone()).await);
            }
        }
        sessions
    }

    /// Makes the consumer group if it is not there.
    pub async fn make_group(&self, load: &Load) -> Result<(), ClientError> {
        let request = admin::CreateGroupRequest {
            name: load.group.clone(),
            fifo: matches!(load.kind, Kind::Fifo { .. }),
            max_attempts: 16,
            start_from: admin::StartFrom::First as i32,
            if_not_exists: true,
            ..Default::default()
        };
        let request = self.first.headers.request(request, PREPARE_TIMEOUT);
        tolerate(self.first.answer(self.first.admin().create_group(request).await).map(drop))
    }
}

/// Says goodbye to each broker.
pub async fn end_sessions(sessions: Vec<Session>) {
    for session in sessions {
        session.end().await;
    }
}

async fn make_topic(broker: &Broker, load: &Load) -> Result<(), ClientError> {
    let kind = match load.kind {
        Kind::Normal => admin::TopicType::Normal,
        Kind::Fifo { .. } => admin::TopicType::Fifo,
        Kind::Delayed(_) => admin::TopicType::Delay,
        Kind::Half { .. } => admin::TopicType::Transaction,
        Kind::Lite { .. } => admin::TopicType::Lite,
    };
    let request = admin::CreateTopicRequest {
        name: load.topic.clone(),
        r#type: kind as i32,
        queues: load.queues,
        if_not_exists: true,
        ..Default::default()
    };
    let request = broker.headers.request(request, PREPARE_TIMEOUT);
    tolerate(broker.answer(broker.admin().create_topic(request).await).map(drop))
}

/// Other brokers do not know our admin service: there, the topic has to be there already.
fn tolerate(result: Result<(), ClientError>) -> Result<(), ClientError> {
    match result {
        Err(ClientError::Status(status)) if status.code() == tonic::Code::Unimplemented => Ok(()),
        other => other,
    }
}

/// One worker's way to call one broker with requests that are encoded already.
#[derive(Clone, Debug)]
pub struct Caller {
    broker: Broker,
    grpc: Grpc<Channel>,
    metadata: MetadataMap,
}

impl Caller {
    /// Calls over a connection, each with this deadline.
    pub fn new(broker: &Broker, timeout: Duration) -> Caller {
        let grpc = Grpc::new(broker.channel.clone())
            .max_decoding_message_size(crate::client::ANSWER_BYTES_MAX)
            .max_encoding_message_size(crate::client::ANSWER_BYTES_MAX);
        Caller { broker: broker.clone(), grpc, metadata: broker.headers.metadata(timeout) }
    }

    fn request(&self, bytes: Bytes) -> Request<Bytes> {
        Request::from_parts(self.metadata.clone(), Default::default(), bytes)
    }

    /// One answer.
    pub async fn unary<A: Message + Default + 'static>(
        &mut self,
        path: &'static str,
        bytes: Bytes,
    ) -> Result<A, ClientError> {
        let request = self.request(bytes);
        let result = async {
            self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            self.grpc.unary(request, PathAndQuery::from_static(path), EncodedCodec::<A>::new()).await
        };
        let result = result.await;
        self.broker.answer(result)
    }

    /// A stream of answers.
    pub async fn stream<A: Message + Default + 'static>(
        &mut self,
        path: &'static str,
        bytes: Bytes,
    ) -> Result<Streaming<A>, ClientError> {
        let request = self.request(bytes);
        let result = async {
            self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            let codec = EncodedCodec::<A>::new();
            self.grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await
        };
        let result = result.await;
        self.broker.answer(result)
    }

    /// Turns a failure in the middle of a stream into ours.
    pub fn failure(&self, status: Status) -> ClientError {
        ClientError::of_call(&self.broker.endpoint, status)
    }
}
