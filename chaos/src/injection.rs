//! What came of a fault.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::cluster::Inner;
use crate::error::ChaosError;
use crate::fault::Fault;

/// What came of a fault.
#[must_use = "dropping a guard heals the fault"]
#[derive(Debug)]
pub enum Injected<G = Guard> {
    /// It is there until the guard is healed or dropped.
    Installed(G),
    /// It cannot be had here, and nothing was changed. Never to be counted as survived.
    Skipped {
        /// Why.
        why: String,
    },
    /// Something failed on the way, and what is left of it is not known. [`crate::heal`] takes it away.
    Indeterminate {
        /// What failed.
        why: String,
    },
}

impl<G> Injected<G> {
    /// The guard of a fault that is there, or a text that says why it is not.
    pub fn installed(self) -> Result<G, String> {
        match self {
            Injected::Installed(guard) => Ok(guard),
            Injected::Skipped { why } => Err(format!("skipped: {why}")),
            Injected::Indeterminate { why } => Err(format!("indeterminate: {why}")),
        }
    }
}

/// Something that a fault did to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The node's index.
    pub node: usize,
    /// For a person.
    pub what: String,
    /// Of [`Fault::Corrupt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

/// Exactly what became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The first byte that is not as it was.
    pub offset: u64,
    /// How many bytes from there on are concerned; the cut-off ones of a truncation.
    pub bytes: u64,
    /// The bytes as they were, in hexadecimal: the first 16 at most.
    pub before: String,
    /// The bytes as they are; empty for a truncation.
    pub after: String,
}

/// A fault that is there. Healed when dropped.
#[derive(Debug)]
pub struct Guard {
    pub(crate) cluster: Arc<Inner>,
    /// In the state file; none where there is nothing to heal.
    pub(crate) id: Option<u64>,
    pub(crate) fault: Fault,
    pub(crate) nodes: Vec<usize>,
    pub(crate) effects: Vec<Effect>,
    /// Since the Unix epoch, by this machine's clock.
    pub(crate) installed_ns: u64,
}

impl Guard {
    /// The fault.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Whom it happened to, ascending.
    pub fn nodes(&self) -> &[usize] {
        &self.nodes
    }

    /// What it did, node by node.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// When it was there, in nanoseconds since the Unix epoch.
    pub fn installed_ns(&self) -> u64 {
        self.installed_ns
    }

    /// Takes the fault away. What fails stays in the state file, for [`crate::heal`].
    pub fn heal(mut self) -> Result<(), ChaosError> {
        self.heal_once()
    }

    /// Leaves the fault there when this goes out of scope: it lasts until [`crate::Cluster::heal_faults`] or
    /// [`crate::heal`].
    pub fn leave(mut self) {
        self.id = None;
    }

    fn heal_once(&mut self) -> Result<(), ChaosError> {
        match self.id.take() {
            Some(id) => self.cluster.remove_fault(id),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.heal_once() {
            eprintln!("chaos: {} is not healed: {error}", self.fault);
        }
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
