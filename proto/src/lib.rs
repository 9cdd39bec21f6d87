//! The wire: generated code of the .proto files, and nothing else.

#![allow(missing_docs, clippy::all)]

/// How the nodes of one cluster speak to each other.
pub mod peer {
    tonic::include_proto!("ledgermq.peer.v1");
}

/// What the command line asks of a node.
pub mod admin {
    tonic::include_proto!("ledgermq.admin.v1");
}
