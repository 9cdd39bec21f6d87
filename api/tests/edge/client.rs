//! A client that speaks the public protocol by hand.

#![allow(dead_code)] // each test binary uses its own part

use std::sync::atomic::{AtomicU64, Ordering};

use proto::v2::messaging_service_client::MessagingServiceClient;
use proto::v2::receive_message_response::Content;
use proto::v2::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, FilterExpression, FilterType, Message,
    MessageQueue, ReceiveMessageRequest, Resource, SendMessageRequest, SendMessageResponse, Status,
    SystemProperties,
};
use tonic::Request;
use tonic::transport::Channel;

/// A client with an id.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    pub language: &'static str,
    /// The headers of its signature.
    pub signed: Vec<(&'static str, String)>,
    pub stub: MessagingServiceClient<Channel>,
}

impl Client {
    pub fn over(channel: Channel, id: &str) -> Client {
        let stub = MessagingServiceClient::new(channel)
            .max_decoding_message_size(32 << 20)
            .max_encoding_message_size(32 << 20);
        Client { id: id.into(), language: "JAVA", signed: Vec::new(), stub }
    }

    /// A request with this client's headers.
    pub fn request<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        let headers = request.metadata_mut();
        headers.insert("x-mq-client-id", self.id.parse().expect("an id"));
        headers.insert("x-mq-language", self.language.parse().expect("a language"));
        for (name, value) in &self.signed {
            headers.insert(*name, value.parse().expect("a header"));
        }
        request
    }

    pub async fn send_all(&self, messages: Vec<Message>) -> SendMessageResponse {
        let request = self.request(SendMessageRequest { messages });
        self.stub.clone().send_message(request).await.expect("an answer").into_inner()
    }

    /// Sends one message that must be taken, and answers with its offset.
    pub async fn send(&self, message: Message) -> i64 {
        let answer = self.send_all(vec![message]).await;
        assert_eq!(answer.status, Some(ok()));
        assert_eq!(answer.entries.len(), 1);
        answer.entries[0].offset
    }

    /// Receives, and checks the stream's shape.
    pub async fn receive(&self, request: ReceiveMessageRequest) -> (Status, Vec<Message>) {
        let mut stream =
            self.stub.clone().receive_message(self.request(request)).await.expect("a stream").into_inner();
        let mut frames = Vec::new();
        while let Some(frame) = stream.message().await.expect("a frame") {
            frames.push(frame.content.expect("content"));
        }
        let mut frames = frames.into_iter();
        let Some(Content::Status(status)) = frames.next() else { panic!("the first frame is a status") };
        let mut messages = Vec::new();
        for frame in frames.by_ref() {
            match frame {
                Content::Message(message) => messages.push(message),
                Content::DeliveryTimestamp(_) => break,
                Content::Status(status) => panic!("a second status: {status:?}"),
            }
        }
        assert_eq!(frames.next(), None, "the delivery timestamp is the last frame");
        (status, messages)
    }

    /// The bodies of what a receive brings.
    pub async fn bodies(&self, request: ReceiveMessageRequest) -> Vec<String> {
        self.receive(request).await.1.iter().map(body).collect()
    }

    pub async fn ack(&self, topic: &str, group: &str, messages: &[Message]) -> AckMessageResponse {
        let entry = |message: &Message| AckMessageEntry {
            message_id: system(message).message_id.clone(),
            receipt_handle: receipt(message),
            lite_topic: None,
        };
        let request = AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(topic)),
            entries: messages.iter().map(entry).collect(),
        };
        self.stub.clone().ack_message(self.request(request)).await.expect("an answer").into_inner()
    }
}

pub fn ok() -> Status {
    Status { code: 20_000, message: "OK".into() }
}

pub fn resource(name: &str) -> Resource {
    Resource { resource_namespace: String::new(), name: name.into() }
}

/// An id as the official clients make them.
pub fn message_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("01AABBCCDDEEFF0001{:016X}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn message(topic: &str, body: &str) -> Message {
    Message {
        topic: Some(resource(topic)),
        system_properties: Some(SystemProperties { message_id: message_id(), ..SystemProperties::default() }),
        body: body.to_owned().into(),
        ..Message::default()
    }
}

pub fn message_with(topic: &str, body: &str, change: impl FnOnce(&mut SystemProperties)) -> Message {
    let mut message = message(topic, body);
    change(message.system_properties.as_mut().expect("they are there"));
    message
}

pub fn system(message: &Message) -> &SystemProperties {
    message.system_properties.as_ref().expect("system properties")
}

pub fn receipt(message: &Message) -> String {
    system(message).receipt_handle.clone().expect("a receipt handle")
}

pub fn body(message: &Message) -> String {
    String::from_utf8(message.body.to_vec()).expect("text")
}

/// A simple consumer's receive: all tags, leases of 30 s.
pub fn receive(topic: &str, group: &str, wait_ms: i64) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        group: Some(resource(group)),
        message_queue: Some(MessageQueue { topic: Some(resource(topic)), id: -1, ..MessageQueue::default() }),
        filter_expression: Some(FilterExpression { r#type: FilterType::Tag as i32, expression: "*".into() }),
        batch_size: 32,
        invisible_duration: Some(seconds(30)),
        auto_renew: false,
        long_polling_timeout: Some(prost_types::Duration {
            seconds: wait_ms / 1_000,
            nanos: (wait_ms % 1_000) as i32 * 1_000_000,
        }),
        attempt_id: None,
    }
}

/// A push consumer's receive: the server renews.
pub fn push(topic: &str, group: &str, wait_ms: i64) -> ReceiveMessageRequest {
    ReceiveMessageRequest { auto_renew: true, invisible_duration: None, ..receive(topic, group, wait_ms) }
}

pub fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}
