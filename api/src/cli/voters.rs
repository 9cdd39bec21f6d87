//! `ledgermq cluster add-voter` and `remove-voter`

use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde::Serialize;
use serde_json::json;

use super::exit::Failure;
use super::nodes::find;
use super::output::{ConfirmArgs, progress, table};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::Broker;
use crate::client::cluster_view::ClusterView;
use crate::options::values::parse_duration;

/// One call tries for so long: longer than an election takes, and the bar moves.
const STEP: Duration = Duration::from_secs(5);

/// Arguments of both.
#[derive(Debug, Args)]
pub struct VoterArgs {
    /// Which node, by id or name
    #[arg(value_name = "NODE")]
    node: String,
    /// Only in this group: g1, g2, ..., meta [default: in all of them, one after the other]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Give up after so long; what is done stays done
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_duration)]
    wait: Duration,
    #[command(flatten)]
    common: CommonArgs,
}

/// What became of a group.
#[derive(Clone, Debug, Serialize)]
struct Changed {
    group: String,
    voters: Vec<u64>,
    took_ms: u64,
}

impl VoterArgs {
    /// Gives the node its vote.
    pub async fn add(self) -> Result<(), Failure> {
        self.change(true).await
    }

    /// Takes the node's vote.
    pub async fn remove(self, confirm: ConfirmArgs) -> Result<(), Failure> {
        confirm.confirm(&format!(
            "Node {} will not count for any quorum: with fewer voters fewer may fail.",
            self.node
        ))?;
        self.change(false).await
    }

    async fn change(self, votes: bool) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = broker.headers.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT);
        let view = ClusterView::from(broker.answer(broker.admin().cluster_status(request).await)?);
        let groups: Vec<String> = match &self.group {
            Some(group) => vec![group.clone()],
            None => {
                // Groups that are on other nodes have no vote for it. Of a node that is not there the broker says so.
                let id = find(&view, &self.node).map(|node| node.id);
                let on = view.groups.iter().filter(|group| id.is_none_or(|id| group.is_on(id)));
                on.map(|group| group.name.clone()).collect()
            }
        };
        let until = Instant::now() + self.wait;
        let mut changed = Vec::with_capacity(groups.len());
        for group in groups {
            changed.push(self.change_in(&broker, group, votes, until).await?);
        }
        let value = json!({ "node": self.node, "votes": votes, "groups": changed });
        self.common.output.print(&value, || text(&changed));
        Ok(())
    }

    /// Asks again and again: every call is one step, and may be repeated.
    async fn change_in(
        &self,
        broker: &Broker,
        group: String,
        votes: bool,
        until: Instant,
    ) -> Result<Changed, Failure> {
        let begun = Instant::now();
        let bar = progress(1, &format!("{group}: node {} gets what it lacks", self.node));
        let mut most = 1;
        loop {
            let request = admin::ChangeVotersRequest { node: self.node.clone(), group: group.clone(), votes };
            let answer =
                broker.answer(broker.admin().change_voters(broker.headers.request(request, STEP)).await)?;
            if answer.done {
                bar.finish_and_clear();
                let took_ms = begun.elapsed().as_millis() as u64;
                return Ok(Changed { group, voters: answer.voters, took_ms });
            }
            most = most.max(answer.behind);
            bar.set_length(most);
            bar.set_position(most - answer.behind);
            if Instant::now() >= until {
                bar.abandon();
                return Err(Failure::Failed(format!(
                    "{group} is not done: node {} has {} entries to get. Nothing is lost: give the same command again, \
                     with a longer --wait",
                    self.node, answer.behind
                )));
            }
        }
    }
}

fn text(changed: &[Changed]) -> String {
    let row = |changed: &Changed| {
        let voters: Vec<String> = changed.voters.iter().map(u64::to_string).collect();
        [changed.group.clone(), voters.join(" "), changed.took_ms.to_string()]
    };
    table(["GROUP", "VOTERS", "MS"], &changed.iter().map(row).collect::<Vec<_>>())
}
