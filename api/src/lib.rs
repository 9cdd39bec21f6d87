//! The client edge of a LedgerMQ node: gRPC services, sessions, long polls and administration.
//!
//! Nothing here knows how bytes are stored or how replicas agree: the cluster is a
//! [`raft::node::Node`]. Types generated from .proto files stop in [`convert`] and in the service
//! files themselves.

pub mod admin;
pub mod check;
pub mod convert;
pub mod delivery;
pub mod edge;
pub mod edge_options;
pub mod limits;
pub mod messaging;
pub mod server;
pub mod session;
pub mod tls;

pub use edge::{Edge, EdgeError, serve};
pub use edge_options::{EdgeLimits, EdgeOptions, TlsOptions};
