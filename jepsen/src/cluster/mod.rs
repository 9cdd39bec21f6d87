//! A cluster of broker processes under `chaos`, and what its admin service says about it.

mod binary;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chaos::{Backend, ClusterOptions, Exit, Fault, Injected, Target, Template};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::{Client, ClusterView};
use crate::limits::{CONVERGENCE_MAX, IMAGE_BYTES, POLL_INTERVAL, READY_PATIENCE};

pub use binary::{Binary, BinaryError};
pub use settings::{GRPC_PORT, node_settings};

/// The broker group by whose leader roles are told.
pub const BROKER_GROUP: &str = "g1";

/// The names of the broker groups of a cluster that has so many.
pub fn broker_groups(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("g{number}"))
}

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 3 or 5 nodes.
    pub nodes: usize,
    /// How many broker groups.
    pub broker_groups: usize,
    /// Whether each has a network namespace and a file system of its own.
    pub namespaces: bool,
    /// Whether the libraries for clock and fsync faults are loaded.
    pub with_faults: bool,
    /// Further variables of the nodes' environment.
    pub environment: Vec<(String, String)>,
}

/// A node that ended although nobody ended it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// The node, from 1.
    pub node: usize,
    /// How it ended, and what it said last.
    pub how: String,
    /// Its exit code, if it had one.
    pub code: Option<i32>,
}

/// A running cluster.
#[derive(Debug)]
pub struct Brokers {
    cluster: Arc<chaos::Cluster>,
    template: Template,
    shape: Shape,
    binary: Binary,
}

impl Brokers {
    /// Makes the nodes below `root` and starts them.
    ///
    /// # Errors
    /// What `chaos` says; nothing is left behind then.
    pub async fn start(root: &Path, binary: &Binary, shape: &Shape) -> anyhow::Result<Brokers> {
        let backend = match shape.namespaces {
            true => Backend::Namespaces { image_bytes: IMAGE_BYTES },
            false => Backend::Loopback,
        };
        let options = ClusterOptions { nodes: shape.nodes, root: root.to_owned(), backend };
        let mut template = Template::new(binary.path().display().to_string())
            .args(["serve", "--config", "{directory}/node.toml"])
            .file("node.toml", node_settings(shape.nodes, shape.broker_groups, shape.namespaces))
            .env("RUST_BACKTRACE", "1")
            // Nobody else is in the network that it makes.
            .env("LEDGERMQ_INSECURE", "all");
        for (name, value) in &shape.environment {
            template = template.env(name, value);
        }
        if shape.with_faults {
            template = template.with_faults();
        }
        let (starting, with) = (options.clone(), template.clone());
        let cluster = tokio::task::spawn_blocking(move || {
            let cluster = chaos::Cluster::create(&starting)?;
            cluster.start_all(&with)?;
            Ok::<_, chaos::ChaosError>(cluster)
        });
        let cluster =
            cluster.await?.with_context(|| format!("cannot start a cluster in {}", root.display()))?;
        Ok(Brokers { cluster: Arc::new(cluster), template, shape: shape.clone(), binary: binary.clone() })
    }

    /// What it is made of.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.cluster.size()
    }

    /// `host:port` of every node's client port.
    pub fn addresses(&self) -> Vec<String> {
        self.cluster.nodes().iter().map(|node| format!("{}:{GRPC_PORT}", node.address())).collect()
    }

    /// A node's data directory.
    pub fn data(&self, node: usize) -> PathBuf {
        self.cluster.node(node).directory().join("data")
    }

    /// What a node's processes have printed.
    pub fn output(&self, node: usize) -> PathBuf {
        self.cluster.node(node).output().to_owned()
    }

    /// Does something with the cluster that may block.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&chaos::Cluster) -> T + Send + 'static,
    ) -> T {
        let cluster = self.cluster.clone();
        tokio::task::spawn_blocking(move || work(&cluster)).await.expect("work on a cluster does not panic")
    }

    /// Lets a fault happen to these nodes.
    pub async fn inject(&self, fault: &Fault, nodes: &[usize]) -> Injected {
        let (fault, nodes) = (fault.clone(), nodes.to_vec());
        self.blocking(move |cluster| cluster.inject(&fault, &nodes)).await
    }

    /// Heals everything, and starts every node that does not run.
    ///
    /// # Errors
    /// Something could not be healed, or a node not started.
    pub async fn heal(&self) -> anyhow::Result<()> {
        self.blocking(|cluster| cluster.heal_faults()).await.context("cannot heal every fault")?;
        self.start_stopped().await
    }

    /// Starts every node that does not run and is not held down.
    ///
    /// # Errors
    /// A node could not be started.
    pub async fn start_stopped(&self) -> anyhow::Result<()> {
        let template = self.template.clone();
        let started = self.blocking(move |cluster| {
            for status in cluster.status()? {
                let held = status.faults.iter().any(Fault::holds_down);
                if status.pid.is_none() && !held {
                    cluster.start(status.node.index(), &template)?;
                }
            }
            Ok::<_, chaos::ChaosError>(())
        });
        started.await.context("cannot start a node again")
    }

    /// Marks the damaged replicas of a node that does not run, if there are any, so that its next start has them
    /// rebuilt.
    ///
    /// # Errors
    /// The broker's command refuses.
    pub async fn repair(&self, node: usize) -> anyhow::Result<()> {
        let output = tokio::process::Command::new(self.binary.path())
            .args(["cluster", "repair", &node.to_string(), "--yes", "--data"])
            .arg(self.data(node))
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .with_context(|| format!("cannot run {}", self.binary.path().display()))?;
        /// What the command ends with when it finds no damage.
        const NOTHING: i32 = 3;
        let said = String::from_utf8_lossy(&output.stderr);
        let done = output.status.success() || output.status.code() == Some(NOTHING);
        anyhow::ensure!(done, "node {node} could not be repaired: {}", said.trim());
        Ok(())
    }

    /// The nodes that do not run although no fault holds them down, and how they ended.
    pub async fn dead(&self) -> Vec<Death> {
        self.blocking(|cluster| {
            let status = cluster.status().unwrap_or_default();
            let held = |status: &chaos::NodeStatus| status.faults.iter().any(Fault::holds_down);
            let stopped = status.iter().filter(|status| status.pid.is_none() && !held(status));
            stopped
                .map(|status| status.node.index())
                .map(|node| {
                    let exit = cluster.wait_exit(node, Duration::from_secs(1));
                    let code = match exit {
                        Ok(Exit::Code(code)) => Some(code),
                        _ => None,
                    };
                    let how = match exit {
                        Ok(Exit::Code(code)) => format!("exit code {code}"),
                        Ok(Exit::Signal(signal)) => format!("signal {signal}"),
                        Ok(Exit::Unknown) => "unknown".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    let how = format!("{how}: {}", last_words(cluster.node(node).output()));
                    Death { node, how, code }
                })
                .collect()
        })
        .await
    }

    /// Waits until every node is there, every group has a leader, and every replica has what was committed when that was
    /// first so: under load there is always something new, which no two replicas have at the same moment. How long that
    /// took.
    pub async fn converged(&self, patience: Duration) -> Option<Duration> {
        let begun = Instant::now();
        let addresses = self.addresses();
        let mut client = Client::new("jepsen-looker", &addresses, 0);
        let mut goal: Option<Vec<(String, u64)>> = None;
        loop {
            // All of them say so: a node that was cut off may be the last to know.
            let mut agree = 0;
            for node in 0..addresses.len() {
                client.prefer(node);
                let Some(view) = client.cluster_status().await.filter(|view| view.is_whole(addresses.len()))
                else {
                    continue;
                };
                let goal = goal.get_or_insert_with(|| view.committed());
                agree += usize::from(view.has_applied(goal));
            }
            if agree == addresses.len() {
                return Some(begun.elapsed());
            }
            if begun.elapsed() >= patience {
                return None;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the cluster that was just started serves.
    ///
    /// # Errors
    /// It does not in time; the error has the nodes' last words.
    pub async fn ready(&self) -> anyhow::Result<Duration> {
        match self.converged(READY_PATIENCE).await {
            Some(took) => Ok(took),
            None => {
                let nodes = 1..=self.size();
                let words = nodes.map(|node| format!("node {node}: {}", last_words(&self.output(node))));
                anyhow::bail!(
                    "the cluster is not ready after {} s:\n{}",
                    READY_PATIENCE.as_secs(),
                    words.collect::<Vec<_>>().join("\n")
                )
            }
        }
    }

    /// Waits for convergence after healing.
    pub async fn converged_after_healing(&self) -> Option<Duration> {
        self.converged(CONVERGENCE_MAX).await
    }

    /// What some node says of the cluster.
    pub async fn view(&self) -> Option<ClusterView> {
        let addresses = self.addresses();
        let mut client = Client::new("jepsen-looker", &addresses, 0);
        for _ in 0..addresses.len() {
            if let Some(view) = client.cluster_status().await {
                return Some(view);
            }
        }
        None
    }

    /// The nodes that a target means now. Roles are `leader`, `followers`, `follower` and `leader of GROUP`. One by
    /// chance is one that runs, if any does: another nemesis may have ended the chosen one a moment ago.
    ///
    /// # Errors
    /// Nobody has the role.
    pub async fn resolve(&self, target: &Target, seed: u64) -> anyhow::Result<Vec<usize>> {
        let view = match target {
            Target::Role(_) => self.led().await,
            _ => None,
        };
        let size = self.size();
        let mut role = |name: &str| role(name, size, view.as_ref()?);
        let nodes = target.resolve(size, seed, &mut role)?;
        if !matches!(target, Target::One) {
            return Ok(nodes);
        }
        let running = self.blocking(|cluster| {
            (1..=cluster.size()).filter(|node| cluster.pid(*node).is_some()).collect::<Vec<usize>>()
        });
        let running = running.await;
        Ok(nodes.into_iter().map(|node| or_next(node, &running)).collect())
    }

    /// A view in which the broker group has a leader, waited for a while.
    async fn led(&self) -> Option<ClusterView> {
        let begun = Instant::now();
        loop {
            let view = self.view().await;
            if view.as_ref().is_some_and(|view| view.leader_of(BROKER_GROUP).is_some()) {
                return view;
            }
            if begun.elapsed() >= crate::limits::ADMIN_TIMEOUT {
                return None;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends all processes at the same moment: no node outlives another long enough to add to its log.
    ///
    /// # Errors
    /// A process could not be ended.
    pub async fn kill_all(&self) -> anyhow::Result<()> {
        let killed = self.blocking(|cluster| {
            let running: Vec<usize> =
                (1..=cluster.size()).filter(|node| cluster.pid(*node).is_some()).collect();
            if running.is_empty() {
                return Ok(());
            }
            let guard = cluster.inject(&Fault::Kill {}, &running).installed().map_err(anyhow::Error::msg)?;
            for node in running {
                // Nobody starts it again from now on, and what is healed does not either.
                cluster.stop(node, Duration::ZERO)?;
            }
            guard.heal().map_err(anyhow::Error::from)
        });
        killed.await.context("cannot end every node")
    }

    /// Takes the cluster down. What is in the root stays, but for what was on images.
    ///
    /// # Errors
    /// Something could not be removed.
    pub async fn down(self) -> anyhow::Result<()> {
        match Arc::try_unwrap(self.cluster) {
            Ok(cluster) => {
                tokio::task::spawn_blocking(move || cluster.down(Duration::ZERO)).await??;
            }
            Err(shared) => drop(shared),
        }
        Ok(())
    }
}

fn role(name: &str, size: usize, view: &ClusterView) -> Option<Vec<usize>> {
    let leader_of = |group: &str| view.leader_of(group).and_then(|node| usize::try_from(node).ok());
    match name {
        "leader" => leader_of(BROKER_GROUP).map(|node| vec![node]),
        "followers" => {
            let leader = leader_of(BROKER_GROUP)?;
            Some((1..=size).filter(|node| *node != leader).collect())
        }
        "follower" => {
            let leader = leader_of(BROKER_GROUP)?;
            Some(vec![leader % size + 1])
        }
        _ => leader_of(name.strip_prefix("leader of ")?).map(|node| vec![node]),
    }
}

/// The last lines that a node printed.
fn last_words(output: &Path) -> String {
    const LINES: usize = 3;
    let text = std::fs::read(output).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(LINES).collect();
    let cut = |line: &&str| line.chars().take(crate::limits::LOG_LINE_CHARS_MAX).collect::<String>();
    lines.iter().rev().map(cut).collect::<Vec<_>>().join(" | ")
}

/// The node if it is one of these, else the next one of them, in a circle; itself if there are none.
fn or_next(node: usize, running: &[usize]) -> usize {
    let next = running.iter().find(|other| **other >= node);
    *next.or(running.first()).unwrap_or(&node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::GroupView;

    #[test]
    fn who_does_not_run_is_passed_over() {
        assert_eq!(or_next(2, &[1, 2, 3]), 2);
        assert_eq!(or_next(2, &[1, 3]), 3);
        assert_eq!(or_next(3, &[1, 2]), 1);
        assert_eq!(or_next(3, &[]), 3);
    }

    #[test]
    fn roles_are_those_of_the_broker_group() {
        let group = |name: &str, leader| GroupView { name: name.into(), leader, ..GroupView::default() };
        let view = ClusterView { alive: vec![1, 2, 3], groups: vec![group("meta", 3), group("g1", 2)] };
        assert_eq!(role("leader", 3, &view), Some(vec![2]));
        assert_eq!(role("followers", 3, &view), Some(vec![1, 3]));
        assert_eq!(role("follower", 3, &view), Some(vec![3]));
        assert_eq!(role("leader of meta", 3, &view), Some(vec![3]));
        assert_eq!(role("king", 3, &view), None);
        let view = ClusterView { alive: vec![1, 2, 3], groups: vec![group("g1", 0)] };
        assert_eq!(role("leader", 3, &view), None, "nobody leads");
    }
}
