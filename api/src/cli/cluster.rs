//! `ledgermq cluster`

use clap::Subcommand;
use proto::admin;
use serde_json::json;

use super::backup::{BackupArgs, RestoreArgs};
use super::digest::DigestArgs;
use super::doctor::DoctorArgs;
use super::exit::Failure;
use super::feature_level::FeatureLevelArgs;
use super::move_replica::MoveArgs;
use super::nodes::{self, WaitArgs};
use super::output::ConfirmArgs;
use super::rebalance::RebalanceArgs;
use super::repair::RepairArgs;
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use super::voters::VoterArgs;
use crate::client::cluster_view::ClusterView;

/// `ledgermq cluster ...`
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show every node, every group, its leader and its replicas
    #[command(after_help = "Example:
  ledgermq cluster status --endpoint 127.0.0.1:8091 -o json")]
    Status {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Compare the tables of all replicas: those at the same entry must be equal
    #[command(
        after_help = "Every node reads all rows of its replicas' tables once, past its caches, while it goes on \
serving: some seconds of one core and of reading for each GiB of tables. Where messages come in all the time no two \
replicas are at the same entry; ask again when there is less to do.

Examples:
  ledgermq cluster digest
  ledgermq cluster digest --group g1 --wait 30s -o json

Exits with 1 when replicas differ, with 3 when not all of them could be compared."
    )]
    Digest(DigestArgs),
    /// Have a node's damaged replicas rebuilt from the other nodes
    #[command(
        after_help = "Run it where the data of the node is, while the node does not run; then start the node.

Examples:
  ledgermq cluster repair 3 --data /var/lib/ledgermq
  ledgermq cluster repair node3 --data ledgermq-data/local --yes
  ledgermq cluster repair 3 --data /var/lib/ledgermq --group g1

Exits with 3 when nothing is damaged."
    )]
    Repair(RepairArgs),
    /// Hand the leadership of a group on, without an error at any client
    #[command(after_help = "Examples:
  ledgermq cluster transfer-leader g1
  ledgermq cluster transfer-leader g1 --to node2")]
    TransferLeader {
        /// The group: g1, g2, ..., meta
        group: String,
        /// To which node, by id or name [default: the most caught-up other one]
        #[arg(long, value_name = "NODE")]
        to: Option<String>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Take a node's vote: it keeps a copy of everything, and counts for no quorum
    #[command(
        after_help = "A node that leads hands its leadership on first; no client notices. The node goes on \
getting everything and serving clients through the others. With two voters left both must run.

Examples:
  ledgermq cluster remove-voter node3
  ledgermq cluster remove-voter 3 --group g1 --yes"
    )]
    RemoveVoter {
        #[command(flatten)]
        args: VoterArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Give a node its vote, once it has everything that there is
    #[command(after_help = "Examples:
  ledgermq cluster add-voter node3
  ledgermq cluster add-voter 3 --group g1 --wait 1h")]
    AddVoter(VoterArgs),
    /// Wait until a node that was started has joined: it has its replicas, and votes where there may be more
    #[command(
        after_help = "A node joins by itself once it runs with cluster.seeds. Groups have one, three or five votes: the \
fourth node waits for the fifth.

Examples:
  ledgermq cluster add-node node4
  ledgermq cluster add-node node4 --wait 1h -o json"
    )]
    AddNode {
        /// Its name
        node: String,
        #[command(flatten)]
        args: WaitArgs,
    },
    /// Take a node out of the cluster, dead or alive: its votes, its replicas, its place
    #[command(after_help = "Examples:
  ledgermq cluster remove-node node5
  ledgermq cluster remove-node 5 --yes")]
    RemoveNode {
        /// Which one, by id or name
        node: String,
        #[command(flatten)]
        args: WaitArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Give a node's votes to another one that has joined, and take the first one out
    #[command(after_help = "Example:
  ledgermq cluster replace-node node2 node6")]
    ReplaceNode {
        /// Which one goes, by id or name
        old: String,
        /// Which one takes its place, by id or name
        new: String,
        #[command(flatten)]
        args: WaitArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Show what the logs may hold, and raise it when an upgrade is over
    #[command(
        after_help = "What an older version could not read is not written before the level is raised; the older version cannot be started again after that. A new cluster begins at the highest level of its nodes.

Examples:
  ledgermq cluster feature-level
  ledgermq cluster feature-level --raise
  ledgermq cluster feature-level --raise 2 --yes"
    )]
    FeatureLevel(FeatureLevelArgs),
    /// Add broker groups, on all nodes or on chosen ones: more leaders, more logs
    #[command(
        after_help = "A node that does not hold a group takes its messages all the same, and forwards them. With fewer nodes \
fewer may fail: one bears none, three bear one, five bear two.

Examples:
  ledgermq cluster add-groups
  ledgermq cluster add-groups 2
  ledgermq cluster add-groups 2 --nodes broker1,broker4,broker5"
    )]
    AddGroups {
        /// So many
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=63))]
        count: u32,
        /// The nodes that are to hold them, by id or name: one, three or five [default: all nodes]
        #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
        nodes: Vec<String>,
        #[command(flatten)]
        args: WaitArgs,
    },
    /// Move a replica of a placed broker group from one node to another, while clients work
    #[command(
        after_help = "The new node gets everything first, and a vote then; the old one loses its vote after that. It deletes \
what it has when it next starts. The command may be cut short: given again it goes on.

Examples:
  ledgermq cluster move-replica g2 --from broker1 --to broker4
  ledgermq cluster move-replica g2 --from 1 --to 4 --yes --wait 1h"
    )]
    MoveReplica(MoveArgs),
    /// Spread replicas and leaders of the broker groups evenly over the nodes, one after the other
    #[command(
        after_help = "Says first what it will do. Replicas of placed groups move first, then leaderships. Only nodes get something to lead that have a vote, have everything, and \
were not drained. Each leader finishes what is under way; the next one moves when all replicas have everything. When it is \
cut short, what has moved stays where it is: give the same command again.

Examples:
  ledgermq cluster rebalance --dry-run
  ledgermq cluster rebalance
  ledgermq cluster rebalance --leaders-only
  ledgermq cluster rebalance --yes -o json

Exits with 0 when there is nothing to do."
    )]
    Rebalance(RebalanceArgs),
    /// Have the node at the endpoint hand on its leaderships; for a minute it is not elected
    #[command(after_help = "For what is done before a node is stopped. SIGTERM does the same.

Example:
  ledgermq cluster drain --endpoint 127.0.0.1:8081 --wait 20s")]
    Drain {
        #[command(flatten)]
        args: WaitArgs,
    },
    /// Copy everything to a directory or a bucket, while the cluster serves
    #[command(
        after_help = "Everything that was acknowledged before is in it. It is copied from followers where there are some, through this command. The manifest is written last: a backup that was cut short has none, and the same command goes on with it. s3:// takes endpoint and keys from AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

Examples:
  ledgermq cluster backup /backups/2026-11-29 --rate 50MiB
  ledgermq cluster backup s3://backups/orders/2026-11-29 -o json"
    )]
    Backup(BackupArgs),
    /// Make the data directories of a new cluster of a backup
    #[command(
        after_help = "Run it for every node of the new cluster, on its machine, while no node runs; then start them. All of the backup is read and checked before anything is written. No node of the cluster that the backup is of may run under the same name and addresses.

Examples:
  ledgermq cluster restore /backups/2026-11-29 --config /etc/ledgermq/node.toml
  ledgermq cluster restore s3://backups/orders/2026-11-29 --data ledgermq-data/restored --base-port 9081"
    )]
    Restore(RestoreArgs),
    /// Say what is wrong with the cluster, or soon will be, and what to do
    #[command(
        after_help = "Looks at nodes, disks, versions, clocks, leaders, voters, replication and certificates. On a node's machine --data looks at the machine too: fsync (50 small writes), file system, open files, memory.

Examples:
  ledgermq cluster doctor
  ledgermq cluster doctor --data /var/lib/ledgermq --config /etc/ledgermq/node.toml --all
  ledgermq cluster doctor -o json

Exits with 1 when something is bad, with 0 when there are warnings at most."
    )]
    Doctor(DoctorArgs),
}

impl ClusterCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            // It reads and locks files, and nothing else runs meanwhile.
            ClusterCommand::Repair(args) => args.run(),
            ClusterCommand::Digest(args) => args.run().await,
            ClusterCommand::AddNode { node, args } => nodes::add(&node, args).await,
            ClusterCommand::RemoveNode { node, args, confirm } => nodes::remove(&node, args, confirm).await,
            ClusterCommand::ReplaceNode { old, new, args, confirm } => {
                nodes::replace(&old, &new, args, confirm).await
            }
            ClusterCommand::FeatureLevel(args) => args.run().await,
            ClusterCommand::AddGroups { count, nodes, args } => nodes::add_groups(count, nodes, args).await,
            ClusterCommand::MoveReplica(args) => args.run().await,
            ClusterCommand::Rebalance(args) => args.run().await,
            ClusterCommand::Drain { args } => nodes::drain(args).await,
            ClusterCommand::AddVoter(args) => args.add().await,
            ClusterCommand::RemoveVoter { args, confirm } => args.remove(confirm).await,
            ClusterCommand::Backup(args) => args.run().await,
            ClusterCommand::Restore(args) => args.run().await,
            ClusterCommand::Doctor(args) => args.run().await,
            ClusterCommand::Status { common } => {
                let broker = common.target.connect().await?;
                let request = broker.headers.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT);
                let view = ClusterView::from(broker.answer(broker.admin().cluster_status(request).await)?);
                common.output.print(&view, || view.text());
                Ok(())
            }
            ClusterCommand::TransferLeader { group, to, common } => {
                let broker = common.target.connect().await?;
                let request =
                    admin::TransferLeaderRequest { group: group.clone(), to: to.unwrap_or_default() };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let answer = broker.answer(broker.admin().transfer_leader(request).await)?;
                let value = json!({ "group": group, "leader": answer.leader, "took_ms": answer.took_ms });
                common.output.print(&value, || {
                    format!("node {} leads {group} now; it took {} ms", answer.leader, answer.took_ms)
                });
                Ok(())
            }
        }
    }
}
