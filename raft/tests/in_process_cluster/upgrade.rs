//! Nodes of two versions, which read up to different feature levels.

use std::path::Path;

use raft::catalog::TopicType;
use raft::features::FeatureLevel;
use raft::node::{Node, NodeOptions};
use raft::request::{NewTopic, Rejection, RequestError};

use crate::cluster::{Cluster, PATIENCE, soon};

const OLD: FeatureLevel = FeatureLevel(7);
const NEW: FeatureLevel = FeatureLevel(8);

async fn start(cluster: &mut Cluster, id: u64, reads_up_to: FeatureLevel) {
    let options = NodeOptions { reads_up_to, ..cluster.options(id) };
    cluster.nodes[id as usize - 1] = Some(Node::start(options).await.expect("the node starts"));
}

/// Node 3 is still of the older version.
async fn in_the_middle_of_an_upgrade() -> Cluster {
    let mut cluster = Cluster::of(3, 1);
    for (id, reads_up_to) in [(1, NEW), (2, NEW), (3, OLD)] {
        start(&mut cluster, id, reads_up_to).await;
    }
    for node in cluster.nodes.iter().flatten() {
        node.ready(soon()).await.expect("a leader for each group");
    }
    cluster
}

async fn level_of(node: &Node, wanted: FeatureLevel) {
    let mut catalog = node.catalog_changes();
    let seen = catalog.wait_for(|catalog| catalog.feature_level == wanted);
    let seen = tokio::time::timeout_at(soon(), seen).await.map(|seen| seen.expect("the node runs").version);
    assert!(seen.is_ok(), "the level is {}, not {wanted}", node.catalog().feature_level);
}

fn refusal(result: Result<FeatureLevel, RequestError>) -> String {
    match result {
        Err(RequestError::Rejected(Rejection::Invalid(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_level_is_raised_once_all_nodes_can_read_it() {
    let mut cluster = in_the_middle_of_an_upgrade().await;
    let raised = cluster.node(1).raise_feature_level(None, soon()).await;
    assert_eq!(raised.expect("all can read what the older one reads"), OLD);
    let why = refusal(cluster.node(1).raise_feature_level(Some(NEW), soon()).await);
    assert!(why.starts_with("node 3 ") && why.contains("reads up to feature level 7, not 8"), "{why}");
    cluster.stop(3).await;
    let why = refusal(cluster.node(2).raise_feature_level(None, soon()).await);
    assert!(why.starts_with("node 3 ") && why.contains("does not answer"), "{why}");

    start(&mut cluster, 3, NEW).await;
    cluster.node(3).ready(soon()).await.expect("it is back");
    assert_eq!(cluster.node(3).raise_feature_level(None, soon()).await.expect("all are new"), NEW);
    for id in 1..=3 {
        level_of(cluster.node(id), NEW).await;
    }
    let why = refusal(cluster.node(1).raise_feature_level(Some(OLD), soon()).await);
    assert!(why.contains("does not go back"), "{why}");

    // An older version over newer data.
    cluster.stop(3).await;
    let older = NodeOptions { reads_up_to: OLD, ..cluster.options(3) };
    let Err(error) = Node::start(older).await else { panic!("an older version runs over newer data") };
    assert!(
        error.to_string().contains("the cluster is at feature level 8, and this version knows only 7"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_cluster_is_at_the_newest_level_that_all_can_read() {
    for reads_up_to in [NEW, OLD] {
        let mut cluster = Cluster::of(3, 1);
        for id in [1, 2] {
            start(&mut cluster, id, NEW).await;
        }
        start(&mut cluster, 3, reads_up_to).await;
        for id in 1..=3 {
            cluster.node(id).ready(soon()).await.expect("a leader for each group");
            assert_eq!(cluster.node(id).catalog().feature_level, reads_up_to, "from the first moment on");
        }
    }
}

/// The level was left where it is, so that one can go back to the older version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_without_data_raises_no_level() {
    let mut cluster = in_the_middle_of_an_upgrade().await;
    level_of(cluster.node(1), OLD).await;
    cluster.stop(3).await;
    std::fs::remove_dir_all(cluster.dir.path().join("3")).expect("its data goes");
    start(&mut cluster, 3, NEW).await;
    cluster.node(3).ready(soon()).await.expect("it is back");
    let topic = NewTopic {
        name: "t".to_owned(),
        kind: TopicType::Normal,
        queues: 1,
        if_not_exists: false,
        settings: Default::default(),
    };
    let topic = cluster.node(3).create_topic(topic, soon()).await.expect("it takes part");
    for id in 1..=3 {
        let mut catalog = cluster.node(id).catalog_changes();
        let seen = catalog.wait_for(|catalog| catalog.topics.contains_key(&topic.name));
        let seen = tokio::time::timeout_at(soon(), seen).await.expect("in time").expect("the node runs");
        assert_eq!(seen.feature_level, OLD, "nobody asked for another one");
    }
}

/// Its data of before the level was raised comes back, and the version of then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_that_the_level_was_raised_ends_when_it_hears_of_it() {
    let mut cluster = in_the_middle_of_an_upgrade().await;
    cluster.stop(3).await;
    let (data, kept) = (cluster.dir.path().join("3"), cluster.dir.path().join("kept"));
    copy(&data, &kept);
    start(&mut cluster, 3, NEW).await;
    cluster.node(3).ready(soon()).await.expect("it is back");
    assert_eq!(cluster.node(1).raise_feature_level(None, soon()).await.expect("all are new"), NEW);
    cluster.stop(3).await;
    std::fs::remove_dir_all(&data).expect("the newer data goes");
    std::fs::rename(&kept, &data).expect("the older data is back");

    start(&mut cluster, 3, OLD).await;
    let node = cluster.node(3).clone();
    let why = tokio::time::timeout_at(soon(), node.failed()).await.expect("it ends");
    assert!(why.contains("the cluster is at feature level 8, and this version knows only 7"), "{why}");
    assert!(node.is_outdated());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_version_could_not_read_is_not_written() {
    let mut cluster = Cluster::of(1, 1);
    start(&mut cluster, 1, FeatureLevel::FIRST).await;
    cluster.node(1).ready(soon()).await.expect("a leader for each group");
    let topic = cluster.topic("t", TopicType::Fifo, 1).await;
    let spread = cluster.node(1).spread_topic(&topic.name, PATIENCE, soon()).await;
    let Err(RequestError::Rejected(Rejection::Invalid(why))) = spread else { panic!("{spread:?}") };
    assert!(why.contains("needs feature level 2, and the cluster is at 1"), "{why}");
    cluster.stop(1).await;
    start(&mut cluster, 1, FeatureLevel::NEWEST).await;
    cluster.node(1).ready(soon()).await.expect("a leader for each group");
    cluster.node(1).raise_feature_level(None, soon()).await.expect("it reads all");
    cluster.node(1).spread_topic(&topic.name, PATIENCE, soon()).await.expect("now it may");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("the directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("the file")),
        }
    }
}
