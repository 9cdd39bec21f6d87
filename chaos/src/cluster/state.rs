//! The state file: what was made, or was about to be made when somebody was killed.
//!
//! It is read and replaced under a lock, by whichever process does something to the cluster. Nothing is kept in memory
//! that it holds.

use std::fs::File;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::options::Backend;
use super::process::ProcessId;
use super::template::Template;
use crate::error::ChaosError;
use crate::fault::Fault;
use crate::tool;

/// The version of the state file's format.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub version: u32,
    /// Part of the name of everything that is made outside the root, and in the environment of every process.
    pub id: String,
    pub backend: Backend,
    /// By which nodes reach this host.
    pub host_address: IpAddr,
    pub nodes: Vec<NodeState>,
    /// In the order of installation.
    pub active: Vec<ActiveFault>,
    pub next_fault: u64,
}

/// One node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeState {
    /// From 1.
    pub index: usize,
    pub address: IpAddr,
    pub directory: PathBuf,
    pub output: PathBuf,
    /// As it was last started.
    pub template: Option<Template>,
    pub process: Option<ProcessId>,
    /// Whether the caller wants it to run: healing a fault starts it only then.
    pub wanted: bool,
}

/// A fault that is there, or half there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ActiveFault {
    pub id: u64,
    pub fault: Fault,
    pub nodes: Vec<usize>,
    /// Since the Unix epoch.
    pub since_ns: u64,
}

impl State {
    pub fn new(id: String, backend: Backend, host_address: IpAddr, nodes: Vec<NodeState>) -> State {
        State { version: VERSION, id, backend, host_address, nodes, active: Vec::new(), next_fault: 1 }
    }

    pub fn node(&self, index: usize) -> &NodeState {
        &self.nodes[index - 1]
    }

    pub fn node_mut(&mut self, index: usize) -> &mut NodeState {
        &mut self.nodes[index - 1]
    }

    /// The faults that a node has now.
    pub fn faults_of(&self, index: usize) -> impl Iterator<Item = &ActiveFault> {
        self.active.iter().filter(move |active| active.nodes.contains(&index))
    }

    /// Whether nothing keeps the node from running.
    pub fn may_run(&self, index: usize) -> bool {
        !self.faults_of(index).any(|active| active.fault.holds_down())
    }
}

/// The state file's door.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

/// Nobody else changes the cluster while this is held.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Runs a command of the system. Should this process be killed, the lock is held until that command has ended too:
    /// whoever cleans up then finds what it has made.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<String, ChaosError> {
        tool::run_holding(&self.file, name, arguments)
    }
}

impl StateFile {
    pub fn new(path: PathBuf) -> StateFile {
        StateFile { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the cluster keeps everything.
    pub fn root(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Waits until nobody else is at it.
    pub fn lock(&self) -> Result<Lock, ChaosError> {
        let path = self.path.with_extension("lock");
        let what = format!("lock {}", path.display());
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ChaosError::io(what.clone()))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| ChaosError::io(what)(error.into()))?;
        Ok(Lock { file })
    }

    /// None where there is no such file.
    pub fn read_if_there(&self) -> Result<Option<State>, ChaosError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ChaosError::io(format!("read {}", self.path.display()))(error)),
        };
        let wrong = |why: String| ChaosError::State { path: self.path.clone(), why };
        // What it says is done by whoever reads it, and in a directory for everybody anyone may have written it.
        let owner = std::fs::metadata(&self.path).map(|metadata| metadata.uid());
        let reader = rustix::process::geteuid().as_raw();
        if !owner.is_ok_and(|owner| owner == reader || owner == 0) {
            return Err(wrong("it belongs to another user".into()));
        }
        let state: State = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match state.version == VERSION {
            true => Ok(Some(state)),
            false => Err(wrong(format!("version {} is not {VERSION}", state.version))),
        }
    }

    pub fn read(&self) -> Result<State, ChaosError> {
        self.read_if_there()?.ok_or_else(|| ChaosError::State {
            path: self.path.clone(),
            why: "there is no such file: no cluster is up here".into(),
        })
    }

    /// Replaces the file as a whole: a reader, and whoever comes after a crash, sees the old one or the new one.
    pub fn write(&self, _lock: &Lock, state: &State) -> Result<(), ChaosError> {
        let next = self.path.with_extension("next");
        let text = serde_json::to_string_pretty(state).expect("a state has string keys only");
        std::fs::write(&next, text).map_err(ChaosError::io(format!("write {}", next.display())))?;
        std::fs::rename(&next, &self.path).map_err(ChaosError::io(format!("replace {}", self.path.display())))
    }

    pub fn update<T>(&self, lock: &Lock, change: impl FnOnce(&mut State) -> T) -> Result<T, ChaosError> {
        let mut state = self.read()?;
        let result = change(&mut state);
        self.write(lock, &state)?;
        Ok(result)
    }

    /// After everything that it names is gone.
    pub fn remove(&self) -> Result<(), ChaosError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ChaosError::io(format!("remove {}", self.path.display()))(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// As `mount` does when the tool that called it is killed.
    #[test]
    fn a_command_that_outlives_its_caller_holds_the_lock() {
        let root = tempfile::tempdir().unwrap();
        let file = StateFile::new(root.path().join("state.json"));
        let lock = file.lock().unwrap();
        let began = Instant::now();
        lock.run("sh", &["-c", "setsid --fork sleep 0.5 > /dev/null 2>&1"]).unwrap();
        assert!(began.elapsed() < Duration::from_millis(400), "it is to run on: {:?}", began.elapsed());
        drop(lock);
        let again = file.lock().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(450), "locked after {:?}", began.elapsed());
        drop(again);
    }

    #[test]
    fn a_file_that_is_no_state_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = StateFile::new(root.path().join("state.json"));
        assert!(file.read_if_there().unwrap().is_none());
        for text in ["", "{}", "{\"version\": 2}"] {
            std::fs::write(file.path(), text).unwrap();
            assert!(matches!(file.read(), Err(ChaosError::State { .. })), "{text:?}");
        }
    }
}
