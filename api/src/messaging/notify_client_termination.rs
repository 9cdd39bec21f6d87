//! `NotifyClientTermination`: a client says goodbye.

use std::sync::Arc;

use proto::v2::NotifyClientTerminationResponse;

use crate::convert::status::ok;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;

/// Forgets the client; its leases are released in the background, within a second.
pub fn notify_client_termination(edge: &Arc<EdgeState>, caller: &Caller) -> NotifyClientTerminationResponse {
    let status = match caller.client_id() {
        Ok(client_id) => {
            edge.sessions.remove(client_id);
            edge.lite.remove(client_id);
            edge.release(client_id);
            ok()
        }
        Err(fault) => fault.status(caller.language()),
    };
    NotifyClientTerminationResponse { status: Some(status) }
}
