//! `ledgermq cluster feature-level`

use clap::Args;
use proto::admin;
use serde_json::json;

use super::exit::Failure;
use super::output::ConfirmArgs;
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;

/// What to do with the level.
#[derive(Debug, Args)]
pub struct FeatureLevelArgs {
    /// Raise it to this level, or as far as all nodes can read
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, default_missing_value = "0")]
    raise: Option<u32>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    common: CommonArgs,
}

impl FeatureLevelArgs {
    /// Shows it, or raises it.
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = broker.headers.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT);
        let status = broker.answer(broker.admin().cluster_status(request).await)?;
        let common = status.nodes.iter().map(|node| node.reads_up_to).min().unwrap_or_default();
        let Some(to) = self.raise else {
            let nodes = status.nodes.iter().map(|node| {
                json!({ "id": node.id, "name": node.name, "version": node.version, "reads_up_to": node.reads_up_to })
            });
            let value = json!({ "feature_level": status.feature_level, "nodes": nodes.collect::<Vec<_>>() });
            self.common.output.print(&value, || said(&status, common));
            return Ok(());
        };
        let wanted = if to == 0 { common } else { to };
        if wanted > status.feature_level {
            self.confirm.confirm(&format!(
                "The cluster will go from feature level {} to {wanted}: no version that cannot read that can be started \
                 again.",
                status.feature_level
            ))?;
        }
        let request = broker.headers.request(admin::RaiseFeatureLevelRequest { to }, ADMIN_TIMEOUT);
        let answer = broker.answer(broker.admin().raise_feature_level(request).await)?;
        self.common.output.print(&json!({ "before": answer.before, "feature_level": answer.level }), || {
            match answer.level > answer.before {
                true => format!("the cluster went from feature level {} to {}", answer.before, answer.level),
                false => format!("the cluster is at feature level {}, as before", answer.level),
            }
        });
        Ok(())
    }
}

fn said(status: &admin::ClusterStatusResponse, common: u32) -> String {
    let mut text = format!("the cluster is at feature level {}", status.feature_level);
    for node in &status.nodes {
        text.push_str(&match node.reads_up_to {
            0 => format!(
                "\nnode {} ({}) does not answer, or does not say what it can read",
                node.id, node.name
            ),
            level => {
                format!("\nnode {} ({}) runs {} and reads up to {level}", node.id, node.name, node.version)
            }
        });
    }
    if common > status.feature_level {
        text.push_str(
            "\nIf no node is to run an older version again: ledgermq cluster feature-level --raise",
        );
    }
    text
}
