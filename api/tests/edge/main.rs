//! The client edge over a real node: one process, real sockets, a real disk.

mod admin;
mod client;
mod consumers;
mod limits;
mod lite;
mod lookup;
mod port;
mod priority;
mod pull;
mod send_receive;
mod sessions;
mod sql;
mod support;
mod waiting;
