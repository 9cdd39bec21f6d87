//! `ledgermq cluster doctor`

use std::path::PathBuf;

use clap::Args;
use proto::admin::{self, ClusterStatusResponse};
use serde_json::json;

use super::exit::Failure;
use super::output::table;
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::Broker;
use crate::doctor::{Finding, Level, certificate, cluster, machine};
use crate::options::Options;

/// Arguments of `cluster doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Look at the machine too, and at the disk of this data directory of a node on it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The node's configuration: whether what it may keep fits on the disk of --data
    #[arg(long, short = 'c', value_name = "FILE", requires = "data")]
    config: Option<PathBuf>,
    /// Show what is well too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl DoctorArgs {
    /// Looks, and prints what was found.
    pub async fn run(self) -> Result<(), Failure> {
        let options = self.config.as_deref().map(load).transpose()?;
        let broker = self.common.target.connect().await?;
        let mut findings = examine(&broker).await?;
        if let Some(data) = &self.data {
            findings.extend(machine::findings("this machine", Some(data), options.as_ref()));
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        let value = json!({ "worst": worst, "findings": findings });
        self.common.output.print(&value, || text(&findings, self.all));
        match findings.iter().filter(|finding| finding.level == Level::Bad).count() {
            0 => Ok(()),
            1 => Err(Failure::Failed("one finding is bad".to_owned())),
            bad => Err(Failure::Failed(format!("{bad} findings are bad"))),
        }
    }
}

fn load(path: &std::path::Path) -> Result<Options, Failure> {
    Options::load(path, []).map_err(|error| Failure::Usage(format!("{}:\n{error}", path.display())))
}

/// What can be asked of the cluster from here.
pub async fn examine(broker: &Broker) -> Result<Vec<Finding>, Failure> {
    let status = status(broker).await?;
    let mut findings = cluster::findings(&status);
    let served = status.nodes.iter().filter(|node| node.alive).map(|node| async move {
        certificate::finding(&format!("{} ({})", node.name, node.id), &node.grpc).await
    });
    findings.extend(futures::future::join_all(served).await);
    Ok(findings)
}

/// The status as a node tells it.
pub async fn status(broker: &Broker) -> Result<ClusterStatusResponse, Failure> {
    let request = broker.headers.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT);
    Ok(broker.answer(broker.admin().cluster_status(request).await)?)
}

/// For people.
pub fn text(findings: &[Finding], all: bool) -> String {
    let shown = findings.iter().filter(|finding| all || finding.level > Level::Ok);
    let rows: Vec<_> = shown
        .map(|it| {
            let level = it.level.name().to_owned();
            [level, it.check.to_owned(), it.place.clone(), it.found.to_string(), it.advice.to_string()]
        })
        .collect();
    let well = findings.iter().filter(|finding| finding.level == Level::Ok).count();
    match rows.is_empty() {
        true => format!("{well} checks, and all is well"),
        false => format!(
            "{}{well} checks found all well\n",
            table(["LEVEL", "CHECK", "WHERE", "FOUND", "DO"], &rows)
        ),
    }
}
