//! `MessagingService` of the public protocol.

use proto::v2::settings::PubSub;
use proto::v2::{
    AckMessageRequest, ChangeInvisibleDurationRequest, EndTransactionRequest,
    ForwardMessageToDeadLetterQueueRequest, GetOffsetRequest, HeartbeatRequest,
    NotifyClientTerminationRequest, PullMessageRequest, QueryAssignmentRequest, QueryOffsetRequest,
    QueryRouteRequest, RecallMessageRequest, ReceiveMessageRequest, SendMessageRequest, Settings,
    SyncLiteSubscriptionRequest, UpdateOffsetRequest,
};
use raft::access::Action::{Get, Publish, Subscribe};

use super::demands;
use crate::access::demand::{Demand, Demands, Names};

demands! {
    // Producers, consumers and consoles ask for it.
    QueryRouteRequest => |it, of| [of.topic(&it.topic, &[Publish, Subscribe, Get])];
    QueryAssignmentRequest => |it, of| [of.topic(&it.topic, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    ReceiveMessageRequest => |it, of| [of.queue(&it.message_queue, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    AckMessageRequest => |it, of| [of.topic(&it.topic, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    ChangeInvisibleDurationRequest => |it, of| [of.topic(&it.topic, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    ForwardMessageToDeadLetterQueueRequest => |it, of| [
        of.topic(&it.topic, &[Subscribe]),
        of.group(&it.group, &[Subscribe]),
    ];
    EndTransactionRequest => |it, of| [of.topic(&it.topic, &[Publish])];
    RecallMessageRequest => |it, of| [of.topic(&it.topic, &[Publish])];
    PullMessageRequest => |it, of| [of.queue(&it.message_queue, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    UpdateOffsetRequest => |it, of| [of.queue(&it.message_queue, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    GetOffsetRequest => |it, of| [of.queue(&it.message_queue, &[Subscribe]), of.group(&it.group, &[Subscribe])];
    QueryOffsetRequest => |it, of| [of.queue(&it.message_queue, &[Subscribe, Get])];
    SyncLiteSubscriptionRequest => |it, of| [of.topic(&it.topic, &[Subscribe]), of.group(&it.group, &[Subscribe])];
}

impl Demands for SendMessageRequest {
    /// All messages must be of one topic; that is checked once it is known who sends them.
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>> {
        match self.messages.first() {
            Some(message) => vec![names.topic(&message.topic, &[Publish])],
            None => Vec::new(),
        }
    }
}

impl Demands for HeartbeatRequest {
    /// A producer's names no group.
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>> {
        of_group(&self.group, names)
    }
}

impl Demands for NotifyClientTerminationRequest {
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>> {
        of_group(&self.group, names)
    }
}

fn of_group<'a>(group: &'a Option<proto::v2::Resource>, names: &Names<'a>) -> Vec<Demand<'a>> {
    // The Java client's producers send an empty one.
    let named = group.as_ref().is_some_and(|group| !group.name.is_empty());
    if named { vec![names.group(group, &[Subscribe])] } else { Vec::new() }
}

/// What a telemetry stream may be asked for: see [`crate::messaging::telemetry`].
impl Demands for Settings {
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>> {
        match &self.pub_sub {
            Some(PubSub::Publishing(it)) => {
                let publish = |topic| Demand::Topic(names.full_of(topic), &[Publish]);
                it.topics.iter().map(publish).collect()
            }
            Some(PubSub::Subscription(it)) => {
                let topics = it.subscriptions.iter().map(|entry| names.topic(&entry.topic, &[Subscribe]));
                std::iter::once(names.group(&it.group, &[Subscribe])).chain(topics).collect()
            }
            None => Vec::new(),
        }
    }
}

/// A stream or a request about which nothing is known but who calls.
pub struct Signed;

impl Demands for Signed {
    fn demands<'a>(&'a self, _: &Names<'a>) -> Vec<Demand<'a>> {
        Vec::new()
    }
}
