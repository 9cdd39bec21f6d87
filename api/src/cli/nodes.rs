//! `ledgermq cluster add-node`, `remove-node`, `replace-node`, `add-groups` and `drain`

use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde_json::json;

use super::exit::Failure;
use super::move_replica::move_replica;
use super::output::{ConfirmArgs, progress, spinner};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::Broker;
use crate::client::cluster_view::{ClusterView, NodeView};
use crate::options::values::parse_duration;

/// One call tries for so long: longer than an election takes, and the bar moves.
const STEP: Duration = Duration::from_secs(8);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How long to wait, and whom to ask.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Give up after so long; what is done stays done
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_duration)]
    wait: Duration,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

impl WaitArgs {
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.wait
    }
}

/// Where the cluster stands now.
pub(super) async fn view(broker: &Broker) -> Result<ClusterView, Failure> {
    let request = broker.headers.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT);
    Ok(ClusterView::from(broker.answer(broker.admin().cluster_status(request).await)?))
}

/// A node by its id or name.
pub(super) fn find<'v>(view: &'v ClusterView, node: &str) -> Option<&'v NodeView> {
    // The newest of a name: the one whose data is gone may be there still.
    let named = |of: &&NodeView| of.name == node || of.id.to_string() == node;
    view.nodes.iter().filter(named).max_by_key(|of| of.id)
}

/// Waits until a node that was started somewhere has joined.
pub async fn add(node: &str, args: WaitArgs) -> Result<(), Failure> {
    let broker = args.common.target.connect().await?;
    let until = args.until();
    let begun = Instant::now();
    let bar = progress(1, &format!("node {node} joins"));
    let joined = loop {
        let view = view(&broker).await?;
        let found = find(&view, node).cloned();
        let mut level = 0;
        if let Some(found) = &found {
            let wanted = || view.groups.iter().filter(|group| group.is_on(found.id));
            bar.set_length(wanted().count() as u64);
            level = wanted()
                .filter(|group| {
                    let own = group.replicas.iter().find(|replica| replica.node == found.id);
                    own.is_some_and(|own| own.role != "rejoining" && own.applied_index >= group.committed)
                })
                .count() as u64;
            bar.set_position(level);
        }
        match found {
            Some(found) if found.alive && !found.joining => break found,
            found if Instant::now() >= until => {
                bar.abandon();
                return Err(not_joined(node, &view, found.as_ref(), level));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    bar.finish_and_clear();
    let view = view(&broker).await?;
    let groups = |is_it: &dyn Fn(&crate::client::cluster_view::GroupView) -> bool| {
        view.groups.iter().filter(|group| is_it(group)).map(|group| group.name.clone()).collect::<Vec<_>>()
    };
    let votes = groups(&|group| group.voters.contains(&joined.id));
    let took_ms = begun.elapsed().as_millis() as u64;
    let value = json!({ "node": joined, "votes": votes, "took_ms": took_ms });
    args.common.output.print(&value, || {
        let votes = match votes.is_empty() {
            true => {
                "no vote: an even number of voters bears no more failures; it gets them with the next node"
                    .to_owned()
            }
            false => format!("votes in {}", votes.join(", ")),
        };
        format!("node {} ({}) has joined, with {votes}", joined.id, joined.name)
    });
    Ok(())
}

fn not_joined(node: &str, view: &ClusterView, found: Option<&NodeView>, level: u64) -> Failure {
    let seeds: Vec<String> = view.nodes.iter().map(|node| format!("\"{}\"", node.peer)).collect();
    Failure::Failed(match found {
        None => format!(
            "no node {node} has come. Start it on its machine with `ledgermq serve --config FILE`, node.name = \"{node}\", \
             cluster.name as here, and cluster.seeds = [{}]; its log says what it waits for",
            seeds.join(", ")
        ),
        Some(found) if !found.alive => {
            format!("node {} ({node}) has come and does not answer now: look at its log", found.id)
        }
        Some(found) => format!(
            "node {} ({node}) has {level} of {} groups. It goes on by itself; give the same command again to watch",
            found.id,
            view.groups.iter().filter(|group| group.is_on(found.id)).count()
        ),
    })
}

/// Takes a node out of the cluster.
pub async fn remove(node: &str, args: WaitArgs, confirm: ConfirmArgs) -> Result<(), Failure> {
    let broker = args.common.target.connect().await?;
    let named = find(&view(&broker).await?, node).cloned();
    let shown = named.as_ref().map_or(node.to_owned(), |named| format!("{} ({})", named.id, named.name));
    confirm.confirm(&format!(
        "Node {shown} will lose its votes and its replicas, and its id is not given out again."
    ))?;
    let until = args.until();
    remove_until(&broker, node, until).await?;
    args.common.output.print(&json!({ "node": node, "removed": true }), || {
        format!("node {shown} is in the cluster no more; its data can be deleted")
    });
    Ok(())
}

async fn remove_until(broker: &Broker, node: &str, until: Instant) -> Result<(), Failure> {
    let bar = progress(1, &format!("node {node} goes"));
    loop {
        let request = broker.headers.request(admin::RemoveNodeRequest { node: node.to_owned() }, STEP);
        let answer = broker.answer(broker.admin().remove_node(request).await)?;
        bar.set_length(u64::from(answer.groups));
        bar.set_position(u64::from(answer.groups_done));
        if answer.done {
            bar.finish_and_clear();
            return Ok(());
        }
        if Instant::now() >= until {
            bar.abandon();
            return Err(Failure::Failed(format!(
                "node {node} has left {} of {} groups. Nothing is lost: give the same command again, with a longer --wait",
                answer.groups_done, answer.groups
            )));
        }
    }
}

/// Gives the votes of one node to another, and takes the first one out.
pub async fn replace(old: &str, new: &str, args: WaitArgs, confirm: ConfirmArgs) -> Result<(), Failure> {
    let broker = args.common.target.connect().await?;
    let before = view(&broker).await?;
    let of = |node: &str| {
        let found = find(&before, node).cloned();
        found.ok_or_else(|| {
            Failure::Failed(format!("there is no node {node}: `ledgermq cluster status` lists them"))
        })
    };
    let (old, new) = (of(old)?, of(new)?);
    if old.id == new.id {
        return Err(Failure::Usage("a node cannot take its own place".to_owned()));
    }
    if !new.alive || new.joining {
        return Err(Failure::Failed(format!(
            "node {} ({}) has not joined yet: `ledgermq cluster add-node {}` waits for it",
            new.id, new.name, new.name
        )));
    }
    confirm.confirm(&format!(
        "Node {} ({}) will take the votes of node {} ({}), which leaves the cluster for good.",
        new.id, new.name, old.id, old.name
    ))?;
    let until = args.until();
    let (from, to) = (old.id.to_string(), new.id.to_string());
    for group in before.groups.iter().filter(|group| group.placed.is_some() && group.is_on(old.id)) {
        if !group.is_on(new.id) {
            move_replica(&broker, &group.name, &from, &to, until).await?;
        }
    }
    let everywhere = before.groups.iter().filter(|group| group.placed.is_none());
    for group in everywhere.filter(|group| group.voters.contains(&old.id)) {
        vote(&broker, &group.name, new.id, true, until).await?;
        vote(&broker, &group.name, old.id, false, until).await?;
    }
    remove_until(&broker, &old.id.to_string(), until).await?;
    args.common.output.print(&json!({ "removed": old.id, "by": new.id }), || {
        format!("node {} ({}) has taken the place of node {}", new.id, new.name, old.id)
    });
    Ok(())
}

async fn vote(broker: &Broker, group: &str, node: u64, votes: bool, until: Instant) -> Result<(), Failure> {
    let bar =
        spinner(&format!("{group}: node {node} {} its vote", if votes { "gets" } else { "gives back" }));
    loop {
        let request = admin::ChangeVotersRequest { node: node.to_string(), group: group.to_owned(), votes };
        let request = broker.headers.request(request, STEP);
        let answer = broker.answer(broker.admin().change_voters(request).await)?;
        if answer.done {
            bar.finish_and_clear();
            return Ok(());
        }
        if Instant::now() >= until {
            bar.abandon();
            return Err(Failure::Failed(format!(
                "{group}: node {node} has {} entries to get. Nothing is lost: give the same command again, with a longer \
                 --wait",
                answer.behind
            )));
        }
    }
}

/// Adds broker groups.
pub async fn add_groups(count: u32, nodes: Vec<String>, args: WaitArgs) -> Result<(), Failure> {
    let broker = args.common.target.connect().await?;
    let bar = spinner("the new broker groups elect their leaders");
    let request =
        broker.headers.request(admin::AddBrokerGroupsRequest { count, nodes: nodes.clone() }, args.wait);
    let answer = broker.answer(broker.admin().add_broker_groups(request).await)?;
    bar.finish_and_clear();
    let place = if nodes.is_empty() { String::new() } else { format!(" on {}", nodes.join(", ")) };
    args.common.output.print(&json!({ "groups": answer.groups, "nodes": nodes }), || {
        format!(
            "{} are there{place}. New topics spread over all groups; `ledgermq topic update NAME --queues N` gives old ones \
             queues there",
            answer.groups.join(", ")
        )
    });
    Ok(())
}

/// Has the node at the endpoint hand on its leaderships, and waits until others are seen to lead.
pub async fn drain(args: WaitArgs) -> Result<(), Failure> {
    let broker = args.common.target.connect().await?;
    let bar = spinner("the leaderships of this node go to others");
    let request = broker.headers.request(admin::StepAsideRequest {}, args.wait);
    let answer = broker.answer(broker.admin().step_aside(request).await)?;
    bar.finish_and_clear();
    args.common.output.print(&json!({ "handed_on": answer.groups }), || match answer.groups.is_empty() {
        true => "this node led nothing".to_owned(),
        false => format!("others lead {} now", answer.groups.join(", ")),
    });
    Ok(())
}
