//! `ledgermq cluster backup` and `ledgermq cluster restore`

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::ProgressBar;

use super::exit::Failure;
use super::moment::print_unix_ms;
use super::output::{OutputArgs, byte_progress};
use super::topic::CommonArgs;
use crate::backup::{Pace, Place, Restored, Saved, Target, restore, save, shape};
use crate::local::state::{LocalCluster, LocalDirectory, NODES_MAX};
use crate::options::Options;
use crate::options::values::{ByteCount, parse_bytes};

/// Arguments of `cluster backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where to: an empty directory, or s3://BUCKET/PREFIX
    to: String,
    /// Bytes a second at most, such as 50MiB [default: as fast as it goes]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    rate: Option<u64>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Arguments of `cluster restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Where the backup is: a directory, or s3://BUCKET/PREFIX
    from: String,
    /// The configuration of a node of the new cluster whose data directory is on this machine; again for another one
    #[arg(long = "config", short = 'c', value_name = "FILE", required_unless_present = "data")]
    configs: Vec<PathBuf>,
    /// Make the directory of a cluster of `ledgermq local`, with all its nodes
    #[arg(long, value_name = "DIR", conflicts_with = "configs")]
    data: Option<PathBuf>,
    /// How many nodes that one has [default: as many as the backed up cluster]
    #[arg(long, requires = "data", value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: Option<u16>,
    /// The port of its first node for clients
    #[arg(long, requires = "data", value_name = "PORT", default_value_t = 8081)]
    base_port: u16,
    #[command(flatten)]
    output: OutputArgs,
}

impl BackupArgs {
    /// Takes the backup.
    pub async fn run(self) -> Result<(), Failure> {
        // A place that cannot be used is told before the cluster is asked anything.
        let place = Place::at(&self.to, true)?;
        let broker = self.common.target.connect().await?;
        let bar = byte_progress(0, "backup");
        let saved = save(&broker, place, Pace::new(self.rate), &bar).await;
        bar.finish_and_clear();
        let saved = saved?;
        self.common.output.print(&saved, || saved_text(&saved));
        Ok(())
    }
}

fn saved_text(saved: &Saved) -> String {
    let groups: Vec<String> = saved
        .groups
        .iter()
        .map(|it| format!("{} up to entry {} from node {}", it.name, it.applied, it.node))
        .collect();
    let kept = match saved.kept_bytes {
        0 => String::new(),
        kept => format!(", {} of them there already", size(kept)),
    };
    format!(
        "backed up the cluster {} to {} in {:.1} s: {} files, {}{kept}\n{}",
        saved.cluster,
        saved.to,
        saved.took_ms as f64 / 1000.0,
        saved.files,
        size(saved.bytes),
        groups.join("\n")
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => ByteCount(bytes).to_string(),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

impl RestoreArgs {
    /// Makes the data directories.
    pub async fn run(self) -> Result<(), Failure> {
        let place = Place::at(&self.from, false)?;
        match &self.data {
            Some(data) => self.restore_local(&place, data).await,
            None => {
                let options = self.configs.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
                check_same_cluster(&options)?;
                let restored = restore_all(&place, &options).await?;
                self.print(&restored, &options, &next_step(&self.configs))
            }
        }
    }

    async fn restore_local(&self, place: &Place, data: &Path) -> Result<(), Failure> {
        let directory = LocalDirectory::new(data)?;
        if let Some(cluster) = directory.read()? {
            let state = match cluster.nodes.iter().find(|node| node.is_alive()) {
                Some(node) => format!("a cluster runs in {} ({} is alive)", directory.display(), node.name),
                None => format!("there is a cluster in {} already", directory.display()),
            };
            return Err(Failure::Usage(format!("{state}: name another directory. Nothing was changed")));
        }
        let (nodes, groups) = shape(place).await?;
        let nodes = self.nodes.unwrap_or_else(|| u16::try_from(nodes).unwrap_or(NODES_MAX).min(NODES_MAX));
        let cluster = LocalCluster::new(nodes, groups, self.base_port);
        let options: Vec<Options> =
            cluster.nodes.iter().map(|node| directory.options(&cluster, node)).collect();
        let restored = restore_all(place, &options).await?;
        directory.write(&cluster)?;
        let next = format!("ledgermq local start --data {}", data.display());
        self.print(&restored, &options, &next)
    }

    fn print(&self, restored: &Restored, options: &[Options], next: &str) -> Result<(), Failure> {
        if let Some(warning) = outlived(restored, options) {
            eprintln!("warning: {warning}");
        }
        self.output.print(restored, || restored_text(restored, next));
        Ok(())
    }
}

fn load(path: &Path) -> Result<Options, Failure> {
    let options =
        Options::load(path, []).map_err(|error| Failure::Usage(format!("{}:\n{error}", path.display())))?;
    match options.cluster.seeds.is_empty() {
        true => Ok(options),
        // The log of a restored replica names its members, and there is nobody yet who gives out ids.
        false => Err(Failure::Usage(format!(
            "{}: a restored cluster begins with ids: write cluster.members and node.id in the place of cluster.seeds, restore, \
             and start all nodes once; from then on cluster.seeds may stand there again",
            path.display()
        ))),
    }
}

fn next_step(configs: &[PathBuf]) -> String {
    let shown = configs.first().map_or_else(String::new, |path| path.display().to_string());
    format!(
        "ledgermq serve --config {shown}     (once every node of the cluster is restored from this backup)"
    )
}

/// All nodes of the new cluster must name the same members, or their logs would differ.
fn check_same_cluster(options: &[Options]) -> Result<(), Failure> {
    let Some((first, others)) = options.split_first() else { return Ok(()) };
    let differs =
        |other: &&Options| other.cluster.name != first.cluster.name || other.members() != first.members();
    match others.iter().find(differs) {
        None => Ok(()),
        Some(other) => Err(Failure::Usage(format!(
            "the configurations of node {} and node {} name different clusters or members: nothing was changed",
            first.node.id, other.node.id
        ))),
    }
}

async fn restore_all(place: &Place, options: &[Options]) -> Result<Restored, Failure> {
    let targets: Vec<Target<'_>> = options.iter().map(Target).collect();
    let bar = |total: u64, what: &str| -> ProgressBar { byte_progress(total, what) };
    restore(place, &targets, &bar).await
}

/// A backup that is older than messages may get loses them at the first look of retention.
fn outlived(restored: &Restored, options: &[Options]) -> Option<String> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis() as u64;
    let kept = options.iter().map(|options| options.retention.keep_ms).min_by_key(|kept| kept.0)?;
    let age_ms = now_ms.saturating_sub(restored.taken_unix_ms);
    (age_ms * 2 > kept.0).then(|| {
        format!(
            "the backup is {} h old, and retention.keep_ms is {kept}: messages that are older go soon after the cluster \
             starts. Raise it in every node's configuration before, if they are to stay",
            age_ms / 3_600_000
        )
    })
}

fn restored_text(restored: &Restored, next: &str) -> String {
    let groups: Vec<String> =
        restored.groups.iter().map(|(name, index)| format!("{name} up to entry {index}")).collect();
    format!(
        "restored the backup of the cluster {} from {} into {} in {:.1} s: {}, {}\nStart it:\n  {next}",
        restored.of_cluster,
        print_unix_ms(restored.taken_unix_ms as i64),
        restored.data.join(", "),
        restored.took_ms as f64 / 1000.0,
        size(restored.bytes),
        groups.join(", ")
    )
}
