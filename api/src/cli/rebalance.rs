//! `ledgermq cluster rebalance`

use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde_json::json;

use super::exit::Failure;
use super::nodes::{WaitArgs, view};
use super::output::{ConfirmArgs, Format, line, progress, table};
use crate::client::access::Broker;
use crate::client::cluster_view::{ClusterView, GroupView};
use crate::rebalance::leaders::{LeaderMove, LeaderPlan, plan};
use crate::rebalance::{behind, is_level, is_sound};

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
    #[command(flatten)]
    args: WaitArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

impl RebalanceArgs {
    /// Plans, says so, asks, and does it.
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.args.common.target.connect().await?;
        let before = view(&broker).await?;
        let plan = plan(&before);
        let output = self.args.common.output;
        if plan.moves.is_empty() || self.dry_run {
            let value = json!({ "dry_run": self.dry_run, "plan": plan, "moved": [] });
            output.print(&value, || text(&plan));
            return Ok(());
        }
        match output.output {
            Format::Text => line(text(&plan).trim_end()),
            // What is asked about has to be seen; the answer alone is for programs.
            Format::Json => eprintln!("{}", text(&plan).trim_end()),
        }
        let count = plan.moves.len();
        let question = match count {
            1 => "1 leadership will move; no client sees an error.".to_owned(),
            _ => format!("{count} leaderships will move, one after the other; no client sees an error."),
        };
        self.confirm.confirm(&question)?;
        let (begun, until) = (Instant::now(), self.args.until());
        let bar = progress(count as u64, "leaderships");
        let mut moved = Vec::with_capacity(count);
        for planned in &plan.moves {
            bar.set_message(format!("{}: node {} takes over", planned.group, planned.to));
            let took_ms = carry_out(&broker, planned, until).await.map_err(|failure| {
                bar.abandon();
                stopped(failure, moved.len(), count)
            })?;
            moved.push(
                json!({ "group": planned.group, "from": planned.from, "to": planned.to, "took_ms": took_ms }),
            );
            bar.inc(1);
        }
        bar.finish_and_clear();
        let took_ms = begun.elapsed().as_millis() as u64;
        let value = json!({ "dry_run": false, "plan": plan, "moved": moved, "took_ms": took_ms });
        output.print(&value, || format!("done in {:.1} s", took_ms as f64 / 1000.0));
        Ok(())
    }
}

/// What was done before it failed stays done.
fn stopped(failure: Failure, done: usize, count: usize) -> Failure {
    match failure {
        Failure::Failed(why) => Failure::Failed(format!(
            "{why}. {done} of {count} leaderships have moved, and stay where they are. Give the same command again to \
             plan anew"
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

fn text(plan: &LeaderPlan) -> String {
    let mut text = String::new();
    match plan.moves.is_empty() {
        true => text.push_str("nothing to do: the leaders are spread as evenly as they can be\n"),
        false => {
            let row = |it: &LeaderMove| [it.group.clone(), it.from.to_string(), it.to.to_string()];
            let rows: Vec<_> = plan.moves.iter().map(row).collect();
            text.push_str(&table(["LEADER OF", "FROM", "TO"], &rows));
        }
    }
    text.push('\n');
    let rows: Vec<_> = plan
        .nodes
        .iter()
        .map(|it| [it.node.to_string(), it.name.clone(), it.before.to_string(), it.after.to_string()])
        .collect();
    text.push_str(&table(["NODE", "NAME", "LEADS", "WILL LEAD"], &rows));
    for left in &plan.left {
        text.push_str(&format!("\n{} is left as it is: {}", left.group, left.why));
    }
    text
}
