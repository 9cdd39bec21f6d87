//! Commands, the deterministic state machine, the adapters to openraft, and the node that hosts
//! many groups. No gRPC type of a client enters here, and no openraft type leaves.

pub mod access;
pub mod catalog;
pub mod clock;
pub mod command;
mod consensus;
pub mod features;
pub mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod group;
pub mod hash;
pub mod limits;
pub mod machine;
pub mod measure;
pub mod names;
pub mod node;
pub mod outcome;
pub mod question;
pub mod repair;
pub mod request;
pub mod restore;
mod seams;
pub mod settings;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod spans;
pub mod tls;
