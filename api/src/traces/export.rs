//! The task that brings spans to the collector, many in one call.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource;
use raft::spans::EndedSpan;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::{SpanQueue, TraceOptions, otlp};
use crate::limits::SPANS_BATCH_MAX;

/// Spans wait so long for others to go with them.
const BATCH_WAIT: Duration = Duration::from_secs(1);
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// A collector that takes longer does not get them.
const EXPORT_WAIT_MAX: Duration = Duration::from_secs(5);
/// A collector that fails is spoken of no more often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What the task works with.
pub(super) struct Export {
    client: TraceServiceClient<Channel>,
    resource: Resource,
    queue: Arc<SpanQueue>,
    told: Option<Instant>,
}

impl Export {
    pub(super) fn new(options: &TraceOptions, queue: Arc<SpanQueue>) -> Result<Export, String> {
        let endpoint = Endpoint::from_shared(options.endpoint.clone())
            .and_then(|endpoint| endpoint.user_agent(concat!("ledgermq/", env!("CARGO_PKG_VERSION"))))
            .map_err(|error| format!("tracing.otlp_endpoint is `{}`: {error}", options.endpoint))?;
        let channel = endpoint.connect_timeout(CONNECT_WAIT_MAX).connect_lazy();
        let resource = otlp::resource(options);
        Ok(Export { client: TraceServiceClient::new(channel), resource, queue, told: None })
    }

    /// Runs until `closing` fires and nothing is left.
    pub(super) async fn run(mut self, mut spans: mpsc::Receiver<EndedSpan>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(SPANS_BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                count = spans.recv_many(&mut batch, SPANS_BATCH_MAX) => if count == 0 { return },
                () = closing.cancelled() => {
                    spans.close();
                    return self.rest(spans, batch).await;
                }
            }
            let full = fill(&mut batch, &mut spans, Instant::now() + BATCH_WAIT);
            tokio::select! {
                () = full => {}
                () = closing.cancelled() => {}
            }
            self.export(std::mem::take(&mut batch)).await;
        }
    }

    async fn rest(mut self, mut spans: mpsc::Receiver<EndedSpan>, mut batch: Vec<EndedSpan>) {
        while spans.recv_many(&mut batch, SPANS_BATCH_MAX).await > 0 {
            self.export(std::mem::take(&mut batch)).await;
        }
    }

    async fn export(&mut self, spans: Vec<EndedSpan>) {
        let count = spans.len() as u64;
        let request = otlp::request(spans, &self.resource);
        let answer = timeout(EXPORT_WAIT_MAX, self.client.export(request)).await;
        let (lost, reason) = match answer {
            Ok(Ok(answer)) => match answer.into_inner().partial_success {
                Some(partial) if partial.rejected_spans > 0 => {
                    (u64::try_from(partial.rejected_spans).unwrap_or(0), partial.error_message)
                }
                _ => return,
            },
            Ok(Err(status)) => (count, status.message().to_owned()),
            Err(_) => (count, format!("no answer within {} s", EXPORT_WAIT_MAX.as_secs())),
        };
        self.queue.drop_spans(lost);
        if self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(spans = lost, %reason, "the collector of traces did not take spans; they are dropped");
        }
    }
}

/// Takes more spans until there are enough, or until then.
async fn fill(batch: &mut Vec<EndedSpan>, spans: &mut mpsc::Receiver<EndedSpan>, until: Instant) {
    while batch.len() < SPANS_BATCH_MAX {
        let room = SPANS_BATCH_MAX - batch.len();
        match timeout_at(until, spans.recv_many(batch, room)).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
    }
}
