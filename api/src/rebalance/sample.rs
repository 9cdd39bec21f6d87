//! Clusters as the tests of the plans need them.

use crate::client::cluster_view::{ClusterView, GroupView, NodeView, ReplicaView};

fn node(id: u64) -> NodeView {
    NodeView {
        id,
        name: format!("n{id}"),
        grpc: String::new(),
        http: String::new(),
        peer: String::new(),
        pid: 1,
        alive: true,
        joining: false,
        draining: false,
        disk: None,
        version: None,
    }
}

/// A group of which these have a vote and everything.
pub fn group(number: usize, leader: u64, voters: &[u64]) -> GroupView {
    let replica = |node: &u64| ReplicaView {
        node: *node,
        role: if *node == leader { "leader" } else { "follower" }.to_owned(),
        last_index: 5000,
        applied_index: 5000,
        durable_index: 5000,
    };
    GroupView {
        name: if number == 0 { "meta".to_owned() } else { format!("g{number}") },
        leader: (leader != 0).then_some(leader),
        term: 1,
        committed: 5000,
        voters: voters.to_vec(),
        placed: None,
        replicas: voters.iter().map(replica).collect(),
    }
}

/// `meta` is led by node 1, and the broker groups by these.
pub fn cluster(nodes: u64, leaders: &[u64]) -> ClusterView {
    let all: Vec<u64> = (1..=nodes).collect();
    let brokers = leaders.iter().enumerate().map(|(at, leader)| group(at + 1, *leader, &all));
    ClusterView {
        nodes: all.iter().map(|id| node(*id)).collect(),
        groups: std::iter::once(group(0, 1, &all)).chain(brokers).collect(),
    }
}
