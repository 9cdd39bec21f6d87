//! `ledgermq cluster rebalance`

use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde_json::{Value, json};

use super::exit::Failure;
use super::move_replica::move_replica;
use super::nodes::{WaitArgs, view};
use super::output::{ConfirmArgs, Format, line, progress, table};
use crate::client::access::Broker;
use crate::client::cluster_view::{ClusterView, GroupView};
use crate::rebalance::leaders::{LeaderMove, NodeLeads};
use crate::rebalance::replicas::ReplicaMove;
use crate::rebalance::{Plan, behind, is_level, is_sound};

/// One call tries for so long: longer than an election takes.
const STEP: Duration = Duration::from_secs(8);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Arguments.
#[derive(Debug, Args)]
pub struct RebalanceArgs {
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Move no replicas
    #[arg(long)]
    leaders_only: bool,
    #[command(flatten)]
    args: WaitArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

/// What is asked before it begins.
fn question(plan: &Plan) -> String {
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let (replicas, leaders) = (plan.replicas.moves.len(), plan.leaders.moves.len());
    let parts = [counted(replicas, "replica"), counted(leaders, "leadership")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let order = if plan.steps() > 1 { ", one after the other" } else { "" };
    format!("{} will move{order}; no client sees an error.", parts.join(" and "))
}

impl RebalanceArgs {
    /// Plans, says so, asks, and does it.
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.args.common.target.connect().await?;
        let plan = Plan::of(&view(&broker).await?, self.leaders_only);
        let output = self.args.common.output;
        if plan.steps() == 0 || self.dry_run {
            let value = json!({ "dry_run": self.dry_run, "plan": plan, "moved": [] });
            output.print(&value, || text(&plan));
            return Ok(());
        }
        match output.output {
            Format::Text => line(text(&plan).trim_end()),
            // What is asked about has to be seen; the answer alone is for programs.
            Format::Json => eprintln!("{}", text(&plan).trim_end()),
        }
        self.confirm.confirm(&question(&plan))?;
        let (begun, until) = (Instant::now(), self.args.until());
        let mut moved = Vec::with_capacity(plan.steps());
        if let Err(failure) = carry_out_all(&broker, &plan, until, &mut moved).await {
            return Err(stopped(failure, moved.len(), plan.steps()));
        }
        let took_ms = begun.elapsed().as_millis() as u64;
        let value = json!({ "dry_run": false, "plan": plan, "moved": moved, "took_ms": took_ms });
        output.print(&value, || format!("done in {:.1} s", took_ms as f64 / 1000.0));
        Ok(())
    }
}

async fn carry_out_all(
    broker: &Broker,
    plan: &Plan,
    until: Instant,
    moved: &mut Vec<Value>,
) -> Result<(), Failure> {
    for it in &plan.replicas.moves {
        until_level(broker, &it.group, until, |_| true).await?;
        let (from, to) = (it.from.to_string(), it.to.to_string());
        let took_ms = move_replica(broker, &it.group, &from, &to, until).await?;
        moved.push(
            json!({ "what": "replica", "group": it.group, "from": it.from, "to": it.to, "took_ms": took_ms }),
        );
    }
    let bar = progress(plan.leaders.moves.len() as u64, "leaderships");
    for it in &plan.leaders.moves {
        bar.set_message(format!("{}: node {} takes over", it.group, it.to));
        let took_ms = carry_out(broker, it, until).await.inspect_err(|_| bar.abandon())?;
        moved.push(
            json!({ "what": "leader", "group": it.group, "from": it.from, "to": it.to, "took_ms": took_ms }),
        );
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// What was done before it failed stays done.
fn stopped(failure: Failure, done: usize, count: usize) -> Failure {
    match failure {
        Failure::Failed(why) => Failure::Failed(format!(
            "{why}. {done} of {count} moves are done, and stay so. Give the same command again to plan anew"
        )),
        other => other,
    }
}

/// Moves one leadership, when nobody is behind, and waits until that is seen and nobody is behind. How long the
/// transfer took, in milliseconds.
async fn carry_out(broker: &Broker, planned: &LeaderMove, until: Instant) -> Result<u32, Failure> {
    let now = until_level(broker, &planned.group, until, |_| true).await?;
    let (view, group) = (&now, find(&now, &planned.group)?);
    if group.leader == Some(planned.to) {
        return Ok(0);
    }
    if group.leader != Some(planned.from) {
        let leader = group.leader.map_or("nobody".to_owned(), |leader| format!("node {leader}"));
        return Err(Failure::Failed(format!(
            "{leader} leads {} meanwhile, not node {}",
            planned.group, planned.from
        )));
    }
    if !view.nodes.iter().any(|node| node.id == planned.to && is_sound(node)) {
        return Err(Failure::Failed(format!(
            "node {} is not there to take over {}",
            planned.to, planned.group
        )));
    }
    let request = admin::TransferLeaderRequest { group: planned.group.clone(), to: planned.to.to_string() };
    let request = broker.headers.request(request, STEP);
    let answer = broker.answer(broker.admin().transfer_leader(request).await)?;
    until_level(broker, &planned.group, until, |group| group.leader == Some(planned.to)).await?;
    Ok(answer.took_ms)
}

fn find<'v>(view: &'v ClusterView, name: &str) -> Result<&'v GroupView, Failure> {
    let found = view.groups.iter().find(|group| group.name == name);
    found.ok_or_else(|| Failure::Failed(format!("there is no broker group {name} any more")))
}

/// Waits until all replicas of a group that answer have everything, the group is led, and as it is wanted.
async fn until_level(
    broker: &Broker,
    name: &str,
    until: Instant,
    wanted: impl Fn(&GroupView) -> bool,
) -> Result<ClusterView, Failure> {
    loop {
        let now = view(broker).await?;
        let group = find(&now, name)?;
        let late = group.replicas.iter().find(|replica| !is_level(group, replica));
        if late.is_none() && group.leader.is_some() && wanted(group) {
            return Ok(now);
        }
        if Instant::now() >= until {
            return Err(Failure::Failed(match late {
                Some(late) => {
                    format!("{name}: node {} has {} entries to get", late.node, behind(group, late))
                }
                None => format!("{name} has not the leader that it was to get"),
            }));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.steps() == 0 {
        text.push_str("nothing to do: replicas and leaders are spread as evenly as they can be\n");
    }
    if !plan.replicas.moves.is_empty() {
        let row = |it: &ReplicaMove| [it.group.clone(), it.from.to_string(), it.to.to_string()];
        let rows: Vec<_> = plan.replicas.moves.iter().map(row).collect();
        text.push_str(&table(["REPLICA OF", "FROM", "TO"], &rows));
        text.push('\n');
    }
    if !plan.leaders.moves.is_empty() {
        let row = |it: &LeaderMove| [it.group.clone(), it.from.to_string(), it.to.to_string()];
        let rows: Vec<_> = plan.leaders.moves.iter().map(row).collect();
        text.push_str(&table(["LEADER OF", "FROM", "TO"], &rows));
        text.push('\n');
    }
    let holds = |node: u64| {
        let placed = plan.placed(node);
        placed.map_or(["-".to_owned(), "-".to_owned()], |(before, after)| {
            [before.to_string(), after.to_string()]
        })
    };
    let row = |it: &NodeLeads| {
        let [before, after] = holds(it.node);
        [it.node.to_string(), it.name.clone(), before, after, it.before.to_string(), it.after.to_string()]
    };
    let rows: Vec<_> = plan.leaders.nodes.iter().map(row).collect();
    text.push_str(&table(["NODE", "NAME", "PLACED", "WILL BE", "LEADS", "WILL LEAD"], &rows));
    for left in plan.replicas.left.iter().chain(&plan.leaders.left) {
        text.push_str(&format!("\n{} is left as it is: {}", left.group, left.why));
    }
    text
}
