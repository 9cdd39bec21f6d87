//! The client edge over a real node: one process, real sockets, a real disk.

mod access;
mod admin;
mod client;
mod consumers;
mod dead_letters;
mod flow;
mod http_api;
mod limits;
mod lite;
mod lookup;
mod metrics;
mod port;
#[path = "../cli_process/ports.rs"]
mod ports;
mod priority;
mod pull;
mod receipts;
mod remote_clients;
mod rocketmq_admin;
mod send_receive;
mod sessions;
mod sql;
mod subscriptions;
mod support;
mod waiting;
