//! Installing faults and taking them away.
//!
//! A fault is in the state file before anything is done, and until all of it is undone. What a node, a link or a clock
//! should be like follows from all the faults that are there, so two that overlap heal in any order.

pub(crate) mod compiled;
pub(crate) mod corruption;
pub(crate) mod delay;
pub(crate) mod disk;
mod hidden;
pub(crate) mod network;
pub(crate) mod power;
pub(crate) mod preload;
mod process;

use std::sync::Arc;

use crate::cluster::Inner;
use crate::cluster::state::{ActiveFault, Lock};
use crate::error::ChaosError;
use crate::fault::Fault;
use crate::injection::{Effect, Guard, Injected, wall_ns};
use crate::limits::ACTIVE_FAULTS_MAX;

/// Something for a person, without damage to a file.
fn effect(node: usize, what: String) -> Effect {
    Effect { node, what, damage: None }
}

/// Why a fault is not there.
pub(crate) enum Refusal {
    /// It cannot be had; nothing was done.
    Skipped(String),
    /// Something failed on the way.
    Failed(ChaosError),
}

impl From<ChaosError> for Refusal {
    fn from(error: ChaosError) -> Refusal {
        Refusal::Failed(error)
    }
}

/// Lets a fault happen to these nodes.
pub(crate) fn inject(cluster: &Arc<Inner>, fault: &Fault, nodes: &[usize]) -> Injected {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes.dedup();
    match try_inject(cluster, fault, &nodes) {
        Ok((id, effects)) => Injected::Installed(Guard {
            cluster: Arc::clone(cluster),
            id: Some(id).filter(|_| !fault.is_one_shot()),
            fault: fault.clone(),
            nodes,
            effects,
            installed_ns: wall_ns(),
        }),
        Err((_, Refusal::Skipped(why))) => Injected::Skipped { why },
        Err((Some(id), Refusal::Failed(error))) => match cluster.remove_fault(id) {
            Ok(()) => Injected::Indeterminate { why: format!("{error}; it was taken back") },
            Err(undo) => {
                Injected::Indeterminate { why: format!("{error}; and it cannot be taken back: {undo}") }
            }
        },
        Err((None, Refusal::Failed(error))) => Injected::Skipped { why: error.to_string() },
    }
}

/// The number of the fault with what it did; or why not, with the number if something may have been done.
fn try_inject(
    cluster: &Inner,
    fault: &Fault,
    nodes: &[usize],
) -> Result<(u64, Vec<Effect>), (Option<u64>, Refusal)> {
    let before = |error: ChaosError| (None, Refusal::Failed(error));
    if nodes.is_empty() {
        return Err((None, Refusal::Skipped("no node was chosen".into())));
    }
    let lock = cluster.file.lock().map_err(before)?;
    let state = cluster.file.read().map_err(before)?;
    if state.active.len() >= ACTIVE_FAULTS_MAX {
        let why = format!("{ACTIVE_FAULTS_MAX} faults are there already: heal some");
        return Err((None, Refusal::Skipped(why)));
    }
    let active = ActiveFault {
        id: state.next_fault,
        fault: fault.clone(),
        nodes: nodes.to_vec(),
        since_ns: wall_ns(),
    };
    let record = |file: &crate::cluster::state::StateFile| {
        file.update(&lock, |state| {
            state.next_fault += 1;
            state.active.push(active.clone());
        })
    };
    record(&cluster.file).map_err(before)?;
    let ending = match fault {
        Fault::Terminate { .. } => process::terminate(cluster, &active),
        _ => Ok(Vec::new()),
    };
    let (ending, installed) = match ending {
        Ok(ending) => (ending, install(cluster, &lock, &active)),
        Err(refusal) => (Vec::new(), Err(refusal)),
    };
    if fault.is_one_shot() || matches!(installed, Err(Refusal::Skipped(_))) {
        forget(cluster, &lock, active.id).map_err(|error| (Some(active.id), Refusal::Failed(error)))?;
    }
    drop(lock);
    let complete = installed.and_then(|effects| match fault {
        Fault::Terminate { grace_ms } => Ok(process::ended(cluster, &ending, *grace_ms)?),
        _ => Ok(effects),
    });
    match complete {
        Ok(effects) => Ok((active.id, effects)),
        Err(refusal) => Err((Some(active.id), refusal)),
    }
}

/// Refuses before it does anything, or does it.
fn install(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    match &active.fault {
        Fault::Kill {} => process::kill(cluster, active),
        Fault::Pause {} => process::pause(cluster, active),
        // Told to end before; waited for when nothing is locked any more.
        Fault::Terminate { .. } => Ok(Vec::new()),
        Fault::Restart {} => process::restart(cluster, lock, active),
        Fault::PowerFailure {} => power::fail(cluster, lock, active),
        Fault::Partition { .. } => network::partition(cluster, active),
        Fault::Loss { .. } => network::loss(cluster, active),
        Fault::Delay { .. } => delay::delay(cluster, lock, active),
        Fault::ClockJump { .. } | Fault::ClockDrift { .. } => preload::tamper_with_clock(cluster, active),
        Fault::DiskFull { leave_bytes } => disk::fill(cluster, active, *leave_bytes),
        Fault::DiskStall {} => disk::freeze(cluster, lock, active),
        Fault::DiskSlow { .. } => disk::slow(cluster, active),
        Fault::FsyncError {} => preload::fail_syncs(cluster, active),
        Fault::Corrupt { .. } => corruption::corrupt(cluster, active),
        Fault::Hide { path } => hidden::hide(cluster, active, path),
    }
}

/// Makes the nodes as they are without this fault, which is no longer in the state file.
fn uninstall(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<(), ChaosError> {
    match &active.fault {
        Fault::Kill {} | Fault::Terminate { .. } => process::start_again(cluster, lock, active),
        Fault::Pause {} => process::go_on(cluster, active),
        Fault::PowerFailure {} => {
            power::come_back(cluster, lock, active)?;
            process::start_again(cluster, lock, active)
        }
        Fault::Partition { .. } | Fault::Loss { .. } => network::apply(&cluster.file.read()?),
        Fault::Delay { .. } => delay::undelay(cluster, lock, active),
        Fault::ClockJump { .. } | Fault::ClockDrift { .. } => preload::set_clocks(cluster, active),
        Fault::DiskFull { .. } => disk::empty(cluster, active),
        Fault::DiskStall {} => disk::thaw(cluster, active),
        Fault::DiskSlow { .. } => disk::unslow(cluster, active),
        Fault::FsyncError {} => preload::let_syncs_succeed(cluster, active),
        Fault::Hide { path } => hidden::show(cluster, active, path),
        Fault::Restart {} | Fault::Corrupt { .. } => Ok(()),
    }
}

fn forget(cluster: &Inner, lock: &Lock, id: u64) -> Result<(), ChaosError> {
    cluster.file.update(lock, |state| state.active.retain(|active| active.id != id))
}

impl Inner {
    /// Takes a fault away. One that is gone already is fine; one that cannot be taken away stays in the state file.
    pub(crate) fn remove_fault(&self, id: u64) -> Result<(), ChaosError> {
        if self.is_closed() {
            return Ok(());
        }
        let lock = self.file.lock()?;
        let state = self.file.read()?;
        let Some(active) = state.active.iter().find(|active| active.id == id) else {
            return Ok(());
        };
        forget(self, &lock, id)?;
        uninstall(self, &lock, active).inspect_err(|_| {
            let again = self.file.update(&lock, |state| state.active.push(active.clone()));
            debug_assert!(again.is_ok(), "the state file was written a moment ago: {again:?}");
        })
    }
}
