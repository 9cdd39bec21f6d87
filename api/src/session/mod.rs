//! What this node knows of connected clients: soft state, lost with the process. Nothing needs it
//! before a send, a receive or a heartbeat.

pub mod client_properties;
pub mod lite;
pub mod pending;
pub mod registry;
pub mod remote;
pub mod settings;
