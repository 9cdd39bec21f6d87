//! Disks that are full, stand still or are slow: each node's file system, from outside.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use super::{Refusal, effect};
use crate::cluster::Inner;
use crate::cluster::options::Backend;
use crate::cluster::state::{ActiveFault, Lock, State, StateFile};
use crate::cluster::volume::Volume;
use crate::error::ChaosError;
use crate::fault::{Fault, FaultKind};
use crate::injection::Effect;
use crate::tool;

/// The kernel's throttle for block devices (cgroup version 1), of the group that everything is in.
const THROTTLE: &str = "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device";
/// The block size of the file systems that [`Volume`] makes: smaller gaps there are none.
const BLOCK_BYTES: u64 = 4096;

/// Why these nodes have no such fault now, if so.
pub(super) fn refused(state: &State, active: &ActiveFault) -> Result<(), Refusal> {
    if state.backend == Backend::Loopback {
        let why = "processes on loopback share this machine's disk: use namespaces";
        return Err(Refusal::Skipped(why.into()));
    }
    stalled(state, active)
}

/// Refuses what would touch a disk that stands still.
pub(super) fn stalled(state: &State, active: &ActiveFault) -> Result<(), Refusal> {
    // Whatever touches a frozen file system waits for the thaw, and so would this tool.
    for &node in &active.nodes {
        let stalls =
            |other: &ActiveFault| other.id != active.id && other.fault.kind() == FaultKind::DiskStall;
        if state.faults_of(node).any(stalls) {
            return Err(Refusal::Skipped(format!("the disk of node {node} is stalled")));
        }
    }
    Ok(())
}

/// Where a full disk's bytes are: beside the node's directory.
fn filler(file: &StateFile, active: &ActiveFault, node: usize) -> PathBuf {
    Volume::of(file, node).mount.join(format!("filler-{}", active.id))
}

pub(super) fn fill(cluster: &Inner, active: &ActiveFault, leave_bytes: u64) -> Result<Vec<Effect>, Refusal> {
    refused(&cluster.file.read()?, active)?;
    let mut effects = Vec::new();
    for &node in &active.nodes {
        let path = filler(&cluster.file, active, node);
        let filled =
            take_all(&path, leave_bytes).map_err(ChaosError::io(format!("fill {}", path.display())))?;
        effects.push(effect(node, format!("filled the disk with {filled} bytes")));
    }
    Ok(effects)
}

/// Takes what is free, but for some of it. How much.
fn take_all(path: &Path, leave_bytes: u64) -> std::io::Result<u64> {
    let file = File::create(path)?;
    let (mut taken, mut step) = (0_u64, 1_u64 << 40);
    while step >= BLOCK_BYTES {
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), taken, step) {
            Ok(()) => taken += step,
            Err(rustix::io::Errno::NOSPC | rustix::io::Errno::FBIG) => step /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    // A failed attempt may have got some of it.
    let left = taken.saturating_sub(leave_bytes.next_multiple_of(BLOCK_BYTES));
    file.set_len(left)?;
    // A power failure does not make room.
    file.sync_all()?;
    Ok(left)
}

pub(super) fn empty(cluster: &Inner, active: &ActiveFault) -> Result<(), ChaosError> {
    for &node in &active.nodes {
        let path = filler(&cluster.file, active, node);
        if path.exists() {
            let removed = std::fs::remove_file(&path).and_then(|()| {
                // Nor does one bring it back.
                path.parent().map_or(Ok(()), |mount| File::open(mount)?.sync_all())
            });
            removed.map_err(ChaosError::io(format!("remove {}", path.display())))?;
        }
    }
    Ok(())
}

pub(super) fn freeze(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    refused(&state, active)?;
    for &node in &active.nodes {
        // To empty a full disk, or to see what a power failure left, would wait for the thaw.
        let waits =
            |other: &ActiveFault| matches!(other.fault, Fault::DiskFull { .. } | Fault::PowerFailure {});
        if state.faults_of(node).any(waits) {
            let why = format!("node {node} has a fault that could not be healed on a stalled disk");
            return Err(Refusal::Skipped(why));
        }
    }
    let mut effects = Vec::new();
    for &node in &active.nodes {
        let mount = Volume::of(&cluster.file, node).mount;
        lock.run("fsfreeze", &["-f", &mount.display().to_string()])?;
        effects.push(effect(node, format!("froze {}", mount.display())));
    }
    Ok(effects)
}

/// Those that are frozen: an attempt at freezing may have ended in the middle.
pub(super) fn thaw(cluster: &Inner, active: &ActiveFault) -> Result<(), ChaosError> {
    let mounts = active.nodes.iter().map(|node| Volume::of(&cluster.file, *node).mount);
    mounts.map(|mount| thaw_mount(&mount)).collect::<Vec<_>>().into_iter().collect()
}

pub(crate) fn thaw_mount(mount: &Path) -> Result<(), ChaosError> {
    match tool::run("fsfreeze", &["-u", &mount.display().to_string()]) {
        // It was not frozen.
        Err(ChaosError::Tool { why, .. }) if why.contains("Invalid argument") => Ok(()),
        other => other.map(|_| ()),
    }
}

pub(super) fn slow(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    refused(&state, active)?;
    throttle_works().map_err(Refusal::Skipped)?;
    let mut effects = Vec::new();
    for &node in &active.nodes {
        let bytes = throttle(cluster, &state, node)?;
        effects.push(effect(node, format!("writes {bytes} bytes a second at most")));
    }
    Ok(effects)
}

pub(super) fn unslow(cluster: &Inner, active: &ActiveFault) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    active.nodes.iter().try_for_each(|node| throttle(cluster, &state, *node).map(|_| ()))
}

/// Makes a node's disk as slow as its faults want it: the slowest counts, 0 is without a bound.
pub(super) fn throttle(cluster: &Inner, state: &State, node: usize) -> Result<u64, ChaosError> {
    let slow = state.faults_of(node).filter_map(|active| match active.fault {
        Fault::DiskSlow { bytes_per_second } => Some(bytes_per_second),
        _ => None,
    });
    let bytes = slow.min().unwrap_or(0);
    set_throttle(&Volume::of(&cluster.file, node), bytes)?;
    Ok(bytes)
}

pub(crate) fn set_throttle(volume: &Volume, bytes_per_second: u64) -> Result<(), ChaosError> {
    let Some(mounted) = volume.mounted().filter(|_| throttle_works().is_ok()) else { return Ok(()) };
    std::fs::write(THROTTLE, format!("{} {bytes_per_second}\n", mounted.device))
        .map_err(ChaosError::io(format!("throttle device {}", mounted.device)))
}

/// Whether this machine has the throttle.
pub(crate) fn throttle_works() -> Result<(), String> {
    match File::options().write(true).open(THROTTLE) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no throttle for block devices: {THROTTLE}: {error}")),
    }
}
