//! A cluster of processes on this machine, for trying things out and for tests.
//!
//! ```text
//! DIR/local.json        which nodes, their ports and processes
//! DIR/local.lock        held while local.json is changed
//! DIR/node1/node.toml   the configuration
//! DIR/node1/data/       everything the node keeps
//! DIR/node1/log         what the process prints
//! ```

pub mod launch;
pub mod process;
pub mod state;
pub mod status;
