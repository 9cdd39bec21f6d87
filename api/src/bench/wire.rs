//! The few fields of requests and answers that the bench needs, and a codec for requests that are
//! encoded already. Field numbers are those of `apache.rocketmq.v2`; a test holds them to it.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// `SendMessage`
pub const SEND_PATH: &str = "/apache.rocketmq.v2.MessagingService/SendMessage";
/// `ReceiveMessage`
pub const RECEIVE_PATH: &str = "/apache.rocketmq.v2.MessagingService/ReceiveMessage";
/// `AckMessage`
pub const ACK_PATH: &str = "/apache.rocketmq.v2.MessagingService/AckMessage";

/// `EndTransaction`, which answers with a status alone.
pub const END_PATH: &str = "/apache.rocketmq.v2.MessagingService/EndTransaction";

/// `Status`
#[derive(Clone, PartialEq, Message)]
pub struct LeanStatus {
    /// 20000 is OK.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// Why.
    #[prost(bytes = "bytes", tag = "2")]
    pub message: Bytes,
}

/// An entry of `SendMessageResponse`, and one of `AckMessageResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct LeanSendEntry {
    /// Of this message.
    #[prost(message, optional, tag = "1")]
    pub status: Option<LeanStatus>,
    /// The id.
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: Bytes,
    /// Names the transaction of a half message.
    #[prost(bytes = "bytes", tag = "3")]
    pub transaction_id: Bytes,
}

/// `SendMessageResponse`
#[derive(Clone, PartialEq, Message)]
pub struct LeanSent {
    /// Of the call.
    #[prost(message, optional, tag = "1")]
    pub status: Option<LeanStatus>,
    /// One a message.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<LeanSendEntry>,
}

/// `SystemProperties`
#[derive(Clone, PartialEq, Message)]
pub struct LeanSystem {
    /// The id.
    #[prost(bytes = "bytes", tag = "3")]
    pub message_id: Bytes,
    /// What settles it.
    #[prost(bytes = "bytes", tag = "12")]
    pub receipt_handle: Bytes,
}

/// `Message`
#[derive(Clone, PartialEq, Message)]
pub struct LeanMessage {
    /// Id and receipt.
    #[prost(message, optional, tag = "3")]
    pub system: Option<LeanSystem>,
    /// The body.
    #[prost(bytes = "bytes", tag = "4")]
    pub body: Bytes,
}

/// `ReceiveMessageResponse`
#[derive(Clone, PartialEq, Message)]
pub struct LeanReceived {
    /// Of the call.
    #[prost(message, optional, tag = "1")]
    pub status: Option<LeanStatus>,
    /// One of the messages.
    #[prost(message, optional, tag = "2")]
    pub message: Option<LeanMessage>,
}

/// `AckMessageEntry`
#[derive(Clone, PartialEq, Message)]
pub struct LeanAckEntry {
    /// The id.
    #[prost(bytes = "bytes", tag = "1")]
    pub message_id: Bytes,
    /// What settles it.
    #[prost(bytes = "bytes", tag = "2")]
    pub receipt_handle: Bytes,
}

/// The entries of `AckMessageRequest`. Group and topic stand before them, encoded once.
#[derive(Clone, PartialEq, Message)]
pub struct LeanAckEntries {
    /// One a message.
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<LeanAckEntry>,
}

/// `AckMessageResultEntry`
#[derive(Clone, PartialEq, Message)]
pub struct LeanAckResult {
    /// Of this message.
    #[prost(message, optional, tag = "3")]
    pub status: Option<LeanStatus>,
}

/// `AckMessageResponse`
#[derive(Clone, PartialEq, Message)]
pub struct LeanAcked {
    /// Of the call.
    #[prost(message, optional, tag = "1")]
    pub status: Option<LeanStatus>,
    /// One a message.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<LeanAckResult>,
}

/// Sends bytes as they are and decodes answers of one kind.
#[derive(Debug)]
pub struct EncodedCodec<A>(PhantomData<A>);

impl<A> EncodedCodec<A> {
    /// A codec.
    pub fn new() -> Self {
        EncodedCodec(PhantomData)
    }
}

impl<A: Message + Default + 'static> Codec for EncodedCodec<A> {
    type Encode = Bytes;
    type Decode = A;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        EncodedCodec::new()
    }

    fn decoder(&mut self) -> Self {
        EncodedCodec::new()
    }
}

impl<A> Encoder for EncodedCodec<A> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl<A: Message + Default> Decoder for EncodedCodec<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(from).map(Some).map_err(|error| Status::internal(format!("a malformed answer: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use proto::v2;

    use super::*;

    fn status(code: v2::Code) -> Option<v2::Status> {
        Some(v2::Status { code: code as i32, message: "why".into() })
    }

    #[test]
    fn the_lean_messages_read_what_the_protocol_writes() {
        let sent = v2::SendMessageResponse {
            status: status(v2::Code::Ok),
            entries: vec![v2::SendResultEntry {
                status: status(v2::Code::TooManyRequests),
                message_id: "id".into(),
                transaction_id: "transaction".into(),
                ..Default::default()
            }],
        };
        let lean = LeanSent::decode(sent.encode_to_vec().as_slice()).unwrap();
        assert_eq!(lean.status.unwrap().code, 20000);
        assert_eq!(lean.entries[0].status.as_ref().unwrap().code, 42900);
        assert_eq!(
            (&lean.entries[0].message_id[..], &lean.entries[0].transaction_id[..]),
            (&b"id"[..], &b"transaction"[..])
        );

        let message = v2::Message {
            system_properties: Some(v2::SystemProperties {
                message_id: "id".into(),
                receipt_handle: Some("handle".into()),
                ..Default::default()
            }),
            body: "body".into(),
            ..Default::default()
        };
        let content = v2::receive_message_response::Content::Message(message);
        let received = v2::ReceiveMessageResponse { content: Some(content) };
        let lean = LeanReceived::decode(received.encode_to_vec().as_slice()).unwrap().message.unwrap();
        assert_eq!(lean.body, "body");
        assert_eq!(lean.system.as_ref().unwrap().receipt_handle, "handle");

        let entry = LeanAckEntry { message_id: "id".into(), receipt_handle: "handle".into() };
        let entries = LeanAckEntries { entries: vec![entry] };
        let ack = v2::AckMessageRequest::decode(entries.encode_to_vec().as_slice()).unwrap();
        assert_eq!(
            (ack.entries[0].message_id.as_str(), ack.entries[0].receipt_handle.as_str()),
            ("id", "handle")
        );

        let acked = v2::AckMessageResponse {
            status: status(v2::Code::Ok),
            entries: vec![v2::AckMessageResultEntry { status: status(v2::Code::Ok), ..Default::default() }],
        };
        let lean = LeanAcked::decode(acked.encode_to_vec().as_slice()).unwrap();
        assert_eq!(lean.entries[0].status.as_ref().unwrap().code, 20000);
    }
}
