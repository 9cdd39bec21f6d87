//! Spans: how long the parts of a traced request took, on whichever node.
//!
//! Somebody else decides which requests are traced and takes the spans away ([`SpanSink`]). Here they are timed. What
//! belongs to a traced request finds its [`Trail`] in the task that serves it ([`within`], [`current`]); with no trail
//! nothing is allocated and no clock is read. The state machine never sees any of it (rule R4).

mod context;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::Either;
use tokio::task::futures::TaskLocalFuture;

pub use context::SpanContext;

use crate::seams;

/// What part its owner plays in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work within a node.
    Internal,
    /// A call that is answered.
    Server,
    /// A call that is made.
    Client,
    /// A message that comes in.
    Producer,
    /// A message that goes out, or is settled.
    Consumer,
}

/// What an attribute of a span says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::from(number as u64)
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSpan {
    /// What names it.
    pub context: SpanContext,
    /// The span of the same trace that it is a part of; 0 for none.
    pub parent: u64,
    /// What was done.
    pub name: String,
    /// In which part.
    pub kind: SpanKind,
    /// When it began, nanoseconds since 1970 by the wall clock.
    pub begun_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<SpanContext>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Who takes spans. It must not block.
pub trait SpanSink: Send + Sync + 'static {
    /// Takes one that has ended.
    fn ended(&self, span: EndedSpan);
}

/// A span that goes on. It ends when it is dropped, so that of a request that is given up a span is left too.
pub struct Span(Box<Begun>);

struct Begun {
    sink: Arc<dyn SpanSink>,
    begun: Instant,
    /// Its end is not known yet.
    span: EndedSpan,
}

impl Span {
    /// Begins one, under `parent` or as the first of a trace.
    pub fn begin(
        sink: Arc<dyn SpanSink>,
        parent: Option<SpanContext>,
        name: impl Into<String>,
        kind: SpanKind,
    ) -> Span {
        let context = SpanContext {
            trace: parent.map_or_else(|| seams::random().max(1), |parent| parent.trace),
            span: (seams::random() as u64).max(1),
            sampled: true,
        };
        let span = EndedSpan {
            context,
            parent: parent.map_or(0, |parent| parent.span),
            name: name.into(),
            kind,
            begun_ns: 0,
            ended_ns: 0,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        };
        Span(Box::new(Begun { sink, begun: Instant::now(), span }))
    }

    /// What names it.
    pub fn context(&self) -> SpanContext {
        self.0.span.context
    }

    /// For its children.
    pub fn trail(&self) -> Trail {
        Trail::new(self.0.sink.clone(), self.context())
    }

    /// It began then.
    pub fn since(&mut self, begun: Instant) {
        self.0.begun = begun;
    }

    /// Says more of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.span.attributes.push((key, value.into()));
    }

    /// It has to do with a span of another trace.
    pub fn link(&mut self, to: SpanContext) {
        self.0.span.links.push(to);
    }

    /// It fails.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.0.span.error = Some(reason.into());
    }

    fn end(mut self, ended: Instant) {
        self.0.span.ended_ns = unix_ns(ended);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Begun { sink, begun, span } = &mut *self.0;
        if span.ended_ns == 0 {
            span.ended_ns = unix_ns(Instant::now());
        }
        span.begun_ns = unix_ns(*begun).min(span.ended_ns);
        let empty = EndedSpan {
            name: String::new(),
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
            ..*span
        };
        sink.ended(std::mem::replace(span, empty));
    }
}

/// What the wall clock showed at `then`, in nanoseconds since 1970.
fn unix_ns(then: Instant) -> u64 {
    let ago = Instant::now().saturating_duration_since(then);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.saturating_sub(ago).as_nanos() as u64
}

/// Where in a trace a request is: what begins under it is a child of that span. Cheap to clone.
#[derive(Clone)]
pub struct Trail(Arc<Under>);

struct Under {
    sink: Arc<dyn SpanSink>,
    span: SpanContext,
}

impl Trail {
    /// Under a span, which may be one of another process.
    pub fn new(sink: Arc<dyn SpanSink>, span: SpanContext) -> Trail {
        Trail(Arc::new(Under { sink, span }))
    }

    /// The span that it is under.
    pub fn context(&self) -> SpanContext {
        self.0.span
    }

    /// Begins a span.
    pub fn child(&self, name: impl Into<String>, kind: SpanKind) -> Span {
        Span::begin(self.0.sink.clone(), Some(self.0.span), name, kind)
    }

    /// Leaves a span that has been.
    pub(crate) fn was(
        &self,
        name: &'static str,
        (begun, ended): (Instant, Instant),
        attributes: &[(&'static str, Value)],
    ) {
        let mut span = self.child(name, SpanKind::Internal);
        span.since(begun);
        span.0.span.attributes.extend_from_slice(attributes);
        span.end(ended);
    }
}

tokio::task_local! {
    static TRAIL: Trail;
}

/// What serves a request, under the request's trail if it is traced.
pub type Within<F> = Either<F, Pin<Box<TaskLocalFuture<Trail, F>>>>;

/// Has `future`, and all that it awaits in its own task, find this trail.
pub fn within<F: Future>(trail: Option<Trail>, future: F) -> Within<F> {
    match trail {
        None => Either::Left(future),
        Some(trail) => Either::Right(Box::pin(TRAIL.scope(trail, future))),
    }
}

/// The trail of the request that this task serves, if that is traced.
pub fn current() -> Option<Trail> {
    TRAIL.try_with(Trail::clone).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<EndedSpan>>);

    impl SpanSink for Kept {
        fn ended(&self, span: EndedSpan) {
            self.0.lock().unwrap().push(span);
        }
    }

    #[tokio::test]
    async fn a_child_is_found_in_the_task_of_its_request_and_nowhere_else() {
        let kept = Arc::new(Kept::default());
        let request = Span::begin(kept.clone(), None, "request", SpanKind::Server);
        let parent = request.context();
        assert!(current().is_none());
        assert!(within(None, async { current() }).await.is_none());
        within(Some(request.trail()), async {
            tokio::task::yield_now().await;
            let mut child = current().expect("a trail").child("child", SpanKind::Internal);
            child.set("count", 3_u64);
            assert!(tokio::spawn(async { current() }).await.unwrap().is_none());
        })
        .await;
        assert!(current().is_none());
        drop(request);
        let spans = kept.0.lock().unwrap();
        let [child, request] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((child.context.trace, child.parent), (parent.trace, parent.span));
        assert_eq!((&*child.name, request.parent), ("child", 0));
        assert_eq!(child.attributes, [("count", Value::Number(3))]);
        assert!(request.begun_ns <= child.begun_ns + 1_000_000 && child.begun_ns <= child.ended_ns);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_leaves_its_span() {
        let kept = Arc::new(Kept::default());
        let trail = Trail::new(kept.clone(), SpanContext { trace: 1, span: 2, sampled: true });
        let waiting = async {
            let _span = current().expect("a trail").child("wait", SpanKind::Client);
            std::future::pending::<()>().await;
        };
        let given_up = tokio::time::timeout(Duration::from_millis(10), within(Some(trail), waiting)).await;
        assert!(given_up.is_err());
        let spans = kept.0.lock().unwrap();
        assert_eq!((spans.len(), spans[0].context.trace, spans[0].parent), (1, 1, 2));
        assert!(spans[0].ended_ns >= spans[0].begun_ns + 5_000_000, "{spans:?}");
    }
}
