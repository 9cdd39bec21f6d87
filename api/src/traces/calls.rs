//! The spans of clients' calls: one a call, and one for each message of another trace that the call is about.
//!
//! Names of attributes are OpenTelemetry's for messaging. With tracing off each function here is one branch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::v2::{
    AckMessageRequest, ChangeInvisibleDurationRequest, Code, EndTransactionRequest,
    ForwardMessageToDeadLetterQueueRequest, Message, RecallMessageRequest, ReceiveMessageRequest, Resource,
    SendMessageRequest, Status,
};
use raft::clock;
use raft::features::FeatureLevel;
use raft::request::Delivered;
use raft::spans::{Span, SpanContext, SpanKind, Trail};

use super::{Decision, Traces};
use crate::convert::name::full_name;
use crate::convert::receipt::Handle;
use crate::edge::EdgeState;
use crate::limits::TRACED_MESSAGES_MAX;
use crate::messaging::caller::Caller;

/// A call, if it is traced. It ends when it is dropped, too.
pub struct Call(Option<Box<Open>>);

struct Open {
    span: Span,
    /// Of messages of other traces.
    others: Vec<Span>,
}

/// What a call is about.
struct About<'a> {
    /// Begins the name of its spans.
    operation: &'static str,
    /// The kind of operation, as OpenTelemetry tells them apart.
    kind: &'static str,
    topic: Option<&'a Resource>,
    group: Option<&'a Resource>,
    /// What the spans of its messages are.
    messages: SpanKind,
    /// How many messages, and the id of the first.
    count: usize,
    id: &'a str,
}

impl Call {
    /// What serves the call finds its trail by this.
    pub fn trail(&self) -> Option<Trail> {
        self.0.as_ref().map(|open| open.span.trail())
    }

    /// The call is answered like this; without a status it went well.
    pub fn ended(self, status: Option<&Status>) {
        let Some(mut open) = self.0 else { return };
        let Open { span, others } = &mut *open;
        for span in std::iter::once(span).chain(others) {
            answered(span, status);
        }
    }
}

fn answered(span: &mut Span, status: Option<&Status>) {
    let Some(status) = status else { return };
    match status.code() {
        Code::Ok => {}
        // Nothing was there, or each message has its own answer.
        code @ (Code::MessageNotFound | Code::MultipleResults) => {
            span.set("ledgermq.code", code.as_str_name());
        }
        code => {
            span.set("error.type", code.as_str_name());
            span.fail(status.message.clone());
        }
    }
}

/// Begins the spans of a call. `brought` are the contexts of its messages, with their ids.
fn open<'a>(
    edge: &EdgeState,
    caller: &Caller,
    about: &About<'_>,
    brought: impl Iterator<Item = (SpanContext, &'a str)>,
) -> Call {
    let Some(traces) = &edge.options.traces else { return Call(None) };
    let header = caller.traceparent();
    let brought: Vec<_> = brought.take(TRACED_MESSAGES_MAX).collect();
    let parents = brought.iter().map(|(context, _)| *context).chain(header);
    let parent = match traces.decide(parents) {
        Decision::Not => return Call(None),
        Decision::AsFirst => None,
        Decision::Under(parent) => Some(parent),
    };
    let mut span = begin(traces, caller, about, (parent, SpanKind::Server));
    if about.count == 1 && !about.id.is_empty() {
        span.set("messaging.message.id", about.id);
    }
    if about.count > 1 {
        span.set("messaging.batch.message_count", about.count);
    }
    if let Some(header) = header.filter(|header| header.sampled && Some(*header) != parent) {
        span.link(header);
    }
    let mut seen: Vec<SpanContext> = parent.into_iter().collect();
    let mut others = Vec::new();
    for (context, id) in brought.into_iter().filter(|(context, _)| context.sampled) {
        if seen.contains(&context) {
            continue;
        }
        seen.push(context);
        let mut other = begin(traces, caller, about, (Some(context), about.messages));
        other.set("messaging.message.id", id);
        other.link(span.context());
        others.push(other);
    }
    Call(Some(Box::new(Open { span, others })))
}

/// Begins a span, with what is said of all of a call's.
fn begin(
    traces: &Traces,
    caller: &Caller,
    about: &About<'_>,
    (parent, kind): (Option<SpanContext>, SpanKind),
) -> Span {
    let named = |resource: &Resource| full_name(resource, caller.namespace()).into_owned();
    let topic = about.topic.map(named).filter(|name| !name.is_empty());
    let name = match &topic {
        Some(topic) => format!("{} {topic}", about.operation),
        None => about.operation.to_owned(),
    };
    let mut span = Span::begin(traces.sink(), parent, name, kind);
    span.set("messaging.system", "rocketmq");
    span.set("messaging.operation.name", about.operation);
    span.set("messaging.operation.type", about.kind);
    if let Some(topic) = topic {
        span.set("messaging.destination.name", topic);
    }
    if let Some(group) = about.group {
        span.set("messaging.consumer.group.name", named(group));
    }
    if let Ok(client) = caller.client_id() {
        span.set("messaging.client.id", client);
    }
    span
}

/// `SendMessage`: under the context of its message; a batch under that of the first message that has one.
pub fn send(edge: &EdgeState, caller: &Caller, request: &SendMessageRequest) -> Call {
    let first = request.messages.first();
    let about = About {
        operation: "send",
        kind: "send",
        topic: first.and_then(|message| message.topic.as_ref()),
        group: None,
        messages: SpanKind::Producer,
        count: request.messages.len(),
        id: first.map_or("", message_id),
    };
    let brought =
        request.messages.iter().filter_map(|message| Some((context(message)?, message_id(message))));
    open(edge, caller, &about, brought)
}

/// `ReceiveMessage`: what comes is not known yet. See [`Deliveries`].
pub fn receive(edge: &EdgeState, caller: &Caller, request: &ReceiveMessageRequest) -> Call {
    let about = About {
        operation: "receive",
        kind: "receive",
        topic: request.message_queue.as_ref().and_then(|queue| queue.topic.as_ref()),
        group: request.group.as_ref(),
        messages: SpanKind::Consumer,
        count: 0,
        id: "",
    };
    open(edge, caller, &about, std::iter::empty())
}

/// `AckMessage`: under the deliveries, as the receipt handles tell.
pub fn acknowledge(edge: &EdgeState, caller: &Caller, request: &AckMessageRequest) -> Call {
    let about = About {
        count: request.entries.len(),
        id: request.entries.first().map_or("", |entry| &entry.message_id),
        ..settling("ack", request.topic.as_ref(), request.group.as_ref(), "")
    };
    let entries = request.entries.iter();
    let brought = entries.filter_map(|entry| Some((of_handle(&entry.receipt_handle)?, &*entry.message_id)));
    open(edge, caller, &about, brought)
}

/// `ChangeInvisibleDuration`: under the delivery.
pub fn change(edge: &EdgeState, caller: &Caller, request: &ChangeInvisibleDurationRequest) -> Call {
    let about = settling("change_lease", request.topic.as_ref(), request.group.as_ref(), &request.message_id);
    let brought = std::iter::once_with(|| of_handle(&request.receipt_handle)).flatten();
    open(edge, caller, &about, brought.map(|context| (context, &*request.message_id)))
}

/// `ForwardMessageToDeadLetterQueue`: under the delivery.
pub fn give_up(edge: &EdgeState, caller: &Caller, request: &ForwardMessageToDeadLetterQueueRequest) -> Call {
    let about = settling("dead_letter", request.topic.as_ref(), request.group.as_ref(), &request.message_id);
    let brought = std::iter::once_with(|| of_handle(&request.receipt_handle)).flatten();
    open(edge, caller, &about, brought.map(|context| (context, &*request.message_id)))
}

/// `EndTransaction`: under the context that it brings, which is the half message's.
pub fn end_transaction(edge: &EdgeState, caller: &Caller, request: &EndTransactionRequest) -> Call {
    let about = About {
        messages: SpanKind::Producer,
        ..settling("end_transaction", request.topic.as_ref(), None, &request.message_id)
    };
    let brought = std::iter::once_with(|| SpanContext::parse(&request.trace_context)).flatten();
    open(edge, caller, &about, brought.map(|context| (context, &*request.message_id)))
}

/// `RecallMessage`.
pub fn recall(edge: &EdgeState, caller: &Caller, request: &RecallMessageRequest) -> Call {
    let about = About { count: 0, ..settling("recall", request.topic.as_ref(), None, "") };
    open(edge, caller, &about, std::iter::empty())
}

fn settling<'a>(
    operation: &'static str,
    topic: Option<&'a Resource>,
    group: Option<&'a Resource>,
    id: &'a str,
) -> About<'a> {
    About { operation, kind: "settle", topic, group, messages: SpanKind::Consumer, count: 1, id }
}

fn message_id(message: &Message) -> &str {
    message.system_properties.as_ref().map_or("", |system| &system.message_id)
}

/// The context that a producer gave its message.
fn context(message: &Message) -> Option<SpanContext> {
    SpanContext::parse(message.system_properties.as_ref()?.trace_context.as_deref()?)
}

fn of_handle(text: &str) -> Option<SpanContext> {
    Handle::decode(text).ok()?.trace
}

/// The spans of the messages that a receive brings: each under the context of its message, so that one trace goes from
/// its sender to whoever settles it.
pub struct Deliveries {
    traces: Arc<Traces>,
    /// The receive, if that is traced.
    call: Option<SpanContext>,
    asked: Instant,
    topic: String,
    group: String,
    /// Whether all nodes can read the receipt handle of a traced delivery.
    marks_handles: bool,
}

impl Deliveries {
    /// Of a receive that begins; none if nothing is traced.
    pub fn begin(
        edge: &EdgeState,
        caller: &Caller,
        request: &ReceiveMessageRequest,
        call: &Call,
    ) -> Option<Deliveries> {
        let traces = edge.options.traces.as_ref()?;
        let named = |resource: Option<&Resource>| {
            resource.map(|resource| full_name(resource, caller.namespace()).into_owned()).unwrap_or_default()
        };
        Some(Deliveries {
            traces: traces.clone(),
            call: call.0.as_ref().map(|open| open.span.context()),
            asked: Instant::now(),
            topic: named(request.message_queue.as_ref().and_then(|queue| queue.topic.as_ref())),
            group: named(request.group.as_ref()),
            marks_handles: edge.node.catalog().feature_level >= FeatureLevel::TRACED_RECEIPTS,
        })
    }

    /// A message goes to its consumer: what settles it is a part of the same trace, as its receipt handle says from now on
    /// (if an older node could not get to see it).
    pub fn deliver(&self, message: &mut Message, delivered: &Delivered) {
        let own = context(message).filter(|context| context.sampled);
        let trace = match own {
            Some(own) => Some(self.span(own, message, delivered).context()),
            None => self.call,
        };
        let trace = trace.filter(|_| self.marks_handles);
        if let (Some(trace), Some(system)) = (trace, &mut message.system_properties) {
            let handle =
                Handle { receipt: delivered.receipt, attempt: delivered.attempt, trace: Some(trace) };
            system.receipt_handle = Some(handle.encode());
        }
    }

    /// From when it could have gone on: when it was stored, or when it was asked for, whichever is later.
    fn span(&self, own: SpanContext, message: &Message, delivered: &Delivered) -> Span {
        let name = format!("deliver {}", self.topic);
        let mut span = Span::begin(self.traces.sink(), Some(own), name, SpanKind::Consumer);
        let age = Duration::from_millis(clock::now_ms().saturating_sub(delivered.stored_ms));
        span.since(Instant::now().checked_sub(age).map_or(self.asked, |stored| stored.max(self.asked)));
        span.set("messaging.system", "rocketmq");
        span.set("messaging.operation.name", "deliver");
        span.set("messaging.operation.type", "receive");
        span.set("messaging.destination.name", self.topic.as_str());
        span.set("messaging.consumer.group.name", self.group.as_str());
        span.set("messaging.message.id", message_id(message));
        span.set("messaging.message.body.size", message.body.len());
        span.set("ledgermq.delivery_attempt", u64::from(delivered.attempt.max(1)));
        if let Some(call) = self.call {
            span.link(call);
        }
        span
    }
}
