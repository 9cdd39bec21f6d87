//! Removing everything that was made, in whatever state it was left.

use std::path::Path;

use rustix::process::Signal;
use serde::Serialize;

use super::namespace;
use super::options::Backend;
use super::process::{ProcessId, marked};
use super::state::{State, StateFile};
use super::volume::Volume;
use crate::error::ChaosError;
use crate::fault::FaultKind;
use crate::faults::{disk, preload};
use crate::limits::GONE_WITHIN;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Healed {
    /// Processes that were killed, by number.
    pub processes: Vec<u32>,
    /// Directories that were unmounted, images that were deleted, namespaces and links that were removed.
    pub things: Vec<String>,
}

/// Removes everything that a cluster left behind, whoever made it: processes, mounts, loop devices, namespaces, rules.
/// May be repeated. Nothing where there is no state file.
pub fn heal(state_file: &Path) -> Result<Healed, ChaosError> {
    if !state_file.exists() {
        return Ok(Healed::default());
    }
    let path = state_file
        .canonicalize()
        .map_err(ChaosError::io(format!("find the state file {}", state_file.display())))?;
    take_down(&StateFile::new(path))
}

/// See [`heal`].
pub(crate) fn take_down(file: &StateFile) -> Result<Healed, ChaosError> {
    let _lock = file.lock()?;
    let Some(state) = file.read_if_there()? else {
        return Ok(Healed::default());
    };
    let mut healed = Healed::default();
    // A process that waits for a frozen file system cannot even be killed.
    let machines = state.backend != Backend::Loopback;
    let volumes = state.nodes.iter().filter(|_| machines).map(|node| Volume::of(file, node.index));
    for volume in volumes.clone().filter(|volume| volume.mounted().is_some()) {
        disk::thaw_mount(&volume.mount)?;
        if state.active.iter().any(|active| active.fault.kind() == FaultKind::DiskSlow) {
            disk::set_throttle(&volume, 0)?;
        }
    }
    end_processes(&state, &mut healed)?;
    for volume in volumes {
        healed.things.extend(volume.remove()?);
    }
    if machines {
        healed.things.extend(namespace::remove(&state)?);
    }
    // One that was being born when its starter was killed may have shown its mark only now.
    end_processes(&state, &mut healed)?;
    preload::sweep_shared_memory();
    file.remove()?;
    Ok(healed)
}

fn end_processes(state: &State, healed: &mut Healed) -> Result<(), ChaosError> {
    let recorded = state.nodes.iter().filter_map(|node| node.process);
    let mut processes: Vec<ProcessId> = recorded.filter(|process| process.is_alive()).collect();
    processes.extend(marked(&state.id).into_iter().map(|(_, process)| process));
    processes.extend(namespace::processes(state).into_iter().filter_map(ProcessId::of));
    processes.sort_unstable_by_key(|process| process.pid);
    processes.dedup();
    for process in &processes {
        process.kill_alone()?;
        process.signal(Signal::KILL)?;
    }
    for process in processes {
        if !process.wait(GONE_WITHIN, |state| state.is_none()) {
            return Err(ChaosError::Timeout(format!("process {} was killed and does not end", process.pid)));
        }
        healed.processes.push(process.pid);
    }
    Ok(())
}
