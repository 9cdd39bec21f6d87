//! What this machine can do.

use serde::Serialize;

use crate::fault::FaultKind;

/// Whether a fault can be had here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Which.
    pub fault: FaultKind,
    /// Whether it works.
    pub works: bool,
    /// With what, or why not.
    pub why: String,
}

/// Tries what each fault needs. Changes nothing.
pub fn detect() -> Vec<Capability> {
    FaultKind::ALL.into_iter().map(of).collect()
}

fn of(fault: FaultKind) -> Capability {
    match fault {
        FaultKind::Kill | FaultKind::Pause | FaultKind::Terminate | FaultKind::Restart => {
            Capability { fault, works: true, why: "signals".into() }
        }
        _ => Capability { fault, works: false, why: "not built yet".into() },
    }
}
