//! What every request of the client port passes before it reaches a service: is there room for it?
//!
//! A request counts until its answer is at its end. Its own bytes count while they come: those of a call with one message until
//! the message is there, those of a stream until each of its messages is. A request that does not come to its end is given up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Body as HttpBody;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use super::Peer;
use super::framing::Framing;
use super::holdings::{Held, Holdings, Taken};
use crate::limits::REQUEST_BODY_WAIT_MAX;

/// Methods to which a client sends messages for as long as it likes, by the end of their paths.
const STREAMS_IN: [&str; 3] = ["/Telemetry", "/CopyReplica", "/ServerReflectionInfo"];

/// Puts the admission before a service.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionLayer(pub Arc<Holdings>);

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission { holdings: self.0.clone(), inner }
    }
}

/// Lets in what there is room for.
#[derive(Clone, Debug)]
pub(crate) struct Admission<S> {
    holdings: Arc<Holdings>,
    inner: S,
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(holder) = request.extensions().get::<Peer>().map(|peer| peer.holder.clone()) else {
            // Only what came over a connection of ours gets here.
            return Box::pin(self.inner.call(request));
        };
        let Some(taken) = self.holdings.take(&holder, Held::Requests, 1) else {
            let refused = no_room(Held::Requests).into_http();
            return Box::pin(async move { Ok(refused) });
        };
        let bytes = self.holdings.keep(&holder, Held::RequestBytes, 0);
        let streams = STREAMS_IN.iter().any(|path| request.uri().path().ends_with(path));
        let answer = self.inner.call(request.map(|body| Body::new(Incoming::new(body, bytes, streams))));
        Box::pin(async move { Ok(answer.await?.map(|body| Body::new(Answer { body, _taken: taken }))) })
    }
}

fn no_room(what: Held) -> Status {
    Status::resource_exhausted(format!("too many {}: try again later", what.sentence()))
}

/// A request's bytes, counted.
struct Incoming {
    body: Body,
    taken: Taken,
    /// Of a stream: where its messages end.
    framing: Option<Framing>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    fn new(body: Body, taken: Taken, streams: bool) -> Incoming {
        Incoming { body, taken, framing: streams.then(Framing::default), patience: None }
    }

    fn came(&mut self, bytes: &Bytes) -> Result<(), Status> {
        if !self.taken.grow(bytes.len()) {
            return Err(no_room(Held::RequestBytes));
        }
        if let Some(framing) = &mut self.framing {
            let done =
                framing.came(bytes).map_err(|too_long| Status::resource_exhausted(too_long.to_string()))?;
            self.taken.shrink(done);
        }
        Ok(())
    }

    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        if self.framing.is_some() {
            return false;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(REQUEST_BODY_WAIT_MAX)));
        patience.as_mut().poll(context).is_ready()
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let counted = frame.data_ref().map_or(Ok(()), |bytes| self.came(bytes));
                Poll::Ready(Some(counted.map(|()| frame)))
            }
            Poll::Pending if self.is_given_up(context) => {
                let late = format!("the request was not there after {} s", REQUEST_BODY_WAIT_MAX.as_secs());
                Poll::Ready(Some(Err(Status::deadline_exceeded(late))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// An answer, whose request counts until it is at its end.
struct Answer {
    body: Body,
    _taken: Taken,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
