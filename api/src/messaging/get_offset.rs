//! `GetOffset`: not built yet, and says so in-band.

use proto::v2::GetOffsetResponse;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Answers NOT_IMPLEMENTED.
pub fn get_offset(caller: &Caller) -> GetOffsetResponse {
    let status = Fault::NotImplemented("GetOffset").status(caller.language());
    GetOffsetResponse { status: Some(status), ..GetOffsetResponse::default() }
}
