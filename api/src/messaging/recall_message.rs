//! `RecallMessage`: not built yet, and says so in-band.

use proto::v2::RecallMessageResponse;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Answers NOT_IMPLEMENTED.
pub fn recall_message(caller: &Caller) -> RecallMessageResponse {
    let status = Fault::NotImplemented("RecallMessage").status(caller.language());
    RecallMessageResponse { status: Some(status), ..RecallMessageResponse::default() }
}
