//! Routes and assignments: which nodes a client talks to.
//!
//! Every node serves every queue, so a route names nodes, not places. There is one broker for each
//! live node, with its own name, id 0 and one address; a node that is not there is never listed
//! (Java blocks on it). Each broker lists the queues 0..k of the topic, so that queue 0, the only
//! one that the Node client publishes to, is on every broker, and counts never depend on which
//! node leads what. Which queue a message goes to is decided by the server, from the message alone.

use std::net::{Ipv4Addr, Ipv6Addr};

use proto::v2::{
    Address, AddressScheme, Assignment, Broker, Endpoints, MessageQueue, MessageType, Permission, Resource,
};
use raft::catalog::{NodeInfo, Topic, TopicType};
use raft::hash::hash64;

use crate::limits::ROUTE_QUEUES_MAX;

/// The queues of a topic for producers and simple consumers. Neighbours in the list are on different
/// nodes: the Python client retries a send on the next of the list, and must find another node there.
pub fn message_queues(topic: &Topic, resource: &Resource, nodes: &[NodeInfo]) -> Vec<MessageQueue> {
    let queues = topic.queues.len().min(ROUTE_QUEUES_MAX);
    let types = accepted_types(topic.kind);
    let mut listed = Vec::with_capacity(queues * nodes.len());
    for number in 0..queues {
        for node in nodes {
            listed.push(message_queue(resource, number as i32, node, types));
        }
    }
    listed
}

/// What a push consumer polls. A group without order polls each node, with a queue that stands for
/// all (id -1): a message wakes it wherever it asks. A FIFO group polls each queue by itself, on the
/// node that the queue's number picks among the live ones; when a node comes or goes, only the
/// queues move that gained or lost their node.
pub fn assignments(topic: &Topic, resource: &Resource, nodes: &[NodeInfo], fifo: bool) -> Vec<Assignment> {
    let types = accepted_types(topic.kind);
    let assignment = |number: i32, node: &NodeInfo| Assignment {
        message_queue: Some(message_queue(resource, number, node, types)),
    };
    if !fifo {
        return nodes.iter().map(|node| assignment(-1, node)).collect();
    }
    (0..topic.queues.len() as u32)
        .filter_map(|number| {
            let node = nodes.iter().max_by_key(|node| affinity(topic, number, node))?;
            Some(assignment(number as i32, node))
        })
        .collect()
}

/// Rendezvous hashing: the node with the highest hash has the queue.
fn affinity(topic: &Topic, number: u32, node: &NodeInfo) -> u64 {
    let mut key = [0u8; 16];
    key[..4].copy_from_slice(&topic.id.0.to_be_bytes());
    key[4..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(&node.id.0.to_be_bytes());
    hash64(&key)
}

fn message_queue(resource: &Resource, id: i32, node: &NodeInfo, types: &[MessageType]) -> MessageQueue {
    MessageQueue {
        topic: Some(resource.clone()),
        id,
        permission: Permission::ReadWrite as i32,
        broker: Some(Broker { name: node.name.clone(), id: 0, endpoints: Some(endpoints(&node.grpc)) }),
        accept_message_types: types.iter().map(|kind| *kind as i32).collect(),
    }
}

/// Which messages a topic takes, for clients that check before they send.
pub fn accepted_types(kind: TopicType) -> &'static [MessageType] {
    match kind {
        TopicType::Normal => &[MessageType::Normal],
        TopicType::Fifo => &[MessageType::Fifo],
        TopicType::Delay => &[MessageType::Delay],
        TopicType::Transaction => &[MessageType::Transaction],
        TopicType::Priority => &[MessageType::Priority],
        TopicType::Lite => &[MessageType::Lite],
        TopicType::Mixed => {
            &[MessageType::Normal, MessageType::Fifo, MessageType::Delay, MessageType::Transaction]
        }
    }
}

/// `host:port` as endpoints with exactly one address. IPv6 addresses stand in brackets.
pub fn endpoints(host_and_port: &str) -> Endpoints {
    let (host, port) = host_and_port.rsplit_once(':').unwrap_or((host_and_port, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let scheme = if host.parse::<Ipv4Addr>().is_ok() {
        AddressScheme::IPv4
    } else if host.parse::<Ipv6Addr>().is_ok() {
        AddressScheme::IPv6
    } else {
        AddressScheme::DomainName
    };
    let port = port.parse::<u16>().unwrap_or(8081);
    Endpoints {
        scheme: scheme as i32,
        addresses: vec![Address { host: host.to_owned(), port: i32::from(port) }],
    }
}

#[cfg(test)]
mod tests {
    use raft::names::{GroupId, NodeId, TopicId};

    use super::*;

    fn node(id: u64) -> NodeInfo {
        NodeInfo {
            id: NodeId(id),
            name: format!("n{id}"),
            grpc: format!("10.0.0.{id}:8081"),
            http: String::new(),
            peer: String::new(),
            incarnation: 0,
        }
    }

    fn topic(queues: usize) -> Topic {
        Topic {
            id: TopicId(4),
            name: "orders".into(),
            kind: TopicType::Mixed,
            queues: vec![GroupId(1); queues],
            created_ms: 0,
            revision: 0,
            settings: Default::default(),
            spread: 0,
            mapping: Default::default(),
        }
    }

    fn resource() -> Resource {
        Resource { resource_namespace: String::new(), name: "orders".into() }
    }

    #[test]
    fn every_node_is_a_broker_with_id_0_one_address_and_queue_0() {
        let listed = message_queues(&topic(2), &resource(), &[node(1), node(2), node(3)]);
        assert_eq!(listed.len(), 6);
        for name in ["n1", "n2", "n3"] {
            let of_node: Vec<_> =
                listed.iter().filter(|queue| queue.broker.as_ref().unwrap().name == name).collect();
            assert_eq!(of_node.iter().map(|queue| queue.id).collect::<Vec<_>>(), [0, 1]);
            for queue in of_node {
                let broker = queue.broker.as_ref().unwrap();
                assert_eq!((broker.id, queue.permission), (0, Permission::ReadWrite as i32));
                assert_eq!(broker.endpoints.as_ref().unwrap().addresses.len(), 1);
                assert_eq!(queue.accept_message_types, [1, 2, 3, 4]);
            }
        }
    }

    #[test]
    fn three_attempts_on_the_next_of_the_list_meet_three_nodes() {
        let listed = message_queues(&topic(8), &resource(), &[node(1), node(2), node(3)]);
        for attempts in listed.windows(3) {
            let nodes: std::collections::BTreeSet<_> =
                attempts.iter().map(|queue| queue.broker.as_ref().unwrap().name.as_str()).collect();
            assert_eq!(nodes.len(), 3, "{nodes:?}");
        }
    }

    #[test]
    fn a_group_without_order_polls_each_node_and_a_fifo_group_each_queue_once() {
        let nodes = [node(1), node(2), node(3)];
        let ids = |fifo| -> Vec<i32> {
            let assigned = assignments(&topic(8), &resource(), &nodes, fifo);
            assigned.iter().map(|assignment| assignment.message_queue.as_ref().unwrap().id).collect()
        };
        assert_eq!(ids(false), [-1, -1, -1]);
        assert_eq!(ids(true), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_node_that_leaves_moves_only_its_own_queues() {
        let place = |nodes: &[NodeInfo]| -> Vec<String> {
            let assigned = assignments(&topic(64), &resource(), nodes, true);
            let broker = |assignment: Assignment| assignment.message_queue.unwrap().broker.unwrap().name;
            assigned.into_iter().map(broker).collect()
        };
        let before = place(&[node(1), node(2), node(3)]);
        let after = place(&[node(1), node(3)]);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == "n2" || before == after, "{before} moved to {after}");
        }
        assert!(["n1", "n2", "n3"].iter().all(|name| before.iter().filter(|at| at == name).count() > 8));
    }

    #[test]
    fn the_scheme_follows_the_address() {
        let of = |text: &str| {
            let endpoints = endpoints(text);
            let address = endpoints.addresses[0].clone();
            (endpoints.scheme(), address.host, address.port)
        };
        assert_eq!(of("127.0.0.1:8081"), (AddressScheme::IPv4, "127.0.0.1".into(), 8081));
        assert_eq!(of("[::1]:8091"), (AddressScheme::IPv6, "::1".into(), 8091));
        assert_eq!(of("mq.example:80"), (AddressScheme::DomainName, "mq.example".into(), 80));
    }
}
