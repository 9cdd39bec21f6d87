//! Commands, the deterministic state machine, the adapters to openraft, and the node that hosts
//! many groups. No gRPC type of a client enters here, and no openraft type leaves.

pub mod catalog;
pub mod hash;
pub mod names;
pub mod node;
pub mod request;
