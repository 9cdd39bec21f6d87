//! What is wrong with the cluster, and which leaderships would better be elsewhere.

use futures::future::join_all;
use proto::admin::{
    ClusterStatusResponse, DoctorResponse, Finding, LeaderMove, LeftAlone, NodeLeads, PlanRebalanceResponse,
};

use super::cluster;
use crate::client::cluster_view::ClusterView;
use crate::doctor::{self, Level, certificate};
use crate::edge::EdgeState;
use crate::rebalance::leaders;

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
        found: finding.found,
        advice: finding.advice,
    }
}

/// What `ledgermq cluster rebalance --leaders` would do.
pub(super) async fn plan(edge: &EdgeState) -> PlanRebalanceResponse {
    let plan = leaders::plan(&ClusterView::from(cluster::status(edge).await));
    let count = |leads: usize| u32::try_from(leads).unwrap_or(u32::MAX);
    PlanRebalanceResponse {
        moves: plan
            .moves
            .into_iter()
            .map(|it| LeaderMove { group: it.group, from: it.from, to: it.to })
            .collect(),
        nodes: plan
            .nodes
            .into_iter()
            .map(|it| NodeLeads {
                node: it.node,
                name: it.name,
                before: count(it.before),
                after: count(it.after),
            })
            .collect(),
        left: plan.left.into_iter().map(|it| LeftAlone { group: it.group, why: it.why }).collect(),
    }
}
