//! Where this node's spans go, and traces that come from other nodes.

use std::sync::Arc;

use proto::peer;

use crate::node::{Node, NodeInner};
use crate::spans::{SpanContext, SpanSink, Trail};

impl Node {
    /// Has the spans of traced requests recorded, whichever node they came to. The first call counts.
    pub fn record_spans(&self, sink: Arc<dyn SpanSink>) {
        let _ = self.inner.spans.set(sink);
    }
}

impl NodeInner {
    /// The trail of a request that a peer traces; none if this node records nothing.
    pub(crate) fn trail_of(&self, span: Option<&peer::SpanContext>) -> Option<Trail> {
        let span = span?;
        Some(Trail::new(self.spans.get()?.clone(), SpanContext::of_peer(span)))
    }
}
