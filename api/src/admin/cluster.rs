//! The cluster: who is there, who leads, and handing leadership on.

use proto::admin::{
    BrokerGroup, ChangeVotersRequest, ChangeVotersResponse, ClusterStatusResponse, Disk, Node, Replica,
    TransferLeaderRequest, TransferLeaderResponse,
};
use raft::names::{GroupId, NodeId};
use raft::node::GroupStatus;
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
    let node = |(info, alive, pid): (raft::catalog::NodeInfo, bool, u32)| Node {
        disk: disk(info.id),
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
    };
    ClusterStatusResponse {
        cluster: edge.options.cluster.clone(),
        nodes: status.nodes.into_iter().map(node).collect(),
        groups: status.groups.iter().map(wire_group).collect(),
    }
}

fn wire_group(status: &GroupStatus) -> BrokerGroup {
    let replica = |replica: &raft::node::ReplicaStatus| Replica {
        node: replica.node.0,
        role: replica.role.to_owned(),
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
    }
}

pub(super) async fn transfer_leader(
    edge: &EdgeState,
    request: TransferLeaderRequest,
    deadline: Instant,
) -> Result<TransferLeaderResponse, Fault> {
    let group = parse_group(&request.group)?;
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
    let group = parse_group(&request.group)?;
    let node = find_node(edge, &request.node)?;
    let change = edge.node.change_voters(group, node, request.votes, deadline).await?;
    let voters = change.voters.iter().map(|id| id.0).collect();
    Ok(ChangeVotersResponse { done: change.done, voters, behind: change.behind })
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

/// By name or by id.
fn find_node(edge: &EdgeState, name: &str) -> Result<NodeId, Fault> {
    let catalog = edge.node.catalog();
    let live = edge.live_nodes();
    let id = name.parse().ok().map(NodeId);
    let mut nodes = catalog.nodes.values().chain(live.iter());
    let found = nodes.find(|node| node.name == name || Some(node.id) == id);
    found.map(|node| node.id).ok_or_else(|| Fault::BadRequest(format!("there is no node {name}")))
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
