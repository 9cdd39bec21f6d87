//! The rules of ARCHITECTURE.md that need a whole node to be seen.

use std::path::Path;
use std::time::Duration;

use raft::catalog::TopicType;
use raft::names::GroupId;
use raft::node::{Node, NodeOptions};
use raft::request::{NewTopic, Rejection, RequestError};
use tokio::time::Instant;

use crate::cluster::{Cluster, drain, id_of, publish, receive, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r5_a_refusal_is_an_answer_and_changes_nothing() {
    let cluster = Cluster::start(1, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let twice = NewTopic {
        name: "orders".to_owned(),
        kind: TopicType::Normal,
        queues: 1,
        if_not_exists: false,
        settings: Default::default(),
    };
    let refused = cluster.any().create_topic(twice, soon()).await;
    assert!(matches!(refused, Err(RequestError::Rejected(Rejection::AlreadyExists { .. }))), "{refused:?}");
    assert_eq!(cluster.any().catalog().topics["orders"], topic);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_is_opened_once() {
    let cluster = Cluster::start(1, 1).await;
    let options = NodeOptions { peer_bind: "127.0.0.1:0".parse().expect("an address"), ..cluster.options(1) };
    let second = Node::start(options).await;
    let refusal = second.err().expect("refused").to_string();
    assert!(refusal.contains("in use by another process"), "{refusal}");
}

/// Publishes to queue 0 and answers with the offset.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_a_log_that_is_shorter_than_its_tables_is_refused() {
    let mut cluster = Cluster::start(1, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    publish(cluster.node(1), &topic, "m0", soon()).await.expect("committed");
    cluster.stop(1).await;
    let group = cluster.dir.path().join("1/groups/g1");
    let (log, older) = (group.join("log"), group.join("older"));
    copy_files(&log, &older);

    cluster.start_node(1).await;
    cluster.node(1).ready(soon()).await.expect("a leader");
    publish(cluster.node(1), &topic, "m1", soon()).await.expect("committed");
    // The tables are flushed when a node stops, so they hold what the older log does not.
    cluster.stop(1).await;
    std::fs::remove_dir_all(&log).expect("it is there");
    std::fs::rename(&older, &log).expect("put back");
    let refusal = Node::start(cluster.options(1)).await.err().expect("refused").to_string();
    assert!(refusal.contains("part of the log is lost") && refusal.contains("g1"), "{refusal}");
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_what_has_no_quorum_is_unknown_or_not_taken_and_may_be_repeated() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    publish(cluster.any(), &topic, "before", soon()).await.expect("committed");
    let leader = cluster.any().leader_of(GroupId(1)).expect("a leader").0;
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    for id in &others {
        cluster.stop(*id).await;
    }
    let soon_over = Instant::now() + Duration::from_millis(300);
    let doubtful = publish(cluster.node(leader), &topic, "doubtful", soon_over).await;
    let honest = matches!(doubtful, Err(RequestError::Unknown { .. } | RequestError::NoLeader { .. }));
    assert!(honest, "without a quorum nothing is acknowledged: {doubtful:?}");
    for id in others {
        cluster.start_node(id).await;
    }
    cluster.any().ready(soon()).await.expect("leaders");
    let repeated = publish(cluster.any(), &topic, "doubtful", soon()).await.expect("committed");
    let again = publish(cluster.any(), &topic, "doubtful", soon()).await.expect("answered");
    assert_eq!((repeated, again), (1, 1), "it is stored once, whatever became of the first attempt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_a_new_leader_serves_nothing_before_it_knows_what_was_acknowledged() {
    let cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let consumer = cluster.consumer("workers", false).await;
    for round in 0..10u64 {
        let id = format!("m{round}");
        publish(cluster.any(), &topic, &id, soon()).await.expect("committed");
        let next = cluster.any().transfer_leader(GroupId(1), None, soon()).await.expect("handed over");
        // It does not wait for messages: what the new leader does not know of, it would not deliver.
        let request = receive(&topic, &consumer, GroupId(1), round + 1);
        let batch = cluster.node(next.0).receive(request, Instant::now(), soon()).await.expect("a batch");
        assert_eq!(batch.iter().map(id_of).collect::<Vec<_>>(), [id], "node {next}");
        let receipts = batch.iter().map(|delivered| delivered.receipt).collect();
        for settled in cluster.any().acknowledge(receipts, soon()).await {
            settled.expect("the lease is live");
        }
    }
}

/// Had the node that lost its disk a voice at once, it and the one that never had the messages would be a majority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_who_lost_its_disk_has_no_voice_until_it_has_everything() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let consumer = cluster.consumer("workers", false).await;
    cluster.stop(3).await;
    let sent: Vec<String> = (0..10).map(|number| format!("m{number}")).collect();
    for id in &sent {
        publish(cluster.node(1), &topic, id, soon()).await.expect("two of three fsynced it");
    }
    for id in [2, 1] {
        cluster.stop(id).await;
    }
    std::fs::remove_dir_all(cluster.options(2).data).expect("its disk is lost");
    cluster.start_node(2).await;
    cluster.start_node(3).await;

    // Longer than several elections take.
    let a_while = Instant::now() + Duration::from_secs(5);
    let lost = publish(cluster.node(3), &topic, "m10", a_while).await;
    assert!(lost.is_err(), "an empty node and one that lags were a quorum: {lost:?}");

    cluster.start_node(1).await;
    cluster.node(3).ready(soon()).await.expect("two that have a voice");
    let mut ids = drain(cluster.node(2), &topic, &consumer, sent.len()).await;
    ids.sort();
    assert_eq!(ids, sent);
    // It has its voice again: with it alone the others can be missed.
    cluster.stop(3).await;
    publish(cluster.node(2), &topic, "after", soon()).await.expect("it counts again");
}
