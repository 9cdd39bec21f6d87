//! The surroundings of nodes in a simulation: many nodes in one process and on one thread, where a seed decides
//! everything that chance and time decide elsewhere.
//!
//! Each node is a host of turmoil, which gives it a runtime whose time stands still unless the simulation moves it, and a
//! network. The rest is here: [`begin`] a run with a seed, [`enter`] a host with its disk and its clock, and let
//! [`crate::node::Node`] start in it. What [`view`] shows is for invariants.
//!
//! Simulated are all production lines of this crate and of `store` but these:
//!
//! - The thread of a log's writer: its work is done by a task, a queue at a time ([`store::commit_log::Stepper`]), after a
//!   delay that stands for the disk's. `spawn_blocking` is a task too. So there are no races between threads to be found.
//! - RocksDB: tables are in memory and what was flushed is in a file ([`store::tables::FileTables`]). That file, the
//!   snapshots' directories and the mark of a rebuilding are on the machine's real disk, which does not lose power.
//! - The sockets: turmoil's, below the real tonic and HTTP/2. A partition drops what is sent, and a connection does not
//!   recover from that, as TCP would: it ends by HTTP/2's pings.
//! - The client edge (crate `api`).
//!
//! Not decided by the seed are the keys of std's hash maps and the branch at which tokio's `select!` begins, if it is not
//! `biased`. Where one of them mattered, the same seed would give two traces: the first test looks for that.

mod runtime;
pub(crate) mod surroundings;
pub mod view;
mod watch;
mod world;

pub use world::{
    Host, Vote, begin, enter, note, passed, random, stall_disk, trace_hash, trace_text, votes_granted,
};
