//! Starting a node's process, and hearing how it ended.

use std::fs::File;
use std::net::IpAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::options::Backend;
use super::process::{MARK, ProcessId};
use super::state::{Lock, State, StateFile};
use super::template::{Places, Template};
use super::{Exit, Inner, namespace};
use crate::error::ChaosError;
use crate::faults::preload;
use crate::limits::{GONE_WITHIN, POLL};
use crate::tool;

impl Inner {
    /// Starts a node by the template that the state file has of it. Gives the process number.
    pub(crate) fn launch(&self, lock: &Lock, index: usize) -> Result<u32, ChaosError> {
        let state = self.file.read()?;
        let node = state.node(index);
        if let Some(process) = node.process
            && !process.wait(GONE_WITHIN, |state| state.is_none())
        {
            return Err(ChaosError::Timeout(format!(
                "node {index} cannot be started: its process {} has not ended",
                process.pid
            )));
        }
        self.reap(index);
        let rendered = rendered(&state, index)?;
        write_files(&node.directory, &rendered)?;
        let mut command = command(&self.file, &state, index, &rendered)?;
        let child =
            command.spawn().map_err(ChaosError::io(format!("start node {index}: {}", rendered.program)))?;
        let pid = child.id();
        let process = ProcessId::of(pid);
        self.children().insert(index, child);
        self.file.update(lock, |state| state.node_mut(index).process = process)?;
        Ok(pid)
    }

    /// Asks how a child ended, if it did: until then the system keeps it as a zombie. None while it runs, and of
    /// other people's children.
    pub(crate) fn reap(&self, index: usize) -> Option<Exit> {
        let mut children = self.children();
        children.get_mut(&index)?.try_wait().ok()?.map(exit_of)
    }

    pub(crate) fn wait_exit(&self, index: usize, timeout: Duration) -> Result<Exit, ChaosError> {
        let Some(process) = self.file.read()?.node(index).process else {
            return Ok(Exit::Unknown);
        };
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(exit) = self.reap(index) {
                return Ok(exit);
            }
            if !process.is_alive() && !self.children().contains_key(&index) {
                return Ok(Exit::Unknown);
            }
            if Instant::now() >= deadline {
                return Err(ChaosError::Timeout(format!(
                    "process {} of node {index} still runs after {timeout:?}",
                    process.pid
                )));
            }
            std::thread::sleep(POLL);
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

fn rendered(state: &State, index: usize) -> Result<Template, ChaosError> {
    let node = state.node(index);
    let addresses: Vec<IpAddr> = state.nodes.iter().map(|node| node.address).collect();
    let places =
        Places { node: index, directory: &node.directory, addresses: &addresses, host: state.host_address };
    let template = node.template.as_ref();
    let template = template.ok_or_else(|| ChaosError::Usage(format!("node {index} was never started")))?;
    Ok(template.render(&places))
}

/// Only what is not there yet: the disk may be full, or stalled.
fn write_files(directory: &Path, template: &Template) -> Result<(), ChaosError> {
    for (name, content) in &template.files {
        let path = directory.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == content.as_bytes()) {
            continue;
        }
        let what = || ChaosError::io(format!("write {}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(what())?;
        }
        std::fs::write(&path, content).map_err(what())?;
    }
    Ok(())
}

/// A file, or a name that is looked up. Found here, because `nsenter` would complain to nobody.
fn program(name: &str) -> Result<PathBuf, ChaosError> {
    let found = match name.contains('/') {
        true => Some(PathBuf::from(name)).filter(|path| path.is_file()),
        false => tool::find(name),
    };
    found.ok_or_else(|| ChaosError::Usage(format!("there is no program {name}")))
}

fn command(
    file: &StateFile,
    state: &State,
    index: usize,
    template: &Template,
) -> Result<Command, ChaosError> {
    let node = state.node(index);
    let open = || File::options().create(true).append(true).open(&node.output);
    let output = open().map_err(ChaosError::io(format!("write {}", node.output.display())))?;
    let errors = output.try_clone().map_err(ChaosError::io("share a file"))?;
    let program = program(&template.program)?;
    let mut command = match state.backend {
        Backend::Loopback => Command::new(program),
        Backend::Namespaces { .. } => {
            // It enters the namespace and becomes the program: the process number stays.
            let path = namespace::path_of(&namespace::node_of(state, index));
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", path.display())).arg(program);
            command
        }
    };
    if template.with_faults {
        command.envs(preload::environment(file, state, node)?);
    }
    command
        .args(&template.arguments)
        .envs(&template.environment)
        .env(MARK, format!("{}/{index}", state.id))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // Ctrl-C at a terminal is for this tool, which then takes down its nodes in order.
        .process_group(0);
    Ok(command)
}
