//! A replica that lags behind what the others can still send from their logs.

use raft::names::{GroupId, NodeId};
use tokio::time::Instant;

use crate::cluster::{Cluster, GROUP, lease, message, read_all, soon};

const SNAPSHOT_LOG_BYTES: u64 = 64 << 10;

/// Whether the tables of a replica came from a snapshot of another one.
fn has_installed(cluster: &Cluster, id: u64, group: GroupId) -> bool {
    let names = std::fs::read_dir(cluster.group_dir(id, group)).expect("the group's directory");
    let mut names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    names.any(|name| name.starts_with("tables-"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_a_replica_behind_the_purged_log_catches_up_by_snapshot_and_can_lead() {
    let mut cluster = Cluster::start(3, SNAPSHOT_LOG_BYTES).await;
    let topic = cluster.topic(1, "orders").await;
    let consumer = cluster.consumer(1, "workers").await;
    cluster.send(1, &topic, 0..20).await;
    let leased = lease(cluster.node(1), &topic, &consumer, 5, 1).await;
    assert_eq!(leased.len(), 5);

    let leader = cluster.leader(GROUP);
    let lagging = (1..=3).find(|id| *id != leader).expect("a follower");
    let other = (1..=3).find(|id| *id != leader && *id != lagging).expect("another one");
    let before = cluster.replica(lagging, lagging, GROUP).await.expect("it answers");
    cluster.stop(lagging).await;
    cluster.send(leader, &topic, 20..420).await;
    for id in [leader, other] {
        let replica = cluster
            .until("a purge beyond what is lacking", id, GROUP, |replica| {
                replica.first_index > before.last_index + 1
            })
            .await;
        assert!(replica.first_index <= replica.snapshot_index, "nothing above the snapshot: {replica:?}");
        assert!(replica.snapshot_index <= replica.applied_index, "nothing unapplied: {replica:?}");
    }

    cluster.start_node(lagging).await;
    let target = cluster.replica(leader, leader, GROUP).await.expect("it answers").applied_index;
    cluster.until("the same applied index", lagging, GROUP, |replica| replica.applied_index >= target).await;
    assert!(has_installed(&cluster, lagging, GROUP), "the log alone cannot have brought it there");
    cluster.same_digest(lagging, leader, GROUP).await;

    // Whatever it got, it survives a restart.
    cluster.stop(lagging).await;
    cluster.start_node(lagging).await;
    cluster.same_digest(lagging, leader, GROUP).await;

    let mut live = cluster.node(leader).live_nodes();
    let seen = live.wait_for(|nodes| nodes.iter().any(|info| info.id == NodeId(lagging)));
    tokio::time::timeout_at(soon(), seen).await.expect("in time").expect("the node runs");
    cluster.node(leader).transfer_leader(GROUP, Some(NodeId(lagging)), soon()).await.expect("handed over");
    let node = cluster.node(lagging);
    let again = node.publish(vec![message(&topic, 7), message(&topic, 300)], soon()).await;
    for published in again {
        assert!(published.expect("answered").duplicate, "the window of ids came with the snapshot");
    }
    read_all(node, &topic, &consumer, 5..420).await;
    let receipts = leased.iter().map(|delivered| delivered.receipt).collect();
    for settled in node.acknowledge(receipts, soon()).await {
        settled.expect("a lease from before is as good as ever");
    }
    assert!(lease(node, &topic, &consumer, 32, 9_999).await.is_empty(), "nothing is delivered twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_comes_with_a_snapshot_of_meta() {
    let mut cluster = Cluster::start(3, 4 << 10).await;
    let leader = cluster.leader(GroupId::META);
    let lagging = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.stop(lagging).await;
    // It has no more than that.
    let held = cluster.replica(leader, leader, GroupId::META).await.expect("it answers").last_index;
    let (mut made, deadline) = (0, soon());
    // A log is purged when it goes on behind a snapshot. Of both: either may lead when the third one is back.
    loop {
        cluster.topic(leader, &format!("topic-{made}")).await;
        made += 1;
        let mut purged = true;
        for id in (1..=3).filter(|id| *id != lagging) {
            let replica = cluster.replica(id, id, GroupId::META).await.expect("it answers");
            purged &= replica.first_index > held + 1;
        }
        if made >= 60 && purged {
            break;
        }
        assert!(Instant::now() < deadline, "no purge after {made} topics");
    }
    cluster.start_node(lagging).await;
    let mut catalog = cluster.node(lagging).catalog_changes();
    let known =
        catalog.wait_for(|catalog| (0..made).all(|n| catalog.topics.contains_key(&format!("topic-{n}"))));
    tokio::time::timeout_at(soon(), known).await.expect("in time").expect("the node runs");
    assert!(has_installed(&cluster, lagging, GroupId::META), "the log alone cannot have brought it there");
    cluster.same_digest(lagging, leader, GroupId::META).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_a_little_behind_reads_the_log() {
    let mut cluster = Cluster::start(3, 1 << 30).await;
    let topic = cluster.topic(1, "orders").await;
    let leader = cluster.leader(GROUP);
    let lagging = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.stop(lagging).await;
    cluster.send(leader, &topic, 0..50).await;
    cluster.start_node(lagging).await;
    cluster.same_digest(lagging, leader, GROUP).await;
    assert!(!has_installed(&cluster, lagging, GROUP));
}
