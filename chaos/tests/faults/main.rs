//! Faults for real: on processes, namespaces and mounts of their own. What this machine cannot have is said loudly.

mod probe;
mod process;
