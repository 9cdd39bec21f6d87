//! Who has a vote changes while messages come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raft::catalog::TopicType;
use raft::names::{GroupId, NodeId};
use raft::node::Node;
use raft::request::{Rejection, RequestError};
use tokio::time::Instant;

use crate::cluster::{Cluster, drain, message, soon};

const GROUP: GroupId = GroupId(1);

/// Asks until it is done.
async fn change(node: &Node, of: u64, votes: bool) -> Vec<u64> {
    let deadline = soon();
    loop {
        let step = Instant::now() + Duration::from_secs(2);
        let change = node.change_voters(GROUP, NodeId(of), votes, step).await.expect("no refusal");
        if change.done {
            return change.voters.iter().map(|id| id.0).collect();
        }
        assert!(Instant::now() < deadline, "node {of} is behind by {}", change.behind);
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, RequestError>) -> String {
    match result {
        Err(RequestError::Rejected(Rejection::Invalid(why))) => why,
        other => panic!("not refused: {other:?}"),
    }
}

async fn voters_seen(node: &Node) -> Vec<u64> {
    let status = node.status().await;
    let group = status.groups.iter().find(|group| group.group == GROUP).expect("the group");
    group.voters.iter().map(|id| id.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_come_and_go_under_load_and_nothing_acknowledged_is_lost() {
    let cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Fifo, 1).await;
    let consumer = cluster.consumer("workers", true).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (node, topic_, ended_) = (cluster.node(2).clone(), topic.clone(), ended.clone());
    let sender = tokio::spawn(async move {
        let mut ids = Vec::new();
        while !ended_.load(Ordering::Relaxed) {
            let id = format!("m{}", ids.len());
            let sent = node.publish(vec![message(&topic_, 0, &id, Some("g"))], soon()).await;
            sent[0].clone().expect("no error reaches the sender");
            ids.push(id);
        }
        ids
    });
    for round in 0..3 {
        let leader = cluster.any().leader_of(GROUP).expect("a leader").0;
        // The leader's own vote, too: through itself, and through another one.
        let through = cluster.node(1 + (leader + round) % 3);
        let left = change(through, leader, false).await;
        assert_eq!(left, (1..=3).filter(|id| *id != leader).collect::<Vec<_>>());
        assert_eq!(voters_seen(cluster.any()).await, left);
        let again = change(cluster.node(leader), leader, false).await;
        assert_eq!(again, left, "what is done already stays as it is");
        assert_ne!(cluster.node(left[0]).leader_of(GROUP), Some(NodeId(leader)), "it leads without a vote");
        assert_eq!(change(cluster.any(), leader, true).await, [1, 2, 3]);
    }
    ended.store(true, Ordering::Relaxed);
    let sent = sender.await.expect("no panic");
    assert!(sent.len() > 10, "{} messages are no load", sent.len());
    let ids = drain(cluster.node(3), &topic, &consumer, sent.len()).await;
    assert_eq!(ids, sent, "order within the message group holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_vote_counts_for_nothing_until_it_has_everything() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let send = async |cluster: &Cluster, id: &str, within: Duration| {
        let sent = cluster.node(1).publish(vec![message(&topic, 0, id, None)], Instant::now() + within).await;
        sent[0].clone()
    };
    let long = Duration::from_secs(30);
    assert_eq!(change(cluster.node(1), 3, false).await, [1, 2]);

    // It is not asked, so it is not missed.
    cluster.stop(3).await;
    for number in 0..20 {
        send(&cluster, &format!("without3-{number}"), long).await.expect("two of two voters are there");
    }
    let gone = refusal(cluster.node(1).change_voters(GROUP, NodeId(3), true, soon()).await);
    assert!(gone.contains("node 3 does not answer"), "{gone}");
    cluster.start_node(3).await;
    assert_eq!(change(cluster.node(2), 3, true).await, [1, 2, 3]);
    let replica = cluster.node(3).status().await;
    let group = replica.groups.iter().find(|group| group.group == GROUP).expect("the group");
    let own = group.replicas.iter().find(|replica| replica.node == NodeId(3)).expect("its replica");
    assert!(own.last_index >= 20, "it votes with a log that ends at {}", own.last_index);

    // Two voters and one that has none: the two must both be there.
    assert_eq!(change(cluster.node(1), 3, false).await, [1, 2]);
    cluster.stop(2).await;
    let refused = refusal(cluster.node(1).change_voters(GROUP, NodeId(1), false, soon()).await);
    assert!(refused.contains("would have 1 voters without node 1, of which 0 answer"), "{refused}");
    let lonely = send(&cluster, "lonely", Duration::from_millis(1500)).await;
    assert!(lonely.is_err(), "a node without a vote made a quorum: {lonely:?}");
    cluster.start_node(2).await;
    send(&cluster, "lonely", long).await.expect("the quorum is back");

    assert_eq!(change(cluster.node(1), 2, false).await, [1]);
    let last = refusal(cluster.node(2).change_voters(GROUP, NodeId(1), false, soon()).await);
    assert!(last.contains("node 1 is the only voter of g1"), "{last}");
    send(&cluster, "alone", long).await.expect("one of one");
    let nobody = refusal(cluster.node(1).change_voters(GROUP, NodeId(7), true, soon()).await);
    assert!(nobody.contains("no replica at node 7"), "{nobody}");
}
