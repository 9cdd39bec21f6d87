//! The cluster: who is there, who leads, and handing leadership on.

use proto::admin::{
    AddBrokerGroupsRequest, AddBrokerGroupsResponse, BrokerGroup, ChangeVotersRequest, ChangeVotersResponse,
    ClusterStatusResponse, Disk, MoveReplicaRequest, MoveReplicaResponse, Node, RaiseFeatureLevelRequest,
    RaiseFeatureLevelResponse, RemoveNodeRequest, RemoveNodeResponse, Replica, SpreadingTopic,
    StepAsideResponse, TransferLeaderRequest, TransferLeaderResponse,
};
use raft::clock;
use raft::features::FeatureLevel;
use raft::names::{GroupId, NodeId};
use raft::node::{GroupStatus, NodeStatus};
use tokio::time::Instant;

use crate::convert::status::Fault;
use crate::edge::EdgeState;

pub(super) async fn status(edge: &EdgeState) -> ClusterStatusResponse {
    let status = edge.node.status().await;
    let (disks, programs) = (status.disks, status.programs);
    let program = |id: NodeId| programs.iter().find(|(of, _)| *of == id).map(|(_, program)| program);
    let disk = |id: NodeId| {
        let (_, disk) = disks.iter().find(|(of, _)| *of == id)?;
        Some(Disk {
            total_bytes: disk.total_bytes,
            free_bytes: disk.free_bytes,
            used_percent: u32::from(disk.used_percent()),
            level: disk.level.name().to_owned(),
        })
    };
    let node = |NodeStatus { info, alive, pid, joining, draining }: NodeStatus| Node {
        disk: disk(info.id),
        joining,
        draining,
        id: info.id.0,
        name: info.name,
        grpc: info.grpc,
        http: info.http,
        peer: info.peer,
        pid: u64::from(pid),
        alive,
        version: program(info.id).map(|program| program.version.clone()).unwrap_or_default(),
        clock_ahead_ms: program(info.id).and_then(|program| program.clock_ahead_ms).map(|(ahead, _)| ahead),
        clock_doubt_ms: program(info.id)
            .and_then(|program| program.clock_ahead_ms)
            .map_or(0, |(_, doubt)| doubt),
        reads_up_to: program(info.id).map_or(0, |program| program.reads_up_to.0),
    };
    ClusterStatusResponse {
        cluster: edge.options.cluster.clone(),
        nodes: status.nodes.into_iter().map(node).collect(),
        groups: status.groups.iter().map(wire_group).collect(),
        feature_level: edge.node.catalog().feature_level.0,
        spreading: spreading(edge),
    }
}

fn spreading(edge: &EdgeState) -> Vec<SpreadingTopic> {
    let catalog = edge.node.catalog();
    let spreading = catalog.topics.values().filter_map(|topic| {
        let for_ms = clock::now_ms().saturating_sub(topic.mapping.spreading?.begun_ms);
        Some(SpreadingTopic { name: topic.name.clone(), for_ms })
    });
    spreading.collect()
}

fn wire_group(status: &GroupStatus) -> BrokerGroup {
    let replica = |replica: &raft::node::ReplicaStatus| Replica {
        node: replica.node.0,
        role: replica.role.to_owned(),
        term: replica.term,
        last_index: replica.last_index,
        applied_index: replica.applied_index,
        durable_index: replica.durable_index,
    };
    BrokerGroup {
        name: status.group.to_string(),
        leader: status.leader.map_or(0, |leader| leader.0),
        term: status.term,
        committed: status.committed,
        replicas: status.replicas.iter().map(replica).collect(),
        voters: status.voters.iter().map(|id| id.0).collect(),
        placed: status.placed.iter().flatten().map(|id| id.0).collect(),
    }
}

pub(super) async fn transfer_leader(
    edge: &EdgeState,
    request: TransferLeaderRequest,
    deadline: Instant,
) -> Result<TransferLeaderResponse, Fault> {
    let group = known_group(edge, &request.group)?;
    let to = match request.to.as_str() {
        "" => None,
        name => Some(find_node(edge, name)?),
    };
    let start = Instant::now();
    let leader = edge.node.transfer_leader(group, to, deadline).await?;
    let took_ms = u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX);
    Ok(TransferLeaderResponse { leader: leader.0, took_ms })
}

pub(super) async fn change_voters(
    edge: &EdgeState,
    request: ChangeVotersRequest,
    deadline: Instant,
) -> Result<ChangeVotersResponse, Fault> {
    let group = known_group(edge, &request.group)?;
    let node = find_node(edge, &request.node)?;
    let change = edge.node.change_voters(group, node, request.votes, deadline).await?;
    let voters = change.voters.iter().map(|id| id.0).collect();
    Ok(ChangeVotersResponse { done: change.done, voters, behind: change.behind })
}

pub(super) async fn remove_node(
    edge: &EdgeState,
    request: RemoveNodeRequest,
    deadline: Instant,
) -> Result<RemoveNodeResponse, Fault> {
    let node = match find_node(edge, &request.node) {
        Ok(node) => node,
        // It was removed already, by its id: the same command again.
        Err(fault) => match request.node.parse().map(NodeId) {
            Ok(id) if edge.node.catalog().removed_nodes.contains(&id) => id,
            _ => return Err(fault),
        },
    };
    let removal = edge.node.remove_node(node, deadline).await?;
    Ok(RemoveNodeResponse { done: removal.done, groups_done: removal.groups_done, groups: removal.groups })
}

pub(super) async fn step_aside(edge: &EdgeState, deadline: Instant) -> Result<StepAsideResponse, Fault> {
    let groups = edge.node.step_aside(deadline).await?;
    Ok(StepAsideResponse { groups: groups.iter().map(ToString::to_string).collect() })
}

pub(super) async fn raise_feature_level(
    edge: &EdgeState,
    request: RaiseFeatureLevelRequest,
    deadline: Instant,
) -> Result<RaiseFeatureLevelResponse, Fault> {
    let before = edge.node.catalog().feature_level.0;
    let to = (request.to != 0).then_some(FeatureLevel(request.to));
    let level = edge.node.raise_feature_level(to, deadline).await?.0;
    Ok(RaiseFeatureLevelResponse { before, level })
}

pub(super) async fn add_broker_groups(
    edge: &EdgeState,
    request: AddBrokerGroupsRequest,
    deadline: Instant,
) -> Result<AddBrokerGroupsResponse, Fault> {
    let nodes: Result<Vec<NodeId>, Fault> = request.nodes.iter().map(|name| find_node(edge, name)).collect();
    let nodes = Some(nodes?).filter(|nodes| !nodes.is_empty());
    let groups = edge.node.add_groups(request.count, nodes, deadline).await?;
    Ok(AddBrokerGroupsResponse { groups: groups.iter().map(ToString::to_string).collect() })
}

pub(super) async fn move_replica(
    edge: &EdgeState,
    request: MoveReplicaRequest,
    deadline: Instant,
) -> Result<MoveReplicaResponse, Fault> {
    let group = known_group(edge, &request.group)?;
    let (from, to) = (find_node(edge, &request.from)?, find_node(edge, &request.to)?);
    let moved = edge.node.move_replica(group, from, to, deadline).await?;
    Ok(MoveReplicaResponse { done: moved.done, behind: moved.behind })
}

/// A group that there is.
fn known_group(edge: &EdgeState, name: &str) -> Result<GroupId, Fault> {
    let group = parse_group(name)?;
    match edge.node.groups().contains(&group) {
        true => Ok(group),
        false => Err(Fault::BadRequest(format!("there is no group {name}"))),
    }
}

/// `meta`, or `g` and a number.
pub(super) fn parse_group(name: &str) -> Result<GroupId, Fault> {
    let number = match name {
        "meta" => Some(0),
        name => name.strip_prefix('g').and_then(|number| number.parse().ok()).filter(|number| *number > 0),
    };
    number.map(GroupId).ok_or_else(|| {
        Fault::BadRequest(format!("{name:?} is not a broker group: they are called meta, g1, g2, ..."))
    })
}

/// By name or by id. Of two nodes of one name (one lost its data, the other takes its place) nobody can tell which is
/// meant.
fn find_node(edge: &EdgeState, name: &str) -> Result<NodeId, Fault> {
    let members = edge.node.members();
    let id = name.parse().ok().map(NodeId);
    if let Some(node) = members.iter().find(|node| Some(node.id) == id) {
        return Ok(node.id);
    }
    let ids: Vec<NodeId> = members.iter().filter(|node| node.name == name).map(|node| node.id).collect();
    match ids[..] {
        [] => Err(Fault::BadRequest(format!("there is no node {name}"))),
        [id] => Ok(id),
        _ => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            Err(Fault::BadRequest(format!(
                "nodes {} are called {name}: name one by its id",
                ids.join(" and ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_called_meta_or_g_and_a_number() {
        assert_eq!(parse_group("meta"), Ok(GroupId(0)));
        assert_eq!(parse_group("g12"), Ok(GroupId(12)));
        for bad in ["", "g", "g0", "12", "G1", "gx"] {
            assert!(parse_group(bad).is_err(), "{bad}");
        }
    }
}
