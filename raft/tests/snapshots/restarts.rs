//! What a crash can leave of a snapshot.

use std::fs;
use std::path::Path;

use raft::node::Node;

use crate::cluster::{Cluster, GROUP, lease, read_all, soon};

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_whatever_was_left_of_a_snapshot_in_the_making() {
    let mut cluster = Cluster::start(1, 16 << 10).await;
    let topic = cluster.topic(1, "orders").await;
    let consumer = cluster.consumer(1, "workers").await;
    cluster.send(1, &topic, 0..60).await;
    let built = cluster.until("a snapshot", 1, GROUP, |replica| replica.snapshot_index > 0).await;
    cluster.stop(1).await;

    let group = cluster.group_dir(1, GROUP);
    let snapshots = group.join("snapshot");
    // Killed while the checkpoint was made; while it was described; while the one before it was removed.
    fs::create_dir_all(snapshots.join("unfinished-0/tables")).expect("made");
    fs::create_dir_all(snapshots.join("unfinished-1/tables")).expect("made");
    fs::write(snapshots.join("unfinished-1/tables/000007.sst"), b"half of it").expect("written");
    fs::write(snapshots.join("unfinished-1/meta"), b"LM").expect("written");
    fs::create_dir_all(snapshots.join("00000000000000000001/tables")).expect("made");
    // Killed while tables were made of a snapshot.
    fs::create_dir_all(group.join("tables.unfinished")).expect("made");
    fs::write(group.join("tables.unfinished/CURRENT"), b"MANIF").expect("written");

    cluster.start_node(1).await;
    cluster.node(1).ready(soon()).await.expect("it leads");
    let replica = cluster.until("the snapshot again", 1, GROUP, |replica| replica.snapshot_index > 0).await;
    assert!(replica.snapshot_index >= built.snapshot_index, "found again: {replica:?}");
    assert_eq!(names(&snapshots).len(), 1, "only the latest one is kept: {:?}", names(&snapshots));
    assert!(!group.join("tables.unfinished").exists());
    read_all(cluster.node(1), &topic, &consumer, 0..60).await;
    cluster.send(1, &topic, 60..80).await;
    assert_eq!(lease(cluster.node(1), &topic, &consumer, 32, 5_000).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_snapshot_was_lost_makes_another_one() {
    let mut cluster = Cluster::start(1, 16 << 10).await;
    let topic = cluster.topic(1, "orders").await;
    cluster.send_until_purged(1, &topic).await;
    cluster.stop(1).await;
    fs::remove_dir_all(cluster.group_dir(1, GROUP).join("snapshot")).expect("removed");
    cluster.start_node(1).await;
    let replica = cluster.until("a snapshot", 1, GROUP, |replica| replica.snapshot_index > 0).await;
    assert!(replica.snapshot_index + 1 >= replica.first_index, "no hole behind it: {replica:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_tables_that_were_lost_come_back_from_the_snapshot_or_the_node_does_not_start() {
    let mut cluster = Cluster::start(1, 16 << 10).await;
    let topic = cluster.topic(1, "orders").await;
    let consumer = cluster.consumer(1, "workers").await;
    let sent = cluster.send_until_purged(1, &topic).await;
    cluster.stop(1).await;
    let group = cluster.group_dir(1, GROUP);
    fs::remove_dir_all(group.join("tables")).expect("removed");
    cluster.start_node(1).await;
    cluster.node(1).ready(soon()).await.expect("it leads");
    read_all(cluster.node(1), &topic, &consumer, 0..sent).await;
    cluster.stop(1).await;

    for name in names(&group).iter().filter(|name| *name != "log") {
        fs::remove_dir_all(group.join(name)).expect("removed");
    }
    let refused = Node::start(cluster.options(1)).await.err().expect("refused").to_string();
    assert!(refused.contains("the tables are lost"), "{refused}");
}
