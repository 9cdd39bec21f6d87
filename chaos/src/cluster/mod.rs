//! A few nodes: processes, each with an address and a directory.

pub(crate) mod heal;
mod launch;
pub(crate) mod namespace;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod state;
pub(crate) mod template;
pub(crate) mod volume;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;

use crate::error::ChaosError;
use crate::fault::Fault;
use crate::injection::Injected;
use crate::limits::{GONE_WITHIN, NODES_MAX};
use heal::{Healed, take_down};
use options::{Backend, ClusterOptions};
use process::ProcessId;
use state::{Lock, NodeState, State, StateFile};
use template::Template;
use volume::Volume;

/// A few nodes. Dropping the one that was created kills the processes and removes what was made, but for the root
/// directory; dropping one that was opened leaves everything as it is.
///
/// Everything here blocks; nothing needs a runtime. From async code call it through `spawn_blocking`.
#[derive(Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
    /// Whether it goes down when dropped.
    owned: bool,
}

/// What guards share with the cluster.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) file: StateFile,
    nodes: Vec<Node>,
    host_address: IpAddr,
    /// Those that this process started: it has to ask how they ended. By the node's index.
    children: Mutex<HashMap<usize, Child>>,
    /// Guards of a cluster that is gone have nothing to heal.
    closed: AtomicBool,
}

/// What never changes of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    index: usize,
    address: IpAddr,
    directory: PathBuf,
    output: PathBuf,
}

impl Node {
    /// From 1.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its own: nobody else in the cluster has it, so all nodes may use the same ports.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its own: on a file system of its own with [`Backend::Namespaces`].
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What its processes write to standard output and error, one after the other. Not on its file system.
    pub fn output(&self) -> &Path {
        &self.output
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It was started by another process of this tool, which alone could know.
    Unknown,
}

/// How a node is.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// What never changes.
    #[serde(flatten)]
    pub node: Node,
    /// While it runs, or is stopped.
    pub pid: Option<u32>,
    /// Whether it is stopped (SIGSTOP).
    pub paused: bool,
    /// The faults that it has.
    pub faults: Vec<Fault>,
}

impl Cluster {
    /// Makes the nodes, without processes. Refuses a root where another cluster is up.
    pub fn create(options: &ClusterOptions) -> Result<Cluster, ChaosError> {
        if !(1..=NODES_MAX).contains(&options.nodes) {
            return Err(ChaosError::Usage(format!(
                "a cluster has 1 to {NODES_MAX} nodes, not {}",
                options.nodes
            )));
        }
        std::fs::create_dir_all(&options.root)
            .map_err(ChaosError::io(format!("make {}", options.root.display())))?;
        // Processes have other working directories.
        let root = options
            .root
            .canonicalize()
            .map_err(ChaosError::io(format!("find {}", options.root.display())))?;
        let file = StateFile::new(ClusterOptions { root, ..options.clone() }.state_file());
        let lock = file.lock()?;
        if file.read_if_there()?.is_some() {
            return Err(ChaosError::Usage(format!(
                "a cluster is up, or was left behind by a crash, at {}: take it down with `ledgermq-chaos heal --state {}`",
                file.root().display(),
                file.path().display()
            )));
        }
        let mut state = plan_of(options, &file);
        file.write(&lock, &state)?;
        let made = match options.backend {
            Backend::Loopback => make_directories(&state),
            Backend::Namespaces { image_bytes } => make_machines(&file, &lock, &mut state, image_bytes),
        };
        drop(lock);
        match made {
            Ok(()) => Ok(Cluster { inner: Arc::new(Inner::of(&state, file)), owned: true }),
            Err(error) => match take_down(&file) {
                Ok(_) => Err(error),
                Err(undo) => Err(ChaosError::Usage(format!("{error}; and it cannot be taken back: {undo}"))),
            },
        }
    }

    /// The cluster that another process of this tool left up. It stays up when this is dropped.
    pub fn open(state_file: &Path) -> Result<Cluster, ChaosError> {
        let path = state_file
            .canonicalize()
            .map_err(ChaosError::io(format!("find the state file {}", state_file.display())))?;
        let file = StateFile::new(path);
        let state = file.read()?;
        Ok(Cluster { inner: Arc::new(Inner::of(&state, file)), owned: false })
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.inner.nodes.len()
    }

    /// All nodes, by index.
    pub fn nodes(&self) -> &[Node] {
        &self.inner.nodes
    }

    /// One node. Panics where there is none of this index.
    pub fn node(&self, index: usize) -> &Node {
        assert!((1..=self.size()).contains(&index), "there is no node {index}: 1 to {}", self.size());
        &self.inner.nodes[index - 1]
    }

    /// By which nodes reach this host.
    pub fn host_address(&self) -> IpAddr {
        self.inner.host_address
    }

    /// The state file, for [`crate::heal`].
    pub fn state_file(&self) -> &Path {
        self.inner.file.path()
    }

    /// Starts a node and gives its process number. Refused while it runs, or while a fault holds it down.
    pub fn start(&self, index: usize, template: &Template) -> Result<u32, ChaosError> {
        self.start_by(index, Some(template))
    }

    /// Starts a node as it was last started.
    pub fn start_again(&self, index: usize) -> Result<u32, ChaosError> {
        self.start_by(index, None)
    }

    fn start_by(&self, index: usize, template: Option<&Template>) -> Result<u32, ChaosError> {
        self.node(index);
        let lock = self.inner.file.lock()?;
        let state = self.inner.file.read()?;
        if let Some(process) = state.node(index).process.filter(|process| process.is_alive()) {
            return Err(ChaosError::Usage(format!("node {index} runs already: process {}", process.pid)));
        }
        if !state.may_run(index) {
            return Err(ChaosError::Usage(format!("node {index} is held down by a fault: heal it first")));
        }
        self.inner.file.update(&lock, |state| {
            let node = state.node_mut(index);
            node.template = template.cloned().or(node.template.take());
            node.wanted = true;
        })?;
        self.inner.launch(&lock, index)
    }

    /// Starts all nodes.
    pub fn start_all(&self, template: &Template) -> Result<(), ChaosError> {
        (1..=self.size()).try_for_each(|index| self.start(index, template).map(|_| ()))
    }

    /// The process number of a node that runs or is stopped.
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.node(index);
        self.inner.reap(index);
        let state = self.inner.file.read().ok()?;
        state.node(index).process.filter(|process| process.is_alive()).map(|process| process.pid)
    }

    /// Waits for the end of a node's process. At once where none runs.
    pub fn wait_exit(&self, index: usize, timeout: Duration) -> Result<Exit, ChaosError> {
        self.node(index);
        self.inner.wait_exit(index, timeout)
    }

    /// Ends a node's process for good: no fault that is healed starts it again. SIGTERM, and SIGKILL after the grace.
    pub fn stop(&self, index: usize, grace: Duration) -> Result<Exit, ChaosError> {
        self.node(index);
        let process = {
            let lock = self.inner.file.lock()?;
            self.inner.file.update(&lock, |state| {
                let node = state.node_mut(index);
                node.wanted = false;
                node.process
            })?
        };
        if let Some(process) = process
            && !grace.is_zero()
            && process.signal(Signal::TERM)?
            && let Ok(exit) = self.wait_exit(index, grace)
        {
            return Ok(exit);
        }
        if let Some(process) = process {
            process.signal(Signal::KILL)?;
        }
        self.wait_exit(index, GONE_WITHIN)
    }

    /// Copies a node's files as they are now, for [`crate::Corruption::StaleChunk`]. How many there are.
    pub fn remember_files(&self, index: usize) -> Result<usize, ChaosError> {
        crate::faults::corruption::remember(&self.inner.file, index, self.node(index).directory())
    }

    /// How many syncs of a node have failed since [`Fault::FsyncError`] came.
    pub fn failed_syncs(&self, index: usize) -> u64 {
        self.node(index);
        crate::faults::preload::failed_syncs(&self.inner.file, index)
    }

    /// How the nodes are.
    pub fn status(&self) -> Result<Vec<NodeStatus>, ChaosError> {
        let state = self.inner.file.read()?;
        let status = |node: &Node| {
            self.inner.reap(node.index);
            let process = state.node(node.index).process;
            let letter = process.and_then(ProcessId::state);
            NodeStatus {
                node: node.clone(),
                pid: process.filter(|_| letter.is_some()).map(|process| process.pid),
                paused: letter == Some('T'),
                faults: state.faults_of(node.index).map(|active| active.fault.clone()).collect(),
            }
        };
        Ok(self.inner.nodes.iter().map(status).collect())
    }

    /// Lets a fault happen to these nodes (indices, from 1). Panics where there is none of an index.
    pub fn inject(&self, fault: &Fault, nodes: &[usize]) -> Injected {
        for &index in nodes {
            self.node(index);
        }
        crate::faults::inject(&self.inner, fault, nodes)
    }

    /// Heals every fault, whoever injected it.
    pub fn heal_faults(&self) -> Result<(), ChaosError> {
        let active = self.inner.file.read()?.active;
        // The last one first, as if each had been healed before the next came.
        active.iter().rev().try_for_each(|active| self.inner.remove_fault(active.id))
    }

    /// Leaves everything as it is: the processes run on, and [`Cluster::open`] finds them.
    pub fn leave(mut self) {
        self.owned = false;
    }

    /// Ends the processes (SIGTERM, SIGKILL after the grace) and removes what was made. What a drop does without
    /// grace, with an answer.
    pub fn down(self, grace: Duration) -> Result<Healed, ChaosError> {
        if !grace.is_zero() {
            self.heal_faults()?;
            for node in &self.inner.nodes {
                self.stop(node.index, grace)?;
            }
        }
        self.inner.close()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        if let Err(error) = self.inner.close() {
            let state = self.inner.file.path().display();
            eprintln!(
                "chaos: the cluster is not removed: {error}; try `ledgermq-chaos heal --state {state}`"
            );
        }
    }
}

impl Inner {
    fn of(state: &State, file: StateFile) -> Inner {
        let node = |node: &NodeState| Node {
            index: node.index,
            address: node.address,
            directory: node.directory.clone(),
            output: node.output.clone(),
        };
        Inner {
            file,
            nodes: state.nodes.iter().map(node).collect(),
            host_address: state.host_address,
            children: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn children(&self) -> MutexGuard<'_, HashMap<usize, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once; nothing the second time.
    fn close(&self) -> Result<Healed, ChaosError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(Healed::default());
        }
        let healed = take_down(&self.file);
        for (_, mut child) in self.children().drain() {
            // Killed: it ends at once, unless a disk holds it up, and then nobody need wait for it.
            let _ = child.try_wait();
        }
        healed
    }
}

fn make_directories(state: &State) -> Result<(), ChaosError> {
    let make = |directory: &PathBuf| {
        std::fs::create_dir_all(directory).map_err(ChaosError::io(format!("make {}", directory.display())))
    };
    state.nodes.iter().map(|node| &node.directory).try_for_each(make)
}

fn make_machines(
    file: &StateFile,
    lock: &Lock,
    state: &mut State,
    image_bytes: u64,
) -> Result<(), ChaosError> {
    namespace::make(file, lock, state)?;
    state.nodes.iter().try_for_each(|node| Volume::of(file, node.index).make(lock, node, image_bytes))
}

/// What is going to be made, with names that nobody else has.
fn plan_of(options: &ClusterOptions, file: &StateFile) -> State {
    let mut seeded =
        crate::seeded::Seeded::new(crate::injection::wall_ns() ^ u64::from(std::process::id()) << 40);
    let id = format!("{:06x}", seeded.next() & 0xff_ffff);
    // 127.0.x.x is where everybody else is.
    let (high, low) = (seeded.between(64, 127) as u8, seeded.between(0, 255) as u8);
    let address = |last: u8| IpAddr::V4(Ipv4Addr::new(127, high, low, last));
    let node = |index: usize| NodeState {
        index,
        address: address(index as u8),
        directory: match options.backend {
            Backend::Loopback => file.root().join(format!("node-{index}")),
            Backend::Namespaces { .. } => Volume::of(file, index).directory(),
        },
        output: file.root().join(format!("node-{index}.log")),
        template: None,
        process: None,
        wanted: false,
    };
    State::new(id, options.backend, address(254), (1..=options.nodes).map(node).collect())
}
