//! Spans as OTLP has them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status};
use raft::spans::{EndedSpan, SpanContext, SpanKind, Value};

use super::TraceOptions;

/// The flags of a span that is recorded.
const SAMPLED: u32 = 1;

/// What says where spans come from.
pub(super) fn resource(options: &TraceOptions) -> Resource {
    let says = [
        ("service.name", options.service.as_str()),
        ("service.instance.id", &options.node),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("ledgermq.cluster", &options.cluster),
    ];
    let attributes = says.into_iter().map(|(key, text)| attribute(key, text.into())).collect();
    Resource { attributes, ..Resource::default() }
}

/// A call with these spans.
pub(super) fn request(spans: Vec<EndedSpan>, resource: &Resource) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope { name: "ledgermq".into(), ..InstrumentationScope::default() };
    let spans = spans.into_iter().map(wire_span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans =
        ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn wire_span(ended: EndedSpan) -> Span {
    let status = ended.error.map(|message| Status { message, code: status::StatusCode::Error as i32 });
    Span {
        trace_id: ended.context.trace.to_be_bytes().to_vec(),
        span_id: ended.context.span.to_be_bytes().to_vec(),
        parent_span_id: match ended.parent {
            0 => Vec::new(),
            parent => parent.to_be_bytes().to_vec(),
        },
        flags: SAMPLED,
        name: ended.name,
        kind: wire_kind(ended.kind) as i32,
        start_time_unix_nano: ended.begun_ns,
        end_time_unix_nano: ended.ended_ns,
        attributes: ended.attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        links: ended.links.iter().map(wire_link).collect(),
        status,
        ..Span::default()
    }
}

fn wire_kind(kind: SpanKind) -> span::SpanKind {
    match kind {
        SpanKind::Internal => span::SpanKind::Internal,
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Client => span::SpanKind::Client,
        SpanKind::Producer => span::SpanKind::Producer,
        SpanKind::Consumer => span::SpanKind::Consumer,
    }
}

fn wire_link(to: &SpanContext) -> span::Link {
    span::Link {
        trace_id: to.trace.to_be_bytes().to_vec(),
        span_id: to.span.to_be_bytes().to_vec(),
        flags: SAMPLED,
        ..span::Link::default()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
