//! `ledgermq debug`

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use proto::admin;
use serde_json::{Value, json};

use super::doctor::{examine, status};
use super::exit::Failure;
use super::log;
use super::output::spinner;
use super::topic::CommonArgs;
use crate::boot::data_lock::DataLock;
use crate::bundle::{Bundle, Redacted, fetch, last_lines, system};
use crate::client::access::Broker;
use crate::client::cluster_view::ClusterView;
use crate::doctor::machine;
use crate::options::Options;

const DIGEST_TIMEOUT: Duration = Duration::from_secs(120);

/// `ledgermq debug ...`
#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Put into one file what a maintainer needs, and no secret
    #[command(
        after_help = "In it are: the status and the metrics of every node that answers, what `cluster doctor` finds, \
versions, limits and facts of this machine; with the options, the configuration without texts that could be secret, the ends \
of log files, digests of all replicas, and the heads of the logs of a node that does not run. No messages. What is left out \
of the configuration is taken out of all the rest too. Look through it before you give it away.

Examples:
  ledgermq debug bundle --out bundle.tar.gz
  ledgermq debug bundle --out bundle.tar.gz --config /etc/ledgermq/node.toml --log-file /var/log/ledgermq.log
  ledgermq debug bundle --out bundle.tar.gz --data /var/lib/ledgermq --digest"
    )]
    Bundle(BundleArgs),
}

/// Arguments of `debug bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The file to write
    #[arg(long, value_name = "FILE.tar.gz")]
    out: PathBuf,
    /// A node's configuration
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// A log file of a node, whose last lines are wanted; may be repeated
    #[arg(long = "log-file", value_name = "FILE")]
    log_files: Vec<PathBuf>,
    /// So many last lines of each
    #[arg(long, default_value_t = 2000, value_name = "N")]
    lines: usize,
    /// The data directory of a node on this machine: its disk, and the heads of its logs if it does not run
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Compare the tables of all replicas: every node reads all of its rows
    #[arg(long)]
    digest: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl DebugCommand {
    /// Collects.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            DebugCommand::Bundle(args) => args.run().await,
        }
    }
}

impl BundleArgs {
    async fn run(self) -> Result<(), Failure> {
        let bar = spinner("collecting");
        let mut bundle = Bundle::default();
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (redacted, options) = self.configuration(&mut bundle);
        bundle.add_json("about.json", &json!({ "version": env!("CARGO_PKG_VERSION"), "unix_s": unix_s }));
        bundle.add("system.txt", system());
        let machine = machine::findings("this machine", self.data.as_deref(), options.as_ref());
        bundle.add_json("machine.json", &json!(machine));
        // A cluster that does not answer is what many bundles are about.
        match self.common.target.connect().await {
            Ok(broker) => self.ask_cluster(&broker, &mut bundle).await,
            Err(failure) => bundle.add("cluster-error.txt", format!("{failure}\n")),
        }
        for (number, path) in self.log_files.iter().enumerate() {
            let said = last_lines(path, self.lines).unwrap_or_else(|error| format!("{error}\n"));
            bundle.add(format!("logs/{}-{}", number + 1, file_name(path)), said);
        }
        if let Some(data) = &self.data {
            bundle.add_json("log-heads.json", &log_heads(data));
        }
        let written = bundle.write(&self.out, &redacted, unix_s);
        bar.finish_and_clear();
        let out = self.out.display();
        let bytes = written.map_err(|error| Failure::io(format!("write {out}"), &error))?;
        let value = json!({ "out": self.out, "bytes": bytes, "files": bundle.names() });
        self.common.output.print(&value, || {
            let names = bundle.names().join("\n  ");
            format!("{out} ({bytes} bytes) holds:\n  {names}\nLook through it before you give it away.")
        });
        Ok(())
    }

    fn configuration(&self, bundle: &mut Bundle) -> (Redacted, Option<Options>) {
        let Some(path) = &self.config else { return (Redacted::default(), None) };
        let redacted = match (Options::load(path, []), std::fs::read_to_string(path)) {
            (Ok(options), _) => (Redacted::of(&options.to_toml()), Some(options)),
            // Why a node refuses it can quote what is in it.
            (Err(_), Ok(text)) => (Redacted::of(&text), None),
            (Err(_), Err(error)) => {
                bundle.add("config-error.txt", format!("{error}\n"));
                return (Redacted::default(), None);
            }
        };
        bundle.add("config.toml", redacted.0.config());
        redacted
    }

    async fn ask_cluster(&self, broker: &Broker, bundle: &mut Bundle) {
        let status = match status(broker).await {
            Ok(status) => status,
            Err(failure) => return bundle.add("cluster-error.txt", format!("{failure}\n")),
        };
        let nodes: Vec<(String, String)> =
            status.nodes.iter().map(|node| (node.name.clone(), node.http.clone())).collect();
        bundle.add_json("cluster-status.json", &json!(ClusterView::from(status)));
        match examine(broker).await {
            Ok(findings) => bundle.add_json("doctor.json", &json!(findings)),
            Err(failure) => bundle.add("doctor-error.txt", format!("{failure}\n")),
        }
        for (name, http) in nodes {
            match fetch(&http, "/metrics", &broker.headers).await {
                Ok(metrics) => bundle.add(format!("metrics/{name}.txt"), metrics),
                Err(error) => bundle.add(format!("metrics/{name}-error.txt"), format!("{error}\n")),
            }
        }
        if self.digest {
            bundle.add_json("digest.json", &digests(broker).await);
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "log".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Of a node that does not run: one that does writes to them.
fn log_heads(data: &Path) -> Value {
    // Looking must not make a directory that is not there.
    if !data.is_dir() {
        return json!({ "error": "there is no such directory" });
    }
    let heads = DataLock::take(data).and_then(|_lock| log::heads(data, 0));
    match heads {
        Ok(heads) => json!(heads),
        Err(failure) => json!({ "error": failure.to_string() }),
    }
}

async fn digests(broker: &Broker) -> Value {
    let timeout_ms = DIGEST_TIMEOUT.as_millis() as u64;
    let request = admin::DigestReplicasRequest { group: String::new(), timeout_ms };
    let request = broker.headers.request(request, DIGEST_TIMEOUT * 2);
    match broker.answer(broker.admin().digest_replicas(request).await) {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(answer) => {
            let replica = |it: &admin::ReplicaDigest| {
                json!({
                    "group": it.group, "node": it.node, "applied_index": it.applied_index,
                    "digest": format!("{:016x}", it.checksum), "rows": it.rows, "took_ms": it.took_ms,
                    "error": it.error,
                })
            };
            json!(answer.replicas.iter().map(replica).collect::<Vec<_>>())
        }
    }
}
