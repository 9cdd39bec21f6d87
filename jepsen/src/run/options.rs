//! What a run is made of, and the command that repeats it.

use std::path::PathBuf;
use std::time::Duration;

use crate::nemesis::Nemesis;
use crate::workload::{Load, Work, Workload};

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What clients do.
    pub work: Work,
    /// Who makes trouble.
    pub nemeses: Vec<Nemesis>,
    /// All at once, not one after the other.
    pub overlap: bool,
    /// For how long.
    pub lasting: Duration,
    /// The seed of all choices.
    pub seed: u64,
    /// 3 or 5.
    pub nodes: usize,
    /// Over so many broker groups the queues are spread: 1 or 2.
    pub broker_groups: usize,
    /// How much is sent.
    pub load: Load,
    /// Where history, report and data go.
    pub directory: PathBuf,
    /// Keep the nodes' data also if nothing was found.
    pub keep: bool,
    /// Further variables of the nodes' environment.
    pub environment: Vec<(String, String)>,
    /// The commit of the product.
    pub commit: String,
    /// Give each node a namespace and a file system of its own also where no nemesis needs them.
    pub in_namespaces: bool,
}

impl RunOptions {
    /// Whether nodes need namespaces.
    pub fn namespaces(&self) -> bool {
        self.in_namespaces || self.nemeses.iter().any(|nemesis| nemesis.needs_namespaces())
    }

    /// The names of those that make trouble, with commas.
    pub fn nemesis_names(&self) -> String {
        match self.nemeses.is_empty() {
            true => "none".to_owned(),
            false => self.nemeses.iter().map(|nemesis| nemesis.name()).collect::<Vec<_>>().join(","),
        }
    }

    /// The command that repeats the run.
    pub fn command(&self) -> String {
        let mut command = format!("cargo run -p jepsen -- run --workload {}", self.work.argument());
        if !self.nemeses.is_empty() {
            command.push_str(&format!(" --nemesis {}", self.nemesis_names()));
        }
        if self.overlap {
            command.push_str(" --overlap");
        }
        if self.nodes != 3 {
            command.push_str(&format!(" --nodes {}", self.nodes));
        }
        if self.broker_groups != 1 {
            command.push_str(&format!(" --broker-groups {}", self.broker_groups));
        }
        if self.in_namespaces {
            command.push_str(" --namespaces");
        }
        for (name, value) in &self.environment {
            command = format!("{name}={value} {command}");
        }
        command.push_str(&format!(" --seconds {} --seed {}", self.lasting.as_secs(), self.seed));
        command
    }

    /// Tells the message ids of this run from those of others: by the seed and the time.
    pub fn run_id(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        now.as_millis() as u64 ^ self.seed.rotate_left(24)
    }
}

/// Why a kind of work on a cluster of so many nodes cannot have a nemesis, if so.
pub fn unfit(kind: Workload, nemesis: Nemesis, nodes: usize) -> Option<&'static str> {
    let is_too_much = kind == Workload::Membership && nemesis.loses_replicas();
    nemesis.unfit_for(nodes).or_else(|| is_too_much.then_some("no quorum may be left while votes are taken"))
}
