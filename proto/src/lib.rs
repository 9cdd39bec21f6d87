//! The wire: generated code of the .proto files, and nothing else.

#![allow(missing_docs, clippy::all)]

/// The public protocol of RocketMQ 5: messages, `messaging_service_*` and `admin_*`.
pub mod v2 {
    tonic::include_proto!("apache.rocketmq.v2");
}

/// How the nodes of one cluster speak to each other.
pub mod peer {
    tonic::include_proto!("ledgermq.peer.v1");
}

/// What the command line asks of a node.
pub mod admin {
    tonic::include_proto!("ledgermq.admin.v1");
}

/// An encoded `google.protobuf.FileDescriptorSet` with every file of this crate and what they
/// import, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same for the admin service alone, with the comments of its file.
pub const ADMIN_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin.bin"));
