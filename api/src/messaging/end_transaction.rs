//! `EndTransaction`: not built yet, and says so in-band.

use proto::v2::EndTransactionResponse;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Answers NOT_IMPLEMENTED.
pub fn end_transaction(caller: &Caller) -> EndTransactionResponse {
    let status = Fault::NotImplemented("EndTransaction").status(caller.language());
    EndTransactionResponse { status: Some(status) }
}
