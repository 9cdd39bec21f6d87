//! Three nodes in one process, over real sockets and real disks.

mod cluster;
mod joining;
mod leaders;
mod messages;
#[path = "../own_address/mod.rs"]
mod own_address;
mod rules;
mod sql;
mod tls;
mod upgrade;
mod voters;
