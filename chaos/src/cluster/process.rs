//! Processes by their number, whoever started them.
//!
//! A number alone may be somebody else's by now, so it goes with the moment of birth. And each process carries the
//! cluster and the node in its environment: one that was started a moment before its starter was killed is found by
//! that, though no file names it.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::error::ChaosError;
use crate::limits::POLL;

/// In the environment of every process of a cluster: `ID/NODE`.
pub(crate) const MARK: &str = "LEDGERMQ_CHAOS_NODE";

/// A process, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub pid: u32,
    /// When it was born, in ticks since the machine's start (proc(5), `stat`, field 22).
    pub born_ticks: u64,
}

/// What `stat` says of a process.
struct Stat {
    state: char,
    born_ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    stat_of(Path::new(&format!("/proc/{pid}")))
}

/// Of a process's directory, or a thread's.
fn stat_of(directory: &Path) -> Option<Stat> {
    let text = std::fs::read_to_string(directory.join("stat")).ok()?;
    // The name may hold blanks and brackets; what follows the last bracket does not.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let born_ticks = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, born_ticks })
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<ProcessId> {
        stat(pid).map(|stat| ProcessId { pid, born_ticks: stat.born_ticks })
    }

    /// R, S, D, T, ...; none once it has ended, even if nobody has asked how.
    ///
    /// The first thread of a process that is killed may end before the others, and what they share (a lock on a
    /// directory, say) is held until the last one has ended: until then the answer is the state of one of them.
    pub fn state(self) -> Option<char> {
        let lives = |stat: &Stat| !"ZX".contains(stat.state);
        let first = stat(self.pid).filter(|stat| stat.born_ticks == self.born_ticks)?;
        if lives(&first) {
            return Some(first.state);
        }
        self.threads().into_iter().find(lives).map(|stat| stat.state)
    }

    /// What its threads are doing; none if it is gone.
    fn threads(self) -> Vec<Stat> {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else { return Vec::new() };
        tasks.filter_map(|task| stat_of(&task.ok()?.path())).collect()
    }

    pub fn is_alive(self) -> bool {
        self.state().is_some()
    }

    /// Sends a signal to it and to its children: it leads its process group. Whether there was somebody.
    pub fn signal(self, signal: Signal) -> Result<bool, ChaosError> {
        if !self.is_alive() {
            return Ok(false);
        }
        let pid = Pid::from_raw(self.pid as i32).expect("no process has the number 0");
        match rustix::process::kill_process_group(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(ChaosError::io(format!("signal process {}", self.pid))(error.into())),
        }
    }

    /// Kills it and nobody else: a child in somebody's process group.
    pub fn kill_alone(self) -> Result<(), ChaosError> {
        if !self.is_alive() {
            return Ok(());
        }
        let pid = Pid::from_raw(self.pid as i32).expect("no process has the number 0");
        match rustix::process::kill_process(pid, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(ChaosError::io(format!("kill process {}", self.pid))(error.into())),
        }
    }

    /// Waits until none of its threads can run any more: they are stopped, or in a system call that they cannot leave
    /// without stopping. Whether that came about.
    pub fn wait_stopped(self, timeout: Duration) -> bool {
        let stopped = || self.threads().iter().all(|stat| "TDtZX".contains(stat.state));
        self.wait(timeout, |state| state.is_none() || stopped())
    }

    /// Waits until a condition on its state holds. Whether it does.
    pub fn wait(self, timeout: Duration, holds: impl Fn(Option<char>) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if holds(self.state()) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// All living processes of a cluster, with what each is, by what is in their environment.
pub(crate) fn marked(cluster: &str) -> Vec<(String, ProcessId)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let prefix = format!("{MARK}={cluster}/");
    let of = |name: &str| -> Option<(String, ProcessId)> {
        let pid: u32 = name.parse().ok()?;
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let node = environment.split(|byte| *byte == 0).find_map(|variable| {
            std::str::from_utf8(variable).ok()?.strip_prefix(&prefix).map(str::to_owned)
        })?;
        ProcessId::of(pid).filter(|process| process.is_alive()).map(|process| (node, process))
    };
    entries.filter_map(|entry| of(entry.ok()?.file_name().to_str()?)).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_lives_until_its_last_thread_has_ended() {
        // The first thread ends by itself; the other one when its input does.
        let script = "import ctypes, sys, threading\n\
                      threading.Thread(target=sys.stdin.read).start()\n\
                      ctypes.CDLL(None).pthread_exit(None)";
        let mut child =
            Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("python3 runs");
        let process = ProcessId::of(child.id()).expect("it is there");
        let deadline = Instant::now() + Duration::from_secs(60);
        while stat(process.pid).expect("nobody has waited for it").state != 'Z' {
            assert!(Instant::now() < deadline, "the first thread never ended");
            std::thread::sleep(POLL);
        }
        let alive = process.is_alive();
        drop(child.stdin.take());
        assert!(alive, "a thread waits for input, and its process counts as ended");
        assert!(process.wait(Duration::from_secs(60), |state| state.is_none()), "it never ended");
        child.wait().expect("it ended");
    }
}
