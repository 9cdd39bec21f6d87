//! A LedgerMQ node as a process: the client edge, the HTTP port, the command line.
//!
//! The edge is gRPC services, sessions, long polls and administration. Nothing in it knows how bytes
//! are stored or how replicas agree: the cluster is a [`raft::node::Node`]. Types generated from
//! .proto files stop in [`convert`] and in the service files themselves; the client half (`client`,
//! `bench`, `cli`) speaks them, and knows nothing of the edge.

pub mod access;
pub mod admin;
mod backup;
mod bench;
mod boot;
mod bundle;
pub mod check;
pub mod cli;
mod client;
pub mod client_port;
pub mod convert;
pub mod delivery;
mod doctor;
pub mod edge;
pub mod edge_options;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod http;
pub mod limits;
mod local;
pub mod messaging;
pub mod metrics;
mod options;
mod orphans;
pub mod port;
pub mod quota;
mod rebalance;
pub mod rocketmq_admin;
mod sentence;
pub mod server;
pub mod session;
mod stand_in;
pub mod tls;
mod tls_clients;
pub mod traces;
pub mod traffic;

pub use edge::{Edge, EdgeError, serve};
pub use edge_options::{EdgeLimits, EdgeOptions, TlsOptions};
