//! Kill, pause, terminate, restart.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Refusal, disk, effect};
use crate::cluster::Inner;
use crate::cluster::process::ProcessId;
use crate::cluster::state::{ActiveFault, Lock};
use crate::error::ChaosError;
use crate::fault::FaultKind;
use crate::injection::Effect;
use crate::limits::GONE_WITHIN;

/// The processes of the nodes. A node that does not run cannot be killed: that must not count as a kill.
pub(super) fn running(cluster: &Inner, active: &ActiveFault) -> Result<Vec<(usize, ProcessId)>, Refusal> {
    let state = cluster.file.read()?;
    let process = |index: &usize| match state.node(*index).process.filter(|process| process.is_alive()) {
        Some(process) => Ok((*index, process)),
        None => Err(Refusal::Skipped(format!("node {index} does not run"))),
    };
    active.nodes.iter().map(process).collect()
}

/// Who waits for a disk that stands still dies only when it goes on.
fn mortal(cluster: &Inner, active: &ActiveFault) -> Result<(), Refusal> {
    disk::stalled(&cluster.file.read()?, active)
}

pub(super) fn kill(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    mortal(cluster, active)?;
    let processes = running(cluster, active)?;
    // All of them at one moment, then wait.
    for (_, process) in &processes {
        process.signal(Signal::KILL)?;
    }
    for (node, process) in &processes {
        gone(cluster, *node, *process)?;
    }
    Ok(processes
        .iter()
        .map(|(node, process)| effect(*node, format!("killed process {}", process.pid)))
        .collect())
}

/// Waits for the end of what was killed, and asks how it ended.
pub(super) fn gone(cluster: &Inner, node: usize, process: ProcessId) -> Result<(), ChaosError> {
    let gone = process.wait(GONE_WITHIN, |state| state.is_none());
    cluster.reap(node);
    match gone {
        true => Ok(()),
        false => Err(ChaosError::Timeout(format!(
            "process {} of node {node} was killed and has not ended after {GONE_WITHIN:?}",
            process.pid
        ))),
    }
}

pub(super) fn pause(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let processes = running(cluster, active)?;
    for (_, process) in &processes {
        process.signal(Signal::STOP)?;
    }
    for (node, process) in &processes {
        if !process.wait(GONE_WITHIN, |state| state == Some('T')) {
            let why = format!("process {} of node {node} does not stop", process.pid);
            return Err(ChaosError::Timeout(why).into());
        }
    }
    Ok(processes
        .iter()
        .map(|(node, process)| effect(*node, format!("stopped process {}", process.pid)))
        .collect())
}

/// Continues those that no other fault stops.
pub(super) fn go_on(cluster: &Inner, active: &ActiveFault) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    for &node in &active.nodes {
        let still = state.faults_of(node).any(|other| other.fault.kind() == active.fault.kind());
        if let Some(process) = state.node(node).process
            && !still
        {
            process.signal(Signal::CONT)?;
        }
    }
    Ok(())
}

/// Only tells them to end: [`ended`] waits for these.
pub(super) fn terminate(cluster: &Inner, active: &ActiveFault) -> Result<Vec<(usize, ProcessId)>, Refusal> {
    mortal(cluster, active)?;
    let state = cluster.file.read()?;
    let is_paused =
        |node: &&usize| state.faults_of(**node).any(|other| other.fault.kind() == FaultKind::Pause);
    if let Some(node) = active.nodes.iter().find(is_paused) {
        return Err(Refusal::Skipped(format!("node {node} is paused, and does not hear a SIGTERM")));
    }
    let processes = running(cluster, active)?;
    for (_, process) in &processes {
        process.signal(Signal::TERM)?;
    }
    Ok(processes)
}

/// Waits for the end of those that were told to end, and ends those that do not. Nothing is locked meanwhile: other
/// faults come and go while a process takes its time.
pub(super) fn ended(
    cluster: &Inner,
    processes: &[(usize, ProcessId)],
    grace_ms: u64,
) -> Result<Vec<Effect>, ChaosError> {
    let mut effects = Vec::new();
    let deadline = Instant::now() + Duration::from_millis(grace_ms);
    for &(node, process) in processes {
        let left = deadline.saturating_duration_since(Instant::now());
        let by_itself = process.wait(left, |state| state.is_none());
        if !by_itself {
            process.signal(Signal::KILL)?;
        }
        gone(cluster, node, process)?;
        let how = if by_itself { "ended" } else { "had to be killed" };
        effects.push(effect(node, format!("process {} {how} after SIGTERM", process.pid)));
    }
    Ok(effects)
}

pub(super) fn restart(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    if let Some(node) = active.nodes.iter().find(|node| !state.may_run(**node)) {
        return Err(Refusal::Skipped(format!("node {node} is held down by another fault")));
    }
    let mut effects = kill(cluster, active)?;
    for effect in &mut effects {
        let pid = cluster.launch(lock, effect.node)?;
        effect.what.push_str(&format!(", started process {pid}"));
    }
    Ok(effects)
}

/// Starts those that no other fault holds down and that the caller has not stopped.
pub(super) fn start_again(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<(), ChaosError> {
    for &node in &active.nodes {
        let state = cluster.file.read()?;
        let runs = state.node(node).process.is_some_and(ProcessId::is_alive);
        if state.may_run(node) && state.node(node).wanted && !runs {
            cluster.launch(lock, node)?;
        }
    }
    Ok(())
}
