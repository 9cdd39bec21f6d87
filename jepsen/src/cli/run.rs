//! `jepsen run`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::Format;
use super::print;
use crate::cluster::Binary;
use crate::nemesis::Nemesis;
use crate::run::{RunOptions, run, unfit};
use crate::workload::{Load, Work, Workload};

/// `jepsen run ...`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  jepsen run --workload queue --nemesis kill,partition --seconds 60 --seed 7

Exits with 0 if everything held and was covered, 1 if something was violated, 2 if the run could not be made, 3 if it
proves nothing.")]
pub struct RunArgs {
    /// What clients do; several, with commas, go on at the same time
    #[arg(long, value_enum, value_delimiter = ',', default_value = "queue")]
    workload: Vec<Workload>,
    /// Who makes trouble, with commas; none: nobody
    #[arg(long, value_enum, value_delimiter = ',')]
    nemesis: Vec<Nemesis>,
    /// Let all of them make trouble at once, not one after the other
    #[arg(long)]
    overlap: bool,
    /// For how long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The seed of all choices; without it one is drawn
    #[arg(long)]
    seed: Option<u64>,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = parse_nodes)]
    nodes: usize,
    /// Over how many broker groups queues are spread
    #[arg(long, default_value_t = 1, value_parser = parse_broker_groups)]
    broker_groups: usize,
    /// Give each node a network namespace and a file system of its own also where no fault needs them
    #[arg(long)]
    namespaces: bool,
    /// Keep the nodes' data also if nothing was found
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    common: CommonArgs,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Format,
}

/// What all commands that start clusters have in common.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// The broker; else LEDGERMQ_BINARY, else target/release/ledgermq
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// Where history, report and data go
    #[arg(long, value_name = "DIR", default_value = "target/jepsen")]
    pub out: PathBuf,
    /// Processes that send
    #[arg(long, default_value_t = Load::default().senders, value_name = "N")]
    pub senders: u32,
    /// Processes that receive
    #[arg(long, default_value_t = Load::default().receivers, value_name = "N")]
    pub receivers: u32,
    /// The mean pause of a sender between two requests, in milliseconds
    #[arg(long, default_value_t = Load::default().pause.as_millis() as u64, value_name = "MS")]
    pub pause_ms: u64,
}

impl CommonArgs {
    /// How much is sent.
    pub fn load(&self) -> Load {
        Load {
            senders: self.senders.clamp(1, 256),
            receivers: self.receivers.clamp(1, 256),
            pause: Duration::from_millis(self.pause_ms),
        }
    }
}

/// 3 or 5.
pub fn parse_nodes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(nodes @ (3 | 5)) => Ok(nodes),
        _ => Err("a cluster has 3 or 5 nodes".to_owned()),
    }
}

/// 1 or 2.
fn parse_broker_groups(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(groups @ (1 | 2)) => Ok(groups),
        _ => Err("queues are spread over 1 or 2 broker groups".to_owned()),
    }
}

/// The commit that is checked out here.
pub fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

impl RunArgs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        ensure!((1..=86_400).contains(&self.seconds), "--seconds is {}: 1 to 86400", self.seconds);
        let work = Work::of(self.workload.clone()).map_err(anyhow::Error::msg)?;
        let alone = self.nemesis.iter().find(|nemesis| nemesis.stands_alone());
        if let Some(nemesis) = alone.filter(|_| self.overlap && self.nemesis.len() > 1) {
            anyhow::bail!("nothing else may happen during {}: leave --overlap out", nemesis.name());
        }
        for &nemesis in &self.nemesis {
            for &kind in work.kinds() {
                if let Some(why) = unfit(kind, nemesis, self.nodes) {
                    anyhow::bail!("{} cannot have {}: {why}", kind.name(), nemesis.name());
                }
            }
            let clash = self.nemesis.iter().find(|other| self.overlap && nemesis.clashes_with(**other));
            if let Some(other) = clash {
                anyhow::bail!("{} and {} cannot happen at once", nemesis.name(), other.name());
            }
        }
        let binary = Binary::find(self.common.binary.as_deref())?;
        let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let nemeses = match self.nemesis.is_empty() {
            true => "none".to_owned(),
            false => self.nemesis.iter().map(|nemesis| nemesis.name()).collect::<Vec<_>>().join("+"),
        };
        let name = format!("{work}-{nemeses}-{}n-{seed}", self.nodes);
        let options = RunOptions {
            work,
            nemeses: self.nemesis.clone(),
            overlap: self.overlap,
            lasting: Duration::from_secs(self.seconds),
            seed,
            nodes: self.nodes,
            broker_groups: self.broker_groups,
            load: self.common.load(),
            directory: std::path::absolute(self.common.out.join(name))?,
            keep: self.keep,
            environment: planted(),
            commit: commit(),
            in_namespaces: self.namespaces,
        };
        let bar = print::spinner();
        let report = run(&options, &binary, &bar).await?;
        bar.finish_and_clear();
        print::report(&report, self.output);
        Ok(print::code(&report))
    }
}

/// The planted bug of the environment, so that the repeating command names it.
fn planted() -> Vec<(String, String)> {
    const NAME: &str = "LEDGERMQ_PLANTED_BUG";
    std::env::var(NAME).ok().map(|value| (NAME.to_owned(), value)).into_iter().collect()
}
