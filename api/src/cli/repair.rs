//! `ledgermq cluster repair`

use std::path::{Path, PathBuf};

use clap::Args;
use raft::names::{GroupId, NodeId};
use raft::repair::{Found, Repair, RepairError};
use serde_json::json;

use super::exit::Failure;
use super::output::{ConfirmArgs, OutputArgs, spinner, table};
use crate::local::state::LocalDirectory;

/// Which replicas of which node.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// The node that does not start: its id, or its name in a cluster of `ledgermq local`
    node: String,
    /// Its data directory, or that of a cluster of `ledgermq local`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Rebuild this group's replica, whether damage is found or not [default: those that are damaged]
    #[arg(long = "group", value_name = "GROUP", value_parser = group)]
    groups: Vec<GroupId>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn group(name: &str) -> Result<GroupId, String> {
    GroupId::parse(name).ok_or_else(|| "a group is called meta, g1, g2, ...".to_owned())
}

impl RepairArgs {
    /// Looks, asks, and marks what is to be rebuilt.
    pub fn run(self) -> Result<(), Failure> {
        let (node, data) = place(&self.node, &self.data)?;
        let repair = Repair::begin(&data, node).map_err(failure)?;
        let held = repair.groups().map_err(failure)?;
        if let Some(unknown) = self.groups.iter().find(|group| !held.contains(group)) {
            let held: Vec<String> = held.iter().map(ToString::to_string).collect();
            let why = format!("node {node} has no replica of {unknown}: it has {}", held.join(", "));
            return Err(Failure::Usage(why));
        }
        let found: Vec<Found> = held.into_iter().map(|group| look(&repair, group)).collect();
        let wanted = |found: &&Found| found.damage.is_some() || self.groups.contains(&found.group);
        let chosen: Vec<GroupId> = found.iter().filter(wanted).map(|found| found.group).collect();
        if chosen.is_empty() && !found.iter().any(|found| found.rejoins) {
            return Err(Failure::Nothing(format!(
                "no damage in {}: nothing was done. --group GROUP rebuilds a replica all the same",
                data.display()
            )));
        }
        if !chosen.is_empty() {
            let names: Vec<String> = chosen.iter().map(ToString::to_string).collect();
            let question = format!(
                "Give up what node {node} has of {} and take it from the other nodes?",
                names.join(", ")
            );
            self.confirm.confirm(&question)?;
        }
        repair.rejoin(&chosen).map_err(failure)?;
        let rebuilt = |found: &Found| found.rejoins || chosen.contains(&found.group);
        let value = found.iter().map(|found| {
            let name = found.group.to_string();
            json!({ "group": name, "damage": found.damage, "rebuilt_at_next_start": rebuilt(found) })
        });
        let value = json!({ "node": node.0, "data": data, "groups": value.collect::<Vec<_>>() });
        self.output.print(&value, || text(node, &found, rebuilt));
        Ok(())
    }
}

fn look(repair: &Repair, group: GroupId) -> Found {
    let bar = spinner(&format!("reading {group}"));
    let found = repair.look(group, |_| ());
    bar.finish_and_clear();
    found
}

fn text(node: NodeId, found: &[Found], rebuilt: impl Fn(&Found) -> bool) -> String {
    let rows: Vec<_> = found
        .iter()
        .map(|found| {
            let state = if rebuilt(found) { "rebuilt at the next start" } else { "kept" };
            let damage = found.damage.clone().unwrap_or_else(|| "-".to_owned());
            [found.group.to_string(), state.to_owned(), damage]
        })
        .collect();
    format!(
        "{}Start node {node} now, while the other nodes run. It has no vote in a group before it has everything of it \
         again; `ledgermq cluster status` shows it as rejoining until then. What was damaged is kept as long.\n",
        table(["GROUP", "REPLICA", "DAMAGE"], &rows)
    )
}

/// The node and its data directory.
fn place(node: &str, data: &Path) -> Result<(NodeId, PathBuf), Failure> {
    let local = LocalDirectory::new(data)?;
    if let Some(mut cluster) = local.read()? {
        let node = cluster.node_mut(node)?.clone();
        return Ok((NodeId(node.id), local.of_node(&node).join("data")));
    }
    let id = node.parse().map_err(|_| {
        Failure::Usage(format!(
            "{node} is no node's id; names are known in a cluster of `ledgermq local` only"
        ))
    })?;
    Ok((NodeId(id), data.to_owned()))
}

fn failure(error: RepairError) -> Failure {
    match &error {
        RepairError::Io { path, source } => Failure::io(format!("use {}", path.display()), source),
        RepairError::OtherNode { .. } => Failure::Usage(error.to_string()),
        RepairError::Data(_) | RepairError::Vote { .. } => Failure::Failed(error.to_string()),
    }
}
