//! What this machine can do.

use serde::Serialize;

use crate::fault::FaultKind;
use crate::faults::{compiled, delay, disk, network, power, preload};
use crate::tool;

/// Whether a fault can be had here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Which.
    pub fault: FaultKind,
    /// Whether it works.
    pub works: bool,
    /// What it needs; or why it does not work, and what would help.
    pub why: String,
}

/// Looks for, or tries, what each fault needs. Changes nothing.
pub fn detect() -> Vec<Capability> {
    let machines = machines();
    FaultKind::ALL.into_iter().map(|fault| of(fault, &machines)).collect()
}

/// Whether nodes can have namespaces and file systems of their own: see [`crate::Backend::Namespaces`]. Or why not.
pub fn machines() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("namespaces need root".into());
    }
    for (program, package) in [
        ("ip", "iproute2"),
        ("nsenter", "util-linux"),
        ("unshare", "util-linux"),
        ("mount", "mount"),
        ("losetup", "mount"),
        ("fsfreeze", "util-linux"),
        ("mkfs.ext4", "e2fsprogs"),
    ] {
        if tool::find(program).is_none() {
            return Err(format!("there is no {program} on this machine (apt-get install {package})"));
        }
    }
    if !std::path::Path::new("/dev/loop-control").exists() {
        return Err("this kernel has no loop devices (/dev/loop-control)".into());
    }
    tool::run("unshare", &["-n", "ip", "link", "add", "switch", "type", "bridge"])
        .map(|_| ())
        .map_err(|error| format!("no bridges in network namespaces: {error}"))
}

fn of(fault: FaultKind, machines: &Result<(), String>) -> Capability {
    let machines = || machines.clone();
    let (needs, works) = match fault {
        FaultKind::Kill | FaultKind::Pause | FaultKind::Terminate | FaultKind::Restart => ("signals", Ok(())),
        FaultKind::PowerFailure => (
            "a file system for each node, python3 for the ioctl, nft for the silence",
            machines().and_then(|()| power::python().map(|_| ())).and_then(|()| network::rules_work()),
        ),
        FaultKind::Partition | FaultKind::Loss => {
            ("namespaces and nft", machines().and_then(|()| network::rules_work()))
        }
        FaultKind::Delay => match machines().and_then(|()| delay::works()) {
            Ok(how) => (how, Ok(())),
            Err(why) => ("", Err(why)),
        },
        FaultKind::ClockJump | FaultKind::ClockDrift => {
            ("libfaketime, and a template with_faults", preload::clock_library().map(|_| ()))
        }
        FaultKind::DiskFull | FaultKind::DiskStall => ("a file system for each node", machines()),
        FaultKind::DiskSlow => (
            "a file system for each node and cgroup v1 blkio",
            machines().and_then(|()| disk::throttle_works()),
        ),
        FaultKind::FsyncError => ("a C compiler, and a template with_faults", compiled::compiler()),
        FaultKind::Corrupt | FaultKind::Hide => ("files", Ok(())),
    };
    match works {
        Ok(()) => Capability { fault, works: true, why: needs.into() },
        Err(why) => Capability { fault, works: false, why },
    }
}
