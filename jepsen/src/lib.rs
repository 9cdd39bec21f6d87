//! A black-box test suite of LedgerMQ: workloads and faults against a cluster of `ledgermq` processes.
//!
//! A [`workload`] is what clients do, a [`nemesis`] what happens to the cluster meanwhile. A [`run()`](run::run) puts
//! both together: it starts a [`cluster`], records what every [`client`] did, heals everything, reads the queues and
//! every replica's log, and has `checkers` judge the history. Nothing here knows how the broker works inside.

pub mod availability;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod limits;
pub mod membership;
pub mod nemesis;
pub mod planted;
pub mod recorder;
pub mod run;
pub mod suite;
pub mod workload;
