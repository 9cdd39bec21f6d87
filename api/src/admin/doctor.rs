//! What is wrong with the cluster, and which leaderships would better be elsewhere.

use futures::future::join_all;
use proto::admin::{
    ClusterStatusResponse, DoctorResponse, Finding, LeaderMove, LeftAlone, NodeLeads, PlanRebalanceRequest,
    PlanRebalanceResponse, ReplicaMove,
};

use super::cluster;
use crate::client::cluster_view::ClusterView;
use crate::doctor::{self, Level, certificate};
use crate::edge::EdgeState;
use crate::rebalance::{Plan, leaders, replicas};

/// Every check that needs nothing but the cluster: what `ledgermq cluster doctor` says without `--data`.
pub(super) async fn examine(edge: &EdgeState) -> DoctorResponse {
    let status = cluster::status(edge).await;
    let mut findings = doctor::cluster::findings(&status);
    findings.extend(certificates(&status).await);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let worst = findings.first().map_or(Level::Ok, |finding| finding.level);
    let findings = findings.into_iter().map(wire).collect();
    DoctorResponse { worst: worst.name().to_owned(), findings }
}

async fn certificates(status: &ClusterStatusResponse) -> Vec<doctor::Finding> {
    let living = status.nodes.iter().filter(|node| node.alive);
    let found = living.map(|node| async move {
        certificate::finding(&format!("{} ({})", node.name, node.id), &node.grpc).await
    });
    join_all(found).await
}

fn wire(finding: doctor::Finding) -> Finding {
    Finding {
        level: finding.level.name().to_owned(),
        check: finding.check.to_owned(),
        place: finding.place,
        found: finding.found.to_string(),
        advice: finding.advice.to_string(),
        found_said: Some(finding.found.wire()),
        advice_said: (!finding.advice.is_empty()).then(|| finding.advice.wire()),
    }
}

/// What `ledgermq cluster rebalance` would do.
pub(super) async fn plan(edge: &EdgeState, request: PlanRebalanceRequest) -> PlanRebalanceResponse {
    let plan = Plan::of(&ClusterView::from(cluster::status(edge).await), request.leaders_only);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let nodes = plan.leaders.nodes.iter().map(|it| {
        let placed = plan.placed(it.node);
        NodeLeads {
            node: it.node,
            name: it.name.clone(),
            before: count(it.before),
            after: count(it.after),
            placed_before: placed.map(|(before, _)| count(before)),
            placed_after: placed.map(|(_, after)| count(after)),
        }
    });
    let nodes = nodes.collect();
    let left = plan.replicas.left.into_iter().chain(plan.leaders.left).map(|it| LeftAlone {
        why: it.why.to_string(),
        said: Some(it.why.wire()),
        group: it.group,
    });
    let leader = |it: leaders::LeaderMove| LeaderMove { group: it.group, from: it.from, to: it.to };
    let replica = |it: replicas::ReplicaMove| ReplicaMove { group: it.group, from: it.from, to: it.to };
    PlanRebalanceResponse {
        nodes,
        left: left.collect(),
        moves: plan.leaders.moves.into_iter().map(leader).collect(),
        replicas: plan.replicas.moves.into_iter().map(replica).collect(),
    }
}
