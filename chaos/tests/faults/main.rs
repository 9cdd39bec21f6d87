//! Faults for real: on processes, namespaces and mounts of their own. What this machine cannot have is said loudly.

mod cli;
mod clock;
mod corruption;
mod disk;
mod network;
mod plan;
mod power;
mod probe;
mod process;
