//! Starting and stopping the nodes of a local cluster.

use std::io::{Read, Seek, SeekFrom};
use std::process::Child;
use std::time::Duration;

use tokio::time::Instant;

use super::process::{ProcessId, spawn_node};
use super::state::{LocalCluster, LocalDirectory, LocalNode};
use super::status;
use crate::cli::exit::Failure;

/// How long a cluster may take until every group has a leader.
const LED_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node may take to answer: recovery reads what is not sealed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(40);
/// How long a node may take to stop before it is killed. Longer than it drains.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How much of a dead node's log is shown.
const LOG_TAIL_BYTES: u64 = 2048;

/// The processes that this one started. They have to be waited for, or they stay as zombies.
#[derive(Debug, Default)]
pub struct Children(Vec<Child>);

impl Children {
    /// Waits for those that ended.
    pub fn reap(&mut self) {
        self.0.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}

/// Starts every node, and waits until every group has a leader and all nodes are ready.
pub async fn start(
    directory: &LocalDirectory,
    cluster: &mut LocalCluster,
    children: &mut Children,
) -> Result<(), Failure> {
    let lock = directory.lock()?;
    if cluster.access {
        directory.make_access()?;
    }
    let credentials = directory.credentials(cluster)?;
    for index in 0..cluster.nodes.len() {
        let node = &cluster.nodes[index];
        directory.write_config(cluster, node)?;
        let process = spawn(directory, node, children)?;
        cluster.nodes[index].process = Some(process);
    }
    directory.write(cluster)?;
    drop(lock);
    let deadline = Instant::now() + LED_TIMEOUT;
    loop {
        let mut led = true;
        for node in &cluster.nodes {
            if !node.is_alive() {
                return Err(died(directory, node));
            }
            led &= match status::ask(&node.grpc, credentials.as_ref()).await {
                Some(view) => view.is_led(cluster.groups) && status::is_ready(node).await,
                None => false,
            };
        }
        if led {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::Failed(format!(
                "the nodes run, but not every group has a leader after {} s: look at `ledgermq local status` and at {}",
                LED_TIMEOUT.as_secs(),
                directory.display()
            )));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Starts one node that does not run, and waits until it answers.
pub async fn restart(
    directory: &LocalDirectory,
    id_or_name: &str,
    children: &mut Children,
) -> Result<LocalNode, Failure> {
    let node = {
        let _lock = directory.lock()?;
        let mut cluster = directory.existing()?;
        let node = cluster.node_mut(id_or_name)?;
        if let Some(process) = node.process.filter(|process| process.is_alive()) {
            stop_process(process).await?;
        }
        let started = spawn(directory, node, children)?;
        node.process = Some(started);
        let node = node.clone();
        directory.write(&cluster)?;
        node
    };
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    while !status::listens(&node).await {
        if !node.is_alive() {
            return Err(died(directory, &node));
        }
        if Instant::now() >= deadline {
            let log = directory.log_of(&node);
            let reason = format!("{} does not answer; its log is {}", node.name, log.display());
            return Err(Failure::Failed(reason));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(node)
}

/// Stops every node that runs; the names of those that had to be killed.
pub async fn stop(directory: &LocalDirectory) -> Result<Vec<String>, Failure> {
    let _lock = directory.lock()?;
    let cluster = directory.existing()?;
    let stopping = cluster.nodes.iter().filter_map(|node| {
        let process = node.process.filter(|process| process.is_alive())?;
        Some(async move { stop_process(process).await.map(|willing| (!willing).then(|| node.name.clone())) })
    });
    let results = futures::future::join_all(stopping).await;
    let killed: Result<Vec<Option<String>>, Failure> = results.into_iter().collect();
    Ok(killed?.into_iter().flatten().collect())
}

async fn stop_process(process: ProcessId) -> Result<bool, Failure> {
    process
        .stop(STOP_PATIENCE)
        .await
        .map_err(|error| Failure::io(format!("stop process {}", process.pid), &error))
}

fn spawn(
    directory: &LocalDirectory,
    node: &LocalNode,
    children: &mut Children,
) -> Result<ProcessId, Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("start {}", node.name), &error);
    let child = spawn_node(&directory.config_of(node), &directory.log_of(node)).map_err(failed)?;
    let process = ProcessId::of(child.id());
    children.0.push(child);
    process.ok_or_else(|| died(directory, node))
}

/// Says what a dead node said last.
fn died(directory: &LocalDirectory, node: &LocalNode) -> Failure {
    let path = directory.log_of(node);
    let tail = || -> std::io::Result<String> {
        let mut log = std::fs::File::open(&path)?;
        let from = log.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        log.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let said = tail().unwrap_or_default();
    let last = said.lines().rev().find(|line| line.starts_with("error:")).or_else(|| said.lines().last());
    Failure::Failed(format!(
        "{} ended: {}\nits log is {}",
        node.name,
        last.unwrap_or("it said nothing"),
        path.display()
    ))
}
