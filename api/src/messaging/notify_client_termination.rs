//! `NotifyClientTermination`: a client says goodbye.

use std::sync::Arc;

use proto::v2::{NotifyClientTerminationRequest, NotifyClientTerminationResponse};
use tokio::time::Instant;

use crate::convert::status::ok;
use crate::edge::EdgeState;
use crate::limits::RELEASE_TIMEOUT;
use crate::messaging::caller::Caller;

/// Forgets the client and releases its leases. The answer comes when they are released: a client of the same
/// id that comes back at once must not lose its new leases with the old.
pub async fn notify_client_termination(
    edge: &Arc<EdgeState>,
    caller: &Caller,
    request: &NotifyClientTerminationRequest,
) -> NotifyClientTerminationResponse {
    let status = match edge.admit_client(caller, request) {
        Ok(client_id) => {
            edge.sessions.remove(&client_id);
            edge.lite.remove(&client_id);
            edge.release(&client_id, caller.deadline().min(Instant::now() + RELEASE_TIMEOUT)).await;
            ok()
        }
        Err(fault) => fault.status(caller.language()),
    };
    NotifyClientTerminationResponse { status: Some(status) }
}
