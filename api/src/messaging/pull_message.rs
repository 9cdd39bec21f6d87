//! `PullMessage`: not built yet, and says so in-band.

use std::pin::Pin;

use futures::stream::{self, Stream};
use proto::v2::PullMessageResponse;
use proto::v2::pull_message_response::Content;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// The answer's frames.
pub type PullStream = Pin<Box<dyn Stream<Item = Result<PullMessageResponse, tonic::Status>> + Send>>;

/// Answers NOT_IMPLEMENTED.
pub fn pull_message(caller: &Caller) -> PullStream {
    let status = Fault::NotImplemented("PullMessage").status(caller.language());
    let frame = PullMessageResponse { content: Some(Content::Status(status)) };
    Box::pin(stream::iter([Ok(frame)]))
}
