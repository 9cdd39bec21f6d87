//! `ledgermq-chaos cluster`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::exit::Failure;
use super::output::{OutputArgs, table};
use super::{StateArgs, stop_on_signals};
use crate::capability::machines;
use crate::cluster::Cluster;
use crate::cluster::options::{Backend, ClusterOptions, STATE_FILE};
use crate::cluster::template::Template;

/// Commands of `cluster`.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Make nodes, and start a process on each
    Up(UpArgs),
    /// Start a node that has ended, as it was last started
    Start(NodeArgs),
    /// End a node's process: no fault that is healed starts it again
    Stop(NodeArgs),
    /// Say how the nodes are
    Status(StatusArgs),
    /// End the processes and remove what was made
    Down(DownArgs),
}

impl ClusterCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            ClusterCommand::Up(args) => args.run(),
            ClusterCommand::Start(args) => args.start(),
            ClusterCommand::Stop(args) => args.stop(),
            ClusterCommand::Status(args) => args.run(),
            ClusterCommand::Down(args) => args.run(),
        }
    }
}

/// What ends by itself within this is not killed.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// `--backend`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BackendName {
    /// Namespaces where this machine has them, or else loopback
    Auto,
    /// Processes on loopback addresses: no faults of networks, few of disks
    Loopback,
    /// A network namespace and a file system for each node; needs root
    Namespaces,
}

/// Arguments of `cluster up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Placeholders in the template, in files and in variables: {node} {address} {address.2} {directory} {nodes} {peers} {host}

Examples:
  ledgermq-chaos cluster up --nodes 3
  ledgermq-chaos cluster up --nodes 3 --template 'my-server --listen {address}:7000 --data {directory}'
  ledgermq-chaos cluster up --template 'ledgermq serve --config {directory}/node.toml' --file node.toml=template.toml")]
pub(super) struct UpArgs {
    #[command(flatten)]
    state: StateArgs,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    nodes: usize,
    /// Where the nodes live
    #[arg(long, value_enum, default_value = "auto", value_name = "NAME")]
    backend: BackendName,
    /// The size of each node's file system, in MiB (namespaces only)
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    image_mib: u64,
    /// What runs on each node; without it the nodes are made and nothing runs there
    #[arg(long, value_name = "COMMAND")]
    template: Option<String>,
    /// A file in each node's directory, and what it is made from
    #[arg(long = "file", value_name = "NAME=TEMPLATEFILE", requires = "template")]
    files: Vec<String>,
    /// A variable in the environment of each node's process
    #[arg(long = "env", value_name = "NAME=VALUE", requires = "template")]
    environment: Vec<String>,
    /// Load the libraries that clock faults and fsync errors need
    #[arg(long, requires = "template")]
    with_faults: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl UpArgs {
    fn run(self) -> Result<(), Failure> {
        let template = self.template()?;
        let options = ClusterOptions { nodes: self.nodes, root: self.root()?, backend: self.backend() };
        let stop = stop_on_signals()?;
        eprintln!("making {} nodes under {}", options.nodes, options.root.display());
        let cluster = Cluster::create(&options)?;
        if let Some(template) = template {
            for node in 1..=cluster.size() {
                eprintln!("starting node {node}");
                cluster.start(node, &template)?;
            }
        }
        if stop.is_stopped() {
            cluster.down(Duration::ZERO)?;
            return Err(Failure::Failed("interrupted; the cluster is down again".into()));
        }
        let printed = print_status(&cluster, self.output);
        cluster.leave();
        printed
    }

    /// The library names the state file; so does this command line, for those who come after.
    fn root(&self) -> Result<PathBuf, Failure> {
        let state = &self.state.state;
        match (state.file_name(), state.parent()) {
            (Some(name), Some(root)) if name == STATE_FILE => Ok(root.to_owned()),
            _ => Err(Failure::Usage(format!(
                "a state file is named {STATE_FILE}: say --state {}",
                state.join(STATE_FILE).display()
            ))),
        }
    }

    fn backend(&self) -> Backend {
        let namespaces = Backend::Namespaces { image_bytes: self.image_mib << 20 };
        match (self.backend, machines()) {
            (BackendName::Loopback, _) => Backend::Loopback,
            (BackendName::Namespaces, _) | (BackendName::Auto, Ok(())) => namespaces,
            (BackendName::Auto, Err(why)) => {
                eprintln!("*** on loopback, without faults of networks and disks: {why}");
                Backend::Loopback
            }
        }
    }

    fn template(&self) -> Result<Option<Template>, Failure> {
        let Some(line) = &self.template else { return Ok(None) };
        let mut template = Template::parse(line).map_err(|error| Failure::Usage(error.to_string()))?;
        for pair in &self.files {
            let (name, path) = pair_of(pair)?;
            let content = std::fs::read_to_string(path)
                .map_err(|error| Failure::Usage(format!("cannot read the template {path}: {error}")))?;
            template = template.file(name, content);
        }
        for pair in &self.environment {
            let (name, value) = pair_of(pair)?;
            template = template.env(name, value);
        }
        template.with_faults = self.with_faults;
        Ok(Some(template))
    }
}

fn pair_of(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=').ok_or_else(|| Failure::Usage(format!("{text:?} is not of the form NAME=VALUE")))
}

/// Arguments of `cluster start` and `cluster stop`.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// Which node, from 1
    #[arg(value_name = "NODE")]
    node: usize,
    #[command(flatten)]
    state: StateArgs,
}

impl NodeArgs {
    fn cluster(&self) -> Result<Cluster, Failure> {
        let cluster = Cluster::open(&self.state.state)?;
        match (1..=cluster.size()).contains(&self.node) {
            true => Ok(cluster),
            false => Err(Failure::Usage(format!("there is no node {}: 1 to {}", self.node, cluster.size()))),
        }
    }

    fn start(self) -> Result<(), Failure> {
        let pid = self.cluster()?.start_again(self.node)?;
        super::output::line(&format!("node {} runs: process {pid}", self.node));
        Ok(())
    }

    fn stop(self) -> Result<(), Failure> {
        self.cluster()?.stop(self.node, STOP_GRACE)?;
        super::output::line(&format!("node {} is down", self.node));
        Ok(())
    }
}

/// Arguments of `cluster status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl StatusArgs {
    fn run(self) -> Result<(), Failure> {
        print_status(&Cluster::open(&self.state.state)?, self.output)
    }
}

fn print_status(cluster: &Cluster, output: OutputArgs) -> Result<(), Failure> {
    let nodes = cluster.status()?;
    let value = serde_json::json!({ "state": cluster.state_file(), "nodes": nodes });
    output.print(&value, || {
        let row = |node: &crate::NodeStatus| {
            let faults: Vec<String> = node.faults.iter().map(ToString::to_string).collect();
            [
                node.node.index().to_string(),
                node.node.address().to_string(),
                match (node.pid, node.paused) {
                    (Some(pid), false) => format!("runs ({pid})"),
                    (Some(pid), true) => format!("paused ({pid})"),
                    (None, _) => "down".into(),
                },
                if faults.is_empty() { "-".into() } else { faults.join(" ") },
                node.node.directory().display().to_string(),
            ]
        };
        let rows: Vec<[String; 5]> = nodes.iter().map(row).collect();
        table(["NODE", "ADDRESS", "PROCESS", "FAULTS", "DIRECTORY"], &rows)
    });
    Ok(())
}

/// Arguments of `cluster down`.
#[derive(Debug, Args)]
pub(super) struct DownArgs {
    #[command(flatten)]
    state: StateArgs,
    /// How many seconds a process may take to end before it is killed
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    grace: u64,
    #[command(flatten)]
    output: OutputArgs,
}

impl DownArgs {
    fn run(self) -> Result<(), Failure> {
        let healed = Cluster::open(&self.state.state)?.down(Duration::from_secs(self.grace))?;
        super::heal::print(&healed, self.output);
        Ok(())
    }
}
