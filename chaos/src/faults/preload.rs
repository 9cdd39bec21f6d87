//! What is loaded into the processes of nodes: libfaketime for wall clocks, and a library of ours for syncs that fail.
//!
//! Both are there from a process's start and do nothing until a file says so.

use std::path::{Path, PathBuf};

use super::compiled::{compiled, compiler};
use super::{Refusal, effect};
use crate::cluster::Inner;
use crate::cluster::process::ProcessId;
use crate::cluster::state::{ActiveFault, NodeState, State, StateFile};
use crate::error::ChaosError;
use crate::fault::{Fault, FaultKind};
use crate::injection::{Effect, wall_ns};

/// The source of the library for syncs that fail.
const FSYNC_SOURCE: &str = include_str!("fsync_error.c");
const FSYNC_LIBRARY: &str = "libchaos_fsync_error.so";
const CLOCK_LIBRARY: &str = "libfaketimeMT.so.1";
/// Where shared memory is, and what libfaketime puts there, before the process number.
const SHARED_MEMORY: &str = "/dev/shm";
const LEFT_BY_CLOCKS: [&str; 2] = ["faketime_shm_", "sem.faketime_sem_"];
/// Ticks a second in proc(5), on every architecture that we build for.
const TICKS_PER_SECOND: u64 = 100;
const NS_PER_SECOND: i128 = 1_000_000_000;

/// Where Debian's package puts libfaketime.
pub(crate) fn clock_library() -> Result<PathBuf, String> {
    let dirs = std::fs::read_dir("/usr/lib").map_err(|error| format!("cannot read /usr/lib: {error}"))?;
    dirs.filter_map(|dir| Some(dir.ok()?.path().join("faketime").join(CLOCK_LIBRARY)))
        .find(|path| path.exists())
        .ok_or_else(|| "there is no libfaketime on this machine (apt-get install libfaketime)".into())
}

/// What a node's environment needs so that its clock and its syncs can be tampered with. Empty where this machine has
/// none of the libraries: the faults are skipped then.
pub(crate) fn environment(
    file: &StateFile,
    state: &State,
    node: &NodeState,
) -> Result<Vec<(String, String)>, ChaosError> {
    let mut libraries = Vec::new();
    let mut environment = Vec::new();
    let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
    if compiler().is_ok() {
        let library = compiled(file, FSYNC_LIBRARY, FSYNC_SOURCE, &["-shared", "-fPIC"])?;
        libraries.push(library.display().to_string());
        set("CHAOS_FSYNC_SWITCH", fsync_switch(file, node.index).display().to_string());
    }
    if let Ok(library) = clock_library() {
        sweep_shared_memory();
        libraries.push(library.display().to_string());
        // By the process that is about to be born.
        write_clock(file, state, node.index, wall_ns())?;
        set("FAKETIME_TIMESTAMP_FILE", clock_file(file, node.index).display().to_string());
        // The file is looked at once a second; at each question for the time would cost too much.
        set("FAKETIME_CACHE_DURATION", "0".into());
        set("FAKETIME_DONT_FAKE_MONOTONIC", "1".into());
        set("NO_FAKE_STAT", "1".into());
    }
    if !libraries.is_empty() {
        set("LD_PRELOAD", libraries.join(" "));
    }
    Ok(environment)
}

/// Removes what libfaketime has left in shared memory for processes that are gone.
///
/// It names that by the process number, and takes it away only at an orderly end. A process that gets the number of one
/// that was killed would find it there, and end at once.
pub(crate) fn sweep_shared_memory() {
    sweep(Path::new(SHARED_MEMORY));
}

fn sweep(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = LEFT_BY_CLOCKS.iter().find_map(|prefix| name.to_str()?.strip_prefix(prefix)?.parse().ok());
        if pid.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Somebody else may have been quicker.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn fsync_switch(file: &StateFile, node: usize) -> PathBuf {
    file.root().join(format!("fsync-fails-{node}"))
}

fn clock_file(file: &StateFile, node: usize) -> PathBuf {
    file.root().join(format!("clock-{node}"))
}

/// Skips unless the processes of all these nodes have a library in them.
fn loaded(cluster: &Inner, active: &ActiveFault, library: &str) -> Result<Vec<(usize, ProcessId)>, Refusal> {
    let processes = super::process::running(cluster, active)?;
    for (node, process) in &processes {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.pid)).unwrap_or_default();
        if !maps.contains(library) {
            return Err(Refusal::Skipped(format!(
                "node {node} was started without {library}: its template needs with_faults, and its program must not be static"
            )));
        }
    }
    Ok(processes)
}

pub(super) fn fail_syncs(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    compiler().map_err(Refusal::Skipped)?;
    loaded(cluster, active, FSYNC_LIBRARY)?;
    let mut effects = Vec::new();
    for &node in &active.nodes {
        let path = fsync_switch(&cluster.file, node);
        std::fs::write(&path, "").map_err(ChaosError::io(format!("write {}", path.display())))?;
        effects.push(effect(node, "fsync and fdatasync fail with EIO".into()));
    }
    Ok(effects)
}

/// Where no other fault wants them to fail.
pub(super) fn let_syncs_succeed(cluster: &Inner, active: &ActiveFault) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    for &node in &active.nodes {
        let path = fsync_switch(&cluster.file, node);
        let wanted = state.faults_of(node).any(|other| other.fault.kind() == FaultKind::FsyncError);
        if !wanted && path.exists() {
            std::fs::remove_file(&path).map_err(ChaosError::io(format!("remove {}", path.display())))?;
        }
    }
    Ok(())
}

/// How many syncs of a node have failed since the fault came.
pub(crate) fn failed_syncs(file: &StateFile, node: usize) -> u64 {
    std::fs::metadata(fsync_switch(file, node)).map_or(0, |metadata| metadata.len())
}

pub(super) fn tamper_with_clock(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    clock_library().map_err(Refusal::Skipped)?;
    loaded(cluster, active, CLOCK_LIBRARY)?;
    set_clocks(cluster, active)?;
    let what = match active.fault {
        Fault::ClockJump { by_ms } => format!("the wall clock is {by_ms:+} ms off within a second"),
        Fault::ClockDrift { ppm } => format!("the wall clock gains {ppm} millionths"),
        _ => String::new(),
    };
    Ok(active.nodes.iter().map(|node| effect(*node, what.clone())).collect())
}

/// Makes the wall clocks of the nodes such as all their faults want them.
pub(super) fn set_clocks(cluster: &Inner, active: &ActiveFault) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    for &node in &active.nodes {
        if let Some(process) = state.node(node).process.filter(|process| process.is_alive()) {
            write_clock(&cluster.file, &state, node, born_ns(process)?)?;
        }
    }
    Ok(())
}

/// When a process was born, in nanoseconds since the Unix epoch.
fn born_ns(process: ProcessId) -> Result<u64, ChaosError> {
    let text = std::fs::read_to_string("/proc/uptime").map_err(ChaosError::io("read /proc/uptime"))?;
    let uptime: f64 = text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
    let age = uptime - process.born_ticks as f64 / TICKS_PER_SECOND as f64;
    Ok(wall_ns().saturating_sub((age.max(0.0) * 1e9) as u64))
}

fn write_clock(file: &StateFile, state: &State, node: usize, born_ns: u64) -> Result<(), ChaosError> {
    let path = clock_file(file, node);
    let faults: Vec<&ActiveFault> = state.faults_of(node).collect();
    // Once a rate was set it stays until another one is.
    let had_rate = std::fs::read_to_string(&path).is_ok_and(|before| before.contains('x'));
    replace(&path, &clock_line(&faults, born_ns, had_rate))
}

fn replace(path: &Path, content: &str) -> Result<(), ChaosError> {
    let next = path.with_extension("next");
    let written = std::fs::write(&next, content).and_then(|()| std::fs::rename(&next, path));
    written.map_err(ChaosError::io(format!("write {}", path.display())))
}

/// What libfaketime is to add: an offset, and a rate that counts from the process's birth.
///
/// After the drift with rate r came at t0, the clock is to be r (t - t0) off; libfaketime adds offset + r (t - birth).
fn clock_line(faults: &[&ActiveFault], born_ns: u64, had_rate: bool) -> String {
    let (mut offset_ns, mut ppm_total) = (0_i128, 0_i64);
    for active in faults {
        match active.fault {
            Fault::ClockJump { by_ms } => offset_ns += i128::from(by_ms) * 1_000_000,
            Fault::ClockDrift { ppm } => {
                ppm_total += ppm;
                offset_ns +=
                    i128::from(ppm) * (i128::from(born_ns) - i128::from(active.since_ns)) / 1_000_000;
            }
            _ => {}
        }
    }
    let sign = if offset_ns < 0 { '-' } else { '+' };
    let (seconds, rest) = (offset_ns.abs() / NS_PER_SECOND, offset_ns.abs() % NS_PER_SECOND);
    let rate = match ppm_total {
        0 if !had_rate => String::new(),
        ppm => format!(" x{:.6}", 1.0 + ppm as f64 / 1e6),
    };
    format!("{sign}{seconds}.{:06}{rate}\n", rest / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(fault: Fault, since_s: u64) -> ActiveFault {
        ActiveFault { id: 1, fault, nodes: vec![1], since_ns: since_s * 1_000_000_000 }
    }

    #[test]
    fn only_what_belongs_to_nobody_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        // No process number is that large.
        let (mine, nobody) = (std::process::id(), 1_u32 << 30);
        let names = |pid: u32| [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")];
        let others = ["faketime_shm_x".to_owned(), format!("other_{nobody}")];
        let kept: Vec<String> = names(mine).into_iter().chain(others).collect();
        for name in kept.iter().chain(&names(nobody)) {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        sweep(directory.path());
        let left = |name: &String| directory.path().join(name).exists();
        assert!(kept.iter().all(left), "too much is gone");
        assert!(!names(nobody).iter().any(left), "something is left");
    }

    #[test]
    fn jumps_add_up_and_a_drift_begins_at_nothing() {
        let jump = |by_ms| active(Fault::ClockJump { by_ms }, 100);
        assert_eq!(clock_line(&[], 0, false), "+0.000000\n");
        assert_eq!(clock_line(&[&jump(1500), &jump(-3_600_000)], 0, false), "-3598.500000\n");
        assert_eq!(clock_line(&[], 0, true), "+0.000000 x1.000000\n");
        // The process was born 20 s before the drift of 5% came: libfaketime would add 1 s at once.
        let drift = active(Fault::ClockDrift { ppm: 50_000 }, 100);
        assert_eq!(clock_line(&[&drift], 80_000_000_000, false), "-1.000000 x1.050000\n");
        // A process that is born 20 s after that has a clock that is 1 s ahead.
        assert_eq!(clock_line(&[&drift], 120_000_000_000, false), "+1.000000 x1.050000\n");
    }
}
