//! Processes of nodes. A process id is used again by the system; together with the time at which
//! the process started it is not.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// One process, told apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did (`/proc/PID/stat`, field 22).
    pub started_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<ProcessId> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses, and may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // A zombie is dead, only its parent has not noticed, unless threads are left: they hold its
        // files, and with them the lock on its data.
        let threads: u32 = fields.get(17)?.parse().ok()?;
        if matches!(*fields.first()?, "Z" | "X") && threads <= 1 {
            return None;
        }
        Some(ProcessId { pid, started_ticks: fields.get(19)?.parse().ok()? })
    }

    /// Whether it runs.
    pub fn is_alive(self) -> bool {
        ProcessId::of(self.pid) == Some(self)
    }

    /// Sends a signal, if it still runs.
    pub fn signal(self, signal: Signal) -> std::io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid.filter(|_| self.is_alive()) {
            Some(pid) => match kill_process(pid, signal) {
                Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
                Err(error) => Err(error.into()),
            },
            None => Ok(()),
        }
    }

    /// Waits until it is gone; whether it is.
    pub async fn gone(self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        true
    }

    /// Asks it to stop, and kills it if it does not; whether it stopped by itself.
    pub async fn stop(self, patience: Duration) -> std::io::Result<bool> {
        self.signal(Signal::TERM)?;
        if self.gone(patience).await {
            return Ok(true);
        }
        self.signal(Signal::KILL)?;
        self.gone(patience).await;
        Ok(false)
    }
}

/// Starts a node in a process group of its own, so that a Ctrl-C at the terminal does not reach it.
pub fn spawn_node(config: &Path, log: &Path) -> std::io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let other = ProcessId { started_ticks: own.started_ticks + 1, ..own };
        assert!(!other.is_alive(), "a reused process id is taken for the old process");
        other.signal(Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_process_that_was_told_to_stop_is_gone() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.stop(Duration::from_secs(5)).await.unwrap());
        // Not waited for yet: a zombie counts as gone.
        assert!(!process.is_alive());
        child.wait().unwrap();
    }
}
