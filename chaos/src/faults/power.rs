//! Power failures, of a node's file system and of its network.
//!
//! The file system is shut down without a flush of its journal, so what was not synced is gone; its peers hear nothing
//! any more, not even that a connection has ended.

use std::time::Duration;

use rustix::process::Signal;

use super::process::{gone, running};
use super::{Refusal, disk, effect, network};
use crate::cluster::Inner;
use crate::cluster::state::{ActiveFault, Lock, State};
use crate::cluster::volume::Volume;
use crate::error::ChaosError;
use crate::injection::Effect;
use crate::tool;

/// Shuts ext4 file systems down: EXT4_IOC_SHUTDOWN, which is `_IOR('X', 125, __u32)`, with EXT4_GOING_FLAGS_NOLOGFLUSH,
/// which is 2 (Linux, `fs/ext4/ext4.h`). Python, because an ioctl of one's own is unsafe code in Rust.
const SHUTDOWN: &str = "\
import fcntl, os, struct, sys
for path in sys.argv[1:]:
    directory = os.open(path, os.O_RDONLY)
    fcntl.ioctl(directory, 0x8004587d, struct.pack('I', 2))
    os.close(directory)
";

/// A process that runs stops within this, unless a disk holds it.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn fail(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    disk::refused(&state, active)?;
    network::refused(&state)?;
    python().map_err(Refusal::Skipped)?;
    let processes = running(cluster, active)?;
    // The network first, so that nobody hears of what follows.
    network::apply(&state)?;
    for (_, process) in &processes {
        process.signal(Signal::STOP)?;
    }
    for (_, process) in &processes {
        // It must not see that its disk fails: without power nobody sees anything.
        process.wait_stopped(STOPS_WITHIN);
    }
    let volumes: Vec<Volume> = active.nodes.iter().map(|node| Volume::of(&cluster.file, *node)).collect();
    let mounts: Vec<String> = volumes.iter().map(|volume| volume.mount.display().to_string()).collect();
    let arguments: Vec<&str> =
        ["-I", "-c", SHUTDOWN].into_iter().chain(mounts.iter().map(String::as_str)).collect();
    tool::run(&python().map_err(Refusal::Skipped)?, &arguments)?;
    for (_, process) in &processes {
        process.signal(Signal::KILL)?;
    }
    for (node, process) in &processes {
        gone(cluster, *node, *process)?;
    }
    for (node, volume) in active.nodes.iter().zip(&volumes) {
        remount(cluster, lock, &state, *node, volume)?;
    }
    let what = |(node, process): &(usize, crate::cluster::process::ProcessId)| {
        effect(*node, format!("process {} and everything unsynced are gone", process.pid))
    };
    Ok(processes.iter().map(what).collect())
}

fn remount(
    cluster: &Inner,
    lock: &Lock,
    state: &State,
    node: usize,
    volume: &Volume,
) -> Result<(), ChaosError> {
    // The throttle is the loop device's, which may be another one from now on.
    disk::set_throttle(volume, 0)?;
    if volume.mounted().is_some() {
        volume.unmount()?;
    }
    volume.mount(lock)?;
    disk::throttle(cluster, state, node).map(|_| ())
}

/// Power is back: so is the network. The nodes are started by whoever heals.
pub(super) fn come_back(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    for &node in &active.nodes {
        let volume = Volume::of(&cluster.file, node);
        if volume.takes_files() {
            continue;
        }
        // Whoever let the power fail was killed in the middle of it.
        if let Some(process) = state.node(node).process {
            process.signal(Signal::KILL)?;
            gone(cluster, node, process)?;
        }
        remount(cluster, lock, &state, node, &volume)?;
    }
    network::apply(&state)
}

/// The system's own rather than one in PATH that may be a slow wrapper.
pub(crate) fn python() -> Result<String, String> {
    ["/usr/bin/python3", "python3"]
        .into_iter()
        .find(|name| tool::find(name).is_some())
        .map(str::to_owned)
        .ok_or_else(|| "there is no python3 on this machine, which sends the ioctl".into())
}
