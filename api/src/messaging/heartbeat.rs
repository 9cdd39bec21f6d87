//! `Heartbeat`: a client is there. Every 10 s from most clients, every 30 s from Rust's.

use proto::v2::{ClientType, HeartbeatRequest, HeartbeatResponse};

use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;

/// Notes that the client is there. Needs no settings, and tolerates a missing client id: the Go
/// client's heartbeat after an outage has none.
pub fn heartbeat(edge: &EdgeState, caller: &Caller, request: &HeartbeatRequest) -> HeartbeatResponse {
    let status = match request.client_type() {
        ClientType::Unspecified => {
            let number = request.client_type;
            Fault::UnrecognizedClientType(format!("the client type {number} is unknown"))
                .status(caller.language())
        }
        _ => {
            // Without an id nothing is noted, so nobody need be asked who it is.
            match caller.client_id().map(|_| edge.admit_client(caller, request)) {
                Ok(Ok(client_id)) => {
                    edge.client_seen(&client_id, caller);
                    ok()
                }
                Ok(Err(fault)) => fault.status(caller.language()),
                Err(_) => ok(),
            }
        }
    };
    HeartbeatResponse { status: Some(status) }
}
