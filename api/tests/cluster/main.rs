//! Real processes under what happens to them: killed leaders, strangers, crowds, full disks.

#[path = "../cli_process/mod.rs"]
mod cli_process;
#[path = "../edge/client.rs"]
mod client;
mod crowd;
mod disk;
mod kill;
mod strangers;
