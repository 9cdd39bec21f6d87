//! Real processes under what happens to them: killed leaders, strangers, crowds, full disks, clocks that
//! jump.

#[path = "../cli_process/mod.rs"]
mod cli_process;
#[path = "../edge/client.rs"]
mod client;
mod clock;
mod corruptions;
mod crowd;
mod damage;
mod disk;
mod kill;
mod log_level;
mod marks;
mod moves;
mod nodes;
mod placement;
mod rebalance;
mod repair;
mod resend;
mod spread;
mod stand_in;
mod strangers;
mod traces;
mod upgrade;
