//! Faults for real: on processes, namespaces and mounts of their own. What this machine cannot have is said loudly.

mod clock;
mod corruption;
mod disk;
mod network;
mod power;
mod probe;
mod process;
