//! Faults for processes, networks, clocks and disks, and clusters to inject them into.
//!
//! A [`Cluster`] is three to five processes, each with an address and a directory. A [`Fault`] is something that can
//! happen to some of them; [`Cluster::inject`] says what came of it:
//!
//! * [`Injected::Installed`]: it is there, until the [`Guard`] is healed or dropped,
//! * [`Injected::Skipped`]: this machine, or this cluster, cannot have it, and why; nothing was changed,
//! * [`Injected::Indeterminate`]: something failed on the way, and what is left of it is not known.
//!
//! Everything that is made is written into a state file first, so that [`heal`] can take it away after this process
//! has died. This crate knows processes, addresses, clocks and files; it knows nothing of what the processes do.

mod capability;
pub mod cli;
mod cluster;
mod error;
mod fault;
mod faults;
mod injection;
mod kubernetes;
mod limits;
mod plan;
mod seeded;
mod target;
mod tool;

pub use capability::{Capability, detect, machines};
pub use cluster::heal::{Healed, heal};
pub use cluster::options::{Backend, ClusterOptions};
pub use cluster::template::{Template, TemplateError};
pub use cluster::{Cluster, Exit, Node, NodeStatus};
pub use error::ChaosError;
pub use fault::{Corruption, Fault, FaultKind, FaultParseError, Shape};
pub use injection::{Damage, Effect, Guard, Injected};
pub use kubernetes::{Kubernetes, Pod, PolicyGuard};
pub use plan::run::{Event, Stop};
pub use plan::{Plan, PlanError, PlanOptions, Step};
pub use target::{Target, TargetError, TargetParseError};
