//! `ledgermq cluster move-replica`

use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde_json::json;

use super::exit::Failure;
use super::nodes::WaitArgs;
use super::output::{ConfirmArgs, progress};
use crate::client::access::Broker;

/// One call tries for so long: longer than an election takes, and the bar moves.
const STEP: Duration = Duration::from_secs(8);
/// Between two calls.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The broker group: g1, g2, ...
    group: String,
    /// Who holds it now, by id or name; it may be dead
    #[arg(long, value_name = "NODE")]
    from: String,
    /// Who is to hold it instead, by id or name
    #[arg(long, value_name = "NODE")]
    to: String,
    #[command(flatten)]
    args: WaitArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

impl MoveArgs {
    /// Asks, and moves it.
    pub async fn run(self) -> Result<(), Failure> {
        let (group, from, to) = (&self.group, &self.from, &self.to);
        let broker = self.args.common.target.connect().await?;
        self.confirm.confirm(&format!(
            "The replica of {group} at node {from} will move to node {to}; node {from} deletes it when it next starts."
        ))?;
        let took_ms = move_replica(&broker, group, from, to, self.args.until()).await?;
        let value = json!({ "group": group, "from": from, "to": to, "took_ms": took_ms });
        self.args.common.output.print(&value, || {
            format!(
                "node {to} holds {group} instead of node {from}; it took {:.1} s",
                took_ms as f64 / 1000.0
            )
        });
        Ok(())
    }
}

/// Moves a replica, with a bar: every call is one step, and may be repeated. How long it took, in milliseconds.
pub(super) async fn move_replica(
    broker: &Broker,
    group: &str,
    from: &str,
    to: &str,
    until: Instant,
) -> Result<u64, Failure> {
    let begun = Instant::now();
    let bar = progress(1, &format!("{group}: node {to} gets what node {from} has"));
    let mut most = 1;
    loop {
        let request =
            admin::MoveReplicaRequest { group: group.to_owned(), from: from.to_owned(), to: to.to_owned() };
        let answer =
            broker.answer(broker.admin().move_replica(broker.headers.request(request, STEP)).await)?;
        if answer.done {
            bar.finish_and_clear();
            return Ok(begun.elapsed().as_millis() as u64);
        }
        if let Some(behind) = answer.behind {
            most = most.max(behind);
            bar.set_length(most);
            bar.set_position(most - behind);
        }
        if Instant::now() >= until {
            bar.abandon();
            let where_it_is = match answer.behind {
                Some(behind) => format!("node {to} has {behind} entries to get"),
                None => format!(
                    "node {to} has not opened its replica; if it held the group before, it must be restarted first"
                ),
            };
            return Err(Failure::Failed(format!(
                "{group} is not done: {where_it_is}. Nothing is lost: give the same command again, with a longer --wait"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
