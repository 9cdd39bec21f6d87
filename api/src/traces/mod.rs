//! Traces: which calls of clients are traced, and the way of spans to a collector, by OTLP over gRPC.
//!
//! A call is traced if it brings a parent that is recorded: the trace context of its message, of the lease that it settles
//! (a receipt handle carries it), or its header `traceparent`. Of the calls that bring none a share is traced ([`calls`]).
//! What happens to a traced call within the cluster is timed by [`raft::spans`], on whichever node.
//!
//! Nobody waits for the collector: spans wait in a bounded queue, and what is beyond is dropped and counted ([`export`]).

pub mod calls;
mod export;
mod otlp;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use raft::spans::{EndedSpan, SpanContext, SpanSink};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::limits::{SPANS_FLUSH_WAIT, SPANS_QUEUED_MAX};
use export::Export;

/// Where spans go, and of which calls.
#[derive(Clone, Debug)]
pub struct TraceOptions {
    /// `http://host:port` of the collector.
    pub endpoint: String,
    /// Which share is traced of the calls that bring no parent: 0 none, 1 all.
    pub sample_ratio: f64,
    /// What this program is called in traces.
    pub service: String,
    /// This node's name.
    pub node: String,
    /// The cluster's name.
    pub cluster: String,
}

/// What traces this node's calls.
pub struct Traces {
    ratio: f64,
    queue: Arc<SpanQueue>,
    closing: CancellationToken,
    closed: CancellationToken,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("ratio", &self.ratio).finish_non_exhaustive()
    }
}

/// Whether a call is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Not,
    /// As the first span of a trace.
    AsFirst,
    Under(SpanContext),
}

impl Traces {
    /// Starts the task that exports. The collector is dialled when there is something to tell.
    ///
    /// # Errors
    /// A sentence, if the endpoint is none.
    pub fn start(options: &TraceOptions) -> Result<Arc<Traces>, String> {
        let (sender, receiver) = mpsc::channel(SPANS_QUEUED_MAX);
        let queue = Arc::new(SpanQueue { sender, dropped: AtomicU64::new(0) });
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let export = Export::new(options, queue.clone())?;
        let (until, ended) = (closing.clone(), closed.clone().drop_guard());
        tokio::spawn(async move {
            export.run(receiver, until).await;
            drop(ended);
        });
        Ok(Arc::new(Traces { ratio: options.sample_ratio, queue, closing, closed }))
    }

    /// Who takes this node's spans.
    pub fn sink(&self) -> Arc<dyn SpanSink> {
        self.queue.clone()
    }

    /// Spans that no collector got: there were too many, or it did not take them.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Exports what there is, for a moment at most. What comes later is dropped.
    pub async fn close(&self) {
        self.closing.cancel();
        let _ = timeout(SPANS_FLUSH_WAIT, self.closed.cancelled()).await;
    }

    /// The first parent that is recorded is followed. Who brings only parents that are not is not traced; of those who
    /// bring none at all a share is.
    fn decide(&self, mut parents: impl Iterator<Item = SpanContext>) -> Decision {
        let Some(first) = parents.next() else {
            return match self.ratio > 0.0 && rand::random::<f64>() < self.ratio {
                true => Decision::AsFirst,
                false => Decision::Not,
            };
        };
        let recorded = std::iter::once(first).chain(parents).find(|parent| parent.sampled);
        recorded.map_or(Decision::Not, Decision::Under)
    }
}

/// Spans on their way out.
struct SpanQueue {
    sender: mpsc::Sender<EndedSpan>,
    dropped: AtomicU64,
}

impl SpanQueue {
    fn drop_spans(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

impl SpanSink for SpanQueue {
    fn ended(&self, span: EndedSpan) {
        if self.sender.try_send(span).is_err() {
            self.drop_spans(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(ratio: f64) -> Arc<Traces> {
        let options = TraceOptions {
            endpoint: "http://127.0.0.1:1".into(),
            sample_ratio: ratio,
            service: "test".into(),
            node: "node1".into(),
            cluster: "test".into(),
        };
        Traces::start(&options).unwrap()
    }

    fn context(span: u64, sampled: bool) -> SpanContext {
        SpanContext { trace: 7, span, sampled }
    }

    #[tokio::test]
    async fn a_recorded_parent_is_followed_and_an_unrecorded_one_too() {
        let (none, all) = (traces(0.0), traces(1.0));
        assert_eq!(none.decide([].into_iter()), Decision::Not);
        assert_eq!(all.decide([].into_iter()), Decision::AsFirst);
        let (yes, no) = (context(1, true), context(2, false));
        for traces in [none, all] {
            assert_eq!(traces.decide([no, yes].into_iter()), Decision::Under(yes));
            assert_eq!(traces.decide([no].into_iter()), Decision::Not);
        }
        let some = traces(0.5);
        let traced = (0..1_000).filter(|_| some.decide([].into_iter()) == Decision::AsFirst).count();
        assert!((300..700).contains(&traced), "{traced}");
    }

    #[tokio::test]
    async fn what_is_beyond_the_bound_is_dropped_and_counted() {
        let traces = traces(0.0);
        let sink = traces.sink();
        // Nothing else runs on this thread meanwhile, so nothing is taken away.
        for _ in 0..SPANS_QUEUED_MAX + 5 {
            drop(raft::spans::Span::begin(sink.clone(), None, "x", raft::spans::SpanKind::Internal));
        }
        assert_eq!(traces.dropped(), 5);
        traces.close().await;
        assert!(traces.dropped() > 5, "nobody listens at the endpoint");
    }
}
