//! `ledgermq local`

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use rustix::process::Signal;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::exit::Failure;
use super::output::{OutputArgs, spinner};
use crate::access::first;
use crate::local::launch::{self, Children};
use crate::local::state::{LocalCluster, LocalDirectory, NODES_MAX};
use crate::local::status;

const WATCH_INTERVAL: Duration = Duration::from_millis(500);
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// `ledgermq local ...`
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Start a cluster; Ctrl-C stops it, unless --detach
    #[command(after_help = "Examples:
  ledgermq local start --nodes 3
  ledgermq local start --nodes 3 --groups 3 --detach

Node i listens on BASE+10(i-1) for clients, one above for HTTP, two above for peers. Started again
on the same directory, the cluster goes on where it was.")]
    Start(StartArgs),
    /// Show nodes, groups, leaders and replicas
    #[command(after_help = "Example:
  ledgermq local status -o json")]
    Status {
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stop every node; the data stays
    #[command(after_help = "Example:
  ledgermq local stop")]
    Stop {
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Kill a node's process (SIGKILL), as a crash would
    #[command(after_help = "Example:
  ledgermq local kill node2")]
    Kill {
        /// The node's id or name
        node: String,
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Start a node that was killed, or stop and start one that runs; waits until it answers
    #[command(after_help = "Example:
  ledgermq local restart node2")]
    Restart {
        /// The node's id or name
        node: String,
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// `--data`
#[derive(Debug, Args)]
pub struct DirectoryArgs {
    /// Where the cluster is kept
    #[arg(long, default_value = "ledgermq-data/local", value_name = "DIR")]
    data: PathBuf,
}

/// Arguments of `local start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// How many nodes [default: 3, or as before]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: Option<u16>,
    /// How many broker groups [default: 1, or as before]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: Option<u32>,
    /// The first node's port for clients [default: 8081, or as before]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: Option<u16>,
    /// Control access: every request must be signed; `admin` may do everything, and its secret is in DIR/access
    #[arg(long)]
    access: bool,
    /// Return once every group has a leader, and leave the nodes running
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl LocalCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            LocalCommand::Start(args) => args.run().await,
            LocalCommand::Status { directory, output } => {
                let directory = LocalDirectory::new(&directory.data)?;
                let cluster = directory.existing()?;
                let view = status::view(&cluster, directory.credentials(&cluster)?.as_ref()).await;
                output.print(&view, || view.text());
                Ok(())
            }
            LocalCommand::Stop { directory, output } => {
                let directory = LocalDirectory::new(&directory.data)?;
                directory.existing()?;
                stop(&directory, output).await
            }
            LocalCommand::Kill { node, directory, output } => {
                kill(&LocalDirectory::new(&directory.data)?, &node, output).await
            }
            LocalCommand::Restart { node, directory, output } => {
                let directory = LocalDirectory::new(&directory.data)?;
                let began = Instant::now();
                let node = launch::restart(&directory, &node, &mut Children::default()).await?;
                let pid = node.process.map_or(0, |process| process.pid);
                let took_ms = began.elapsed().as_millis() as u64;
                let value = json!({ "node": node.id, "name": node.name, "pid": pid, "took_ms": took_ms });
                output.print(&value, || format!("{} runs again as process {pid} ({took_ms} ms)", node.name));
                Ok(())
            }
        }
    }
}

async fn stop(directory: &LocalDirectory, output: OutputArgs) -> Result<(), Failure> {
    let bar = spinner("stopping");
    let killed = launch::stop(directory).await;
    bar.finish_and_clear();
    let killed = killed?;
    for name in &killed {
        eprintln!("warning: {name} did not stop in time and was killed; nothing acknowledged is lost");
    }
    output.print(&json!({ "stopped": true, "killed": killed }), || "stopped; the data stays".to_owned());
    Ok(())
}

async fn kill(directory: &LocalDirectory, node: &str, output: OutputArgs) -> Result<(), Failure> {
    let mut cluster = directory.existing()?;
    let node = cluster.node_mut(node)?;
    let process = node.process.filter(|process| process.is_alive());
    let Some(process) = process else {
        return Err(Failure::Nothing(format!(
            "{0} does not run: start it with `ledgermq local restart {0}`",
            node.name
        )));
    };
    process
        .signal(Signal::KILL)
        .map_err(|error| Failure::io(format!("kill process {}", process.pid), &error))?;
    if !process.gone(KILL_PATIENCE).await {
        return Err(Failure::Failed(format!("process {} was killed but is still there", process.pid)));
    }
    let value = json!({ "node": node.id, "name": node.name, "pid": process.pid });
    output.print(&value, || format!("{} (process {}) is killed", node.name, process.pid));
    Ok(())
}

impl StartArgs {
    async fn run(self) -> Result<(), Failure> {
        let directory = LocalDirectory::new(&self.directory.data)?;
        let mut cluster = self.cluster(&directory)?;
        check_ports(&cluster)?;
        let mut interrupt =
            signal(SignalKind::interrupt()).map_err(|e| Failure::io("listen for signals", &e))?;
        let mut terminate =
            signal(SignalKind::terminate()).map_err(|e| Failure::io("listen for signals", &e))?;
        let mut children = Children::default();
        let began = Instant::now();
        let bar = spinner("waiting for a leader in every group");
        let started = tokio::select! {
            started = launch::start(&directory, &mut cluster, &mut children) => started,
            _ = interrupt.recv() => Err(Failure::Failed("interrupted".to_owned())),
            _ = terminate.recv() => Err(Failure::Failed("told to stop".to_owned())),
        };
        bar.finish_and_clear();
        if let Err(failure) = started {
            launch::stop(&directory).await?;
            return Err(failure);
        }
        let view = status::view(&cluster, directory.credentials(&cluster)?.as_ref()).await;
        let took = began.elapsed().as_secs_f32();
        self.output.print(&view, || self.welcome(&directory, &cluster, &view.text(), took));
        if self.detach {
            return Ok(());
        }
        tokio::select! {
            () = watch(&directory, &mut children) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop(&directory, self.output).await
    }

    /// The cluster that is there, or a new one.
    fn cluster(&self, directory: &LocalDirectory) -> Result<LocalCluster, Failure> {
        let Some(mut old) = directory.read()? else {
            let (nodes, groups) = (self.nodes.unwrap_or(3), self.groups.unwrap_or(1));
            let new = LocalCluster::new(nodes, groups, self.base_port.unwrap_or(8081));
            return Ok(LocalCluster { access: self.access, ..new });
        };
        if let Some(node) = old.nodes.iter().find(|node| node.is_alive()) {
            return Err(Failure::Failed(format!(
                "a cluster runs in {} already ({} listens on {}): stop it with `ledgermq local stop`",
                directory.display(),
                node.name,
                node.grpc
            )));
        }
        let other = |what: &str, had: String| {
            Failure::Usage(format!(
                "the cluster in {} has {had} {what}: leave --{what} away, or use another directory with --data",
                directory.display()
            ))
        };
        if self.nodes.is_some_and(|nodes| usize::from(nodes) != old.nodes.len()) {
            return Err(other("nodes", old.nodes.len().to_string()));
        }
        if self.groups.is_some_and(|groups| groups != old.groups) {
            return Err(other("groups", old.groups.to_string()));
        }
        // The nodes know each other's addresses from their first start.
        if self.base_port.is_some_and(|port| port != old.base_port) {
            return Err(other("base-port", old.base_port.to_string()));
        }
        old.nodes.iter_mut().for_each(|node| node.process = None);
        old.access |= self.access;
        Ok(old)
    }

    fn welcome(
        &self,
        directory: &LocalDirectory,
        cluster: &LocalCluster,
        status: &str,
        took_s: f32,
    ) -> String {
        let endpoint = match cluster.base_port {
            8081 => String::new(),
            port => format!(" --endpoint 127.0.0.1:{port}"),
        };
        let data = match self.directory.data.to_str() {
            Some("ledgermq-data/local") => String::new(),
            _ => format!(" --data {}", self.directory.data.display()),
        };
        let access = match cluster.access {
            false => String::new(),
            true => format!(
                "\n  export LEDGERMQ_ACCESS_KEY={} LEDGERMQ_SECRET_KEY_FILE={}",
                first::NAME,
                directory.admin_secret().display()
            ),
        };
        let console = cluster.nodes.first().map_or("", |node| node.http.as_str());
        let end = match self.detach {
            true => format!("  ledgermq local stop{data}"),
            false => "Ctrl-C stops the cluster; its data stays.".to_owned(),
        };
        format!(
            "{status}\nEvery group has a leader after {took_s:.1} s. The console: http://{console}/\nTry in another terminal:{access}
  ledgermq send demo --body hello{endpoint}
  ledgermq receive demo --group g{endpoint}
  ledgermq local kill node1{data}     (then send again)
  ledgermq local restart node1{data}\n{end}"
        )
    }
}

/// Says when a node dies, comes back, or a leader changes. Ends when no node runs any more.
async fn watch(directory: &LocalDirectory, children: &mut Children) {
    let mut said: Vec<(String, String)> = Vec::new();
    loop {
        children.reap();
        let Ok(Some(cluster)) = directory.read() else { return };
        if !cluster.nodes.iter().any(|node| node.is_alive()) {
            // A restart takes the lock while it replaces a process.
            if directory.lock().is_ok() && !still_alive(directory) {
                return;
            }
        }
        let Ok(credentials) = directory.credentials(&cluster) else { return };
        let view = status::view(&cluster, credentials.as_ref()).await;
        let nodes = view.nodes.iter().map(|node| {
            (
                node.name.clone(),
                if node.alive { format!("runs as process {}", node.pid) } else { "is dead".into() },
            )
        });
        let groups = view.groups.iter().map(|group| {
            let leader = group.leader.map_or("no node".to_owned(), |leader| format!("node {leader}"));
            (group.name.clone(), format!("is led by {leader}"))
        });
        let now: Vec<(String, String)> = nodes.chain(groups).collect();
        for (name, state) in now.iter().filter(|fact| !said.is_empty() && !said.contains(fact)) {
            eprintln!("{name} {state}");
        }
        said = now;
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

fn still_alive(directory: &LocalDirectory) -> bool {
    let cluster = directory.read().ok().flatten();
    cluster.is_some_and(|cluster| cluster.nodes.iter().any(|node| node.is_alive()))
}

/// A port that is taken is told before anything is started.
fn check_ports(cluster: &LocalCluster) -> Result<(), Failure> {
    for node in &cluster.nodes {
        for address in [&node.grpc, &node.http, &node.peer] {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
            if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return Err(Failure::Failed(format!(
                    "{address} is not free for {}: {error}. Stop what listens there, or choose other ports with --base-port",
                    node.name
                )));
            }
        }
    }
    Ok(())
}
