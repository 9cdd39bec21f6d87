//! Three nodes in one process, over real sockets and real disks.

mod cluster;
mod leaders;
mod messages;
mod rules;
mod sql;
