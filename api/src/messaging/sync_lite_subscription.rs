//! `SyncLiteSubscription`: not built yet, and says so in-band.

use proto::v2::SyncLiteSubscriptionResponse;

use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Answers NOT_IMPLEMENTED.
pub fn sync_lite_subscription(caller: &Caller) -> SyncLiteSubscriptionResponse {
    let status = Fault::NotImplemented("SyncLiteSubscription").status(caller.language());
    SyncLiteSubscriptionResponse { status: Some(status) }
}
