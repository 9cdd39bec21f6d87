//! Where a cluster stands, in the shape that `cluster status` and `local status` print.

use proto::admin;
use serde::Serialize;

use crate::cli::output::table;

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterView {
    /// Every node.
    pub nodes: Vec<NodeView>,
    /// Every group, `meta` too.
    pub groups: Vec<GroupView>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `host:port` for clients.
    pub grpc: String,
    /// `host:port` for HTTP.
    pub http: String,
    /// `host:port` for peers.
    pub peer: String,
    /// Its process; 0 if it is not known.
    pub pid: u32,
    /// Whether it answers.
    pub alive: bool,
    /// Whether it does not have the replicas and votes yet that it joined for.
    pub joining: bool,
    /// Whether it has stepped aside, and is not elected for a while.
    pub draining: bool,
    /// Its disk, if it answers.
    pub disk: Option<DiskView>,
    /// The version that it runs, if it answers and says so.
    pub version: Option<String>,
}

/// How full a node's disk is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskView {
    /// How much of it is used, in percent.
    pub used_percent: u32,
    /// What is free of it, in bytes.
    pub free_bytes: u64,
    /// What it holds when it is full, in bytes.
    pub total_bytes: u64,
    /// normal, warn, clean (the oldest messages go) or refuse (no messages are taken).
    pub level: String,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// `meta`, `g1`, `g2`, ...
    pub name: String,
    /// The node that leads it; `null` while none does.
    pub leader: Option<u64>,
    /// The newest term seen.
    pub term: u64,
    /// The newest index known to be committed.
    pub committed: u64,
    /// The nodes with a vote.
    pub voters: Vec<u64>,
    /// The nodes that are to hold it; `null`: all are.
    pub placed: Option<Vec<u64>>,
    /// The replicas that answered.
    pub replicas: Vec<ReplicaView>,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaView {
    /// The node that holds it.
    pub node: u64,
    /// leader, follower, candidate or learner.
    pub role: String,
    /// Index of the last entry of its log.
    pub last_index: u64,
    /// Index of the last entry applied.
    pub applied_index: u64,
    /// Index of the last entry that is fsynced.
    pub durable_index: u64,
}

impl From<admin::ClusterStatusResponse> for ClusterView {
    fn from(status: admin::ClusterStatusResponse) -> Self {
        let node = |node: admin::Node| NodeView {
            id: node.id,
            name: node.name,
            grpc: node.grpc,
            http: node.http,
            peer: node.peer,
            pid: u32::try_from(node.pid).unwrap_or_default(),
            alive: node.alive,
            joining: node.joining,
            draining: node.draining,
            disk: node.disk.map(|disk| DiskView {
                used_percent: disk.used_percent,
                free_bytes: disk.free_bytes,
                total_bytes: disk.total_bytes,
                level: disk.level,
            }),
            version: (!node.version.is_empty()).then_some(node.version),
        };
        let replica = |replica: admin::Replica| ReplicaView {
            node: replica.node,
            role: replica.role,
            last_index: replica.last_index,
            applied_index: replica.applied_index,
            durable_index: replica.durable_index,
        };
        let group = |group: admin::BrokerGroup| GroupView {
            name: group.name,
            leader: (group.leader != 0).then_some(group.leader),
            term: group.term,
            committed: group.committed,
            voters: group.voters,
            placed: Some(group.placed).filter(|placed| !placed.is_empty()),
            replicas: group.replicas.into_iter().map(replica).collect(),
        };
        ClusterView {
            nodes: status.nodes.into_iter().map(node).collect(),
            groups: status.groups.into_iter().map(group).collect(),
        }
    }
}

impl GroupView {
    /// Whether a node is to hold it.
    pub fn is_on(&self, node: u64) -> bool {
        self.placed.as_ref().is_none_or(|placed| placed.contains(&node))
    }
}

impl ClusterView {
    /// Whether `groups` broker groups and `meta` are there and every one has a leader.
    pub fn is_led(&self, groups: u32) -> bool {
        let brokers = self.groups.iter().filter(|group| group.name != "meta").count();
        brokers >= groups as usize && self.groups.iter().all(|group| group.leader.is_some())
    }

    /// For people.
    pub fn text(&self) -> String {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|node| {
                let pid = if node.pid == 0 { "-".to_owned() } else { node.pid.to_string() };
                let state = match (node.alive, node.joining, node.draining) {
                    (false, ..) => "dead",
                    (true, true, _) => "joining",
                    (true, false, true) => "draining",
                    (true, false, false) => "alive",
                };
                let (grpc, http, peer) = (node.grpc.clone(), node.http.clone(), node.peer.clone());
                let disk = node.disk.as_ref().map_or("-".to_owned(), |disk| match disk.level.as_str() {
                    "normal" => format!("{}%", disk.used_percent),
                    level => format!("{}% {level}", disk.used_percent),
                });
                [node.id.to_string(), node.name.clone(), state.to_owned(), pid, disk, grpc, http, peer]
            })
            .collect();
        let mut text = table(["NODE", "NAME", "STATE", "PID", "DISK", "GRPC", "HTTP", "PEER"], &nodes);
        let mut rows = Vec::new();
        for group in &self.groups {
            let leader = group.leader.map_or("none".to_owned(), |leader| leader.to_string());
            let head = [group.name.clone(), leader, group.term.to_string(), group.committed.to_string()];
            let mut head = Some(head);
            for replica in &group.replicas {
                let [name, leader, term, committed] = head.take().unwrap_or_default();
                rows.push([
                    name,
                    leader,
                    term,
                    committed,
                    replica.node.to_string(),
                    replica.role.clone(),
                    replica.last_index.to_string(),
                    replica.applied_index.to_string(),
                    replica.durable_index.to_string(),
                ]);
            }
            if let Some([name, leader, term, committed]) = head {
                let dash = || "-".to_owned();
                rows.push([name, leader, term, committed, dash(), dash(), dash(), dash(), dash()]);
            }
        }
        text.push('\n');
        text.push_str(&table(
            ["GROUP", "LEADER", "TERM", "COMMITTED", "REPLICA", "ROLE", "LAST", "APPLIED", "DURABLE"],
            &rows,
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> admin::ClusterStatusResponse {
        admin::ClusterStatusResponse {
            cluster: "local".into(),
            feature_level: 1,
            nodes: vec![admin::Node {
                id: 1,
                name: "node1".into(),
                grpc: "127.0.0.1:8081".into(),
                http: "127.0.0.1:8082".into(),
                peer: "127.0.0.1:8083".into(),
                pid: 42,
                alive: true,
                joining: false,
                draining: false,
                disk: Some(admin::Disk {
                    total_bytes: 100,
                    free_bytes: 13,
                    used_percent: 87,
                    level: "clean".into(),
                }),
                version: "0.1.0".into(),
                ..admin::Node::default()
            }],
            groups: vec![admin::BrokerGroup {
                name: "g1".into(),
                leader: 1,
                term: 3,
                committed: 9,
                voters: vec![1],
                placed: Vec::new(),
                replicas: vec![admin::Replica {
                    node: 1,
                    role: "leader".into(),
                    last_index: 10,
                    applied_index: 9,
                    term: 1,
                    durable_index: 10,
                }],
            }],
            spreading: Vec::new(),
        }
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let json = serde_json::to_string(&ClusterView::from(status())).unwrap();
        assert_eq!(
            json,
            r#"{"nodes":[{"id":1,"name":"node1","grpc":"127.0.0.1:8081","http":"127.0.0.1:8082","peer":"127.0.0.1:8083","pid":42,"alive":true,"joining":false,"draining":false,"disk":{"used_percent":87,"free_bytes":13,"total_bytes":100,"level":"clean"},"version":"0.1.0"}],"groups":[{"name":"g1","leader":1,"term":3,"committed":9,"voters":[1],"placed":null,"replicas":[{"node":1,"role":"leader","last_index":10,"applied_index":9,"durable_index":10}]}]}"#
        );
    }

    #[test]
    fn a_group_without_a_leader_is_not_led() {
        let mut status = status();
        assert!(ClusterView::from(status.clone()).is_led(1));
        assert!(!ClusterView::from(status.clone()).is_led(2), "a group that is not there counts as led");
        status.groups[0].leader = 0;
        let view = ClusterView::from(status);
        assert!(!view.is_led(1));
        assert!(serde_json::to_string(&view).unwrap().contains(r#""leader":null"#));
        assert!(view.text().contains("none"));
        assert!(view.text().contains("87% clean"), "{}", view.text());
    }
}
