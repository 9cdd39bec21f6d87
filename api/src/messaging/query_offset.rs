//! `QueryOffset`: not built yet, and says so in-band.

use proto::v2::QueryOffsetResponse;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Answers NOT_IMPLEMENTED.
pub fn query_offset(caller: &Caller) -> QueryOffsetResponse {
    let status = Fault::NotImplemented("QueryOffset").status(caller.language());
    QueryOffsetResponse { status: Some(status), ..QueryOffsetResponse::default() }
}
