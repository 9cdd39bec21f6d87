//! Snapshots and purges of the Raft log: three nodes in one process, over real sockets and real disks.

mod backup;
mod catch_up;
mod cluster;
mod divergence;
mod lookups;
#[path = "../own_address/mod.rs"]
mod own_address;
mod refusals;
mod restarts;
mod retention;
mod waiting;
