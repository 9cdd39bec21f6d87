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
            match edge.client_of(caller).map(|client_id| (client_id, edge.admit(caller, request))) {
                Ok((client_id, Ok(()))) => {
                    edge.client_seen(&client_id, caller);
                    ok()
                }
                Ok((_, Err(fault))) => fault.status(caller.language()),
                // Nothing is noted, so nobody need be asked who it is.
                Err(_) => ok(),
            }
        }
    };
    HeartbeatResponse { status: Some(status) }
}
