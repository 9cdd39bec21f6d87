//! `UpdateOffset`: not built yet, and says so in-band.

use proto::v2::UpdateOffsetResponse;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Answers NOT_IMPLEMENTED.
pub fn update_offset(caller: &Caller) -> UpdateOffsetResponse {
    let status = Fault::NotImplemented("UpdateOffset").status(caller.language());
    UpdateOffsetResponse { status: Some(status) }
}
