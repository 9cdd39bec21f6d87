//! Nodes that have no ids: they found a cluster, join one, lose their data and come back, and go for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use raft::catalog::{ConsumerGroup, NodeInfo, StartFrom, Topic, TopicType};
use raft::features::FeatureLevel;
use raft::names::{GroupId, NodeId};
use raft::node::{ClusterStatus, DiskMarks, Node, NodeOptions, Tuning};
use raft::request::{NewConsumer, NewTopic};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::cluster::{drain, message, soon};
use crate::own_address::members;

/// Nodes by their names, `a` to `f`; the first three are the seeds.
struct Crowd {
    dir: TempDir,
    places: Vec<NodeInfo>,
}

impl Crowd {
    fn new() -> Crowd {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        Crowd { dir: tempfile::tempdir().expect("a directory"), places: members(6) }
    }

    fn options(&self, place: usize) -> NodeOptions {
        let at = &self.places[place];
        let name = ["a", "b", "c", "d", "e", "f"][place];
        NodeOptions {
            cluster: "test".to_owned(),
            id: NodeId(0),
            members: vec![NodeInfo { id: NodeId(0), name: name.to_owned(), ..at.clone() }],
            seeds: self.places[..3].iter().map(|info| info.peer.clone()).collect(),
            peer_bind: at.peer.parse().expect("an address"),
            data: self.dir.path().join(name),
            broker_groups: 1,
            tuning: Tuning { segment_bytes: 8 << 20, disk: DiskMarks::never(), ..Tuning::default() },
            transaction_checks: Default::default(),
            reads_up_to: FeatureLevel::NEWEST,
            tls: Default::default(),
        }
    }

    async fn start(&self, place: usize) -> Node {
        Node::start(self.options(place)).await.expect("the node starts")
    }

    /// The three seeds, started at once.
    async fn found(&self) -> Vec<Node> {
        let nodes = join_all((0..3).map(|place| self.start(place))).await;
        for node in &nodes {
            node.ready(soon()).await.expect("a leader for each group");
        }
        nodes
    }

    fn forget(&self, place: usize) {
        std::fs::remove_dir_all(self.options(place).data).expect("its data");
    }
}

async fn topic(node: &Node) -> (Topic, ConsumerGroup) {
    let topic = NewTopic {
        name: "orders".into(),
        kind: TopicType::Fifo,
        queues: 1,
        if_not_exists: true,
        settings: Default::default(),
    };
    let consumer = NewConsumer {
        name: "workers".into(),
        fifo: true,
        max_attempts: 16,
        start: StartFrom::First,
        if_not_exists: true,
        settings: Default::default(),
    };
    let topic = node.create_topic(topic, soon()).await.expect("the topic is made");
    (topic, node.create_consumer(consumer, soon()).await.expect("the consumer group is made"))
}

/// Sends until it is told to end: the ids, in order. No error may come.
struct Load {
    ended: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Load {
    fn start(node: &Node, topic: &Topic) -> Load {
        let ended = Arc::new(AtomicBool::new(false));
        let (node, topic, ended_) = (node.clone(), topic.clone(), ended.clone());
        let task = tokio::spawn(async move {
            let mut ids = Vec::new();
            while !ended_.load(Ordering::Relaxed) {
                let id = format!("m{}", ids.len());
                let sent = node.publish(vec![message(&topic, 0, &id, Some("g"))], soon()).await;
                sent[0].clone().expect("no error reaches the sender");
                ids.push(id);
            }
            ids
        });
        Load { ended, task }
    }

    async fn end(self) -> Vec<String> {
        self.ended.store(true, Ordering::Relaxed);
        self.task.await.expect("no panic")
    }
}

fn voters(status: &ClusterStatus) -> Vec<(GroupId, Vec<u64>)> {
    let of = |group: &raft::node::GroupStatus| {
        let mut voters: Vec<u64> = group.voters.iter().map(|id| id.0).collect();
        voters.sort_unstable();
        (group.group, voters)
    };
    status.groups.iter().map(of).collect()
}

/// Waits until the nodes have settled and every group has these voters.
async fn settled(nodes: &[&Node], wanted: &[u64]) {
    let deadline = soon();
    loop {
        let status = nodes[0].status().await;
        let voters = voters(&status);
        let done = nodes.iter().all(|node| node.has_settled());
        if done && voters.iter().all(|(_, voters)| voters == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{done} {voters:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stop(node: Node) {
    node.drain(soon()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_found_a_cluster_and_others_join_it_under_load() {
    let crowd = Crowd::new();
    let nodes = crowd.found().await;
    let ids: Vec<u64> = nodes.iter().map(|node| node.id().0).collect();
    assert_eq!(ids, [1, 2, 3], "all number the seeds alike");
    let (topic, consumer) = topic(&nodes[0]).await;
    let load = Load::start(&nodes[1], &topic);

    let fourth = crowd.start(3).await;
    assert_eq!(fourth.id(), NodeId(4));
    // A fourth vote bears no more failures.
    settled(&[&nodes[0], &fourth], &[1, 2, 3]).await;
    let fifth = crowd.start(4).await;
    assert_eq!(fifth.id(), NodeId(5));
    settled(&[&nodes[0], &fourth, &fifth], &[1, 2, 3, 4, 5]).await;
    assert_eq!(nodes[0].live_nodes().borrow().len(), 5);

    // Two of five may go now, the leader among them.
    let mut nodes = nodes;
    stop(nodes.remove(0)).await;
    stop(nodes.remove(1)).await;
    let sent = load.end().await;
    assert!(sent.len() > 10, "{} messages are no load", sent.len());
    let ids = drain(&fifth, &topic, &consumer, sent.len()).await;
    assert_eq!(ids, sent, "order within the message group holds");

    // Who was there comes back as who it was, also when nobody else runs.
    let again = crowd.start(0).await;
    assert_eq!(again.id(), NodeId(1));
    for node in [again, fourth, fifth].into_iter().chain(nodes) {
        stop(node).await;
    }
    let alone = crowd.start(4).await;
    assert_eq!((alone.id(), alone.members().len()), (NodeId(5), 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_its_data_takes_its_own_place_under_another_id() {
    let crowd = Crowd::new();
    let mut nodes = crowd.found().await;
    let (topic, consumer) = topic(&nodes[0]).await;
    let load = Load::start(&nodes[0], &topic);
    stop(nodes.pop().expect("three")).await;
    crowd.forget(2);
    let back = crowd.start(2).await;
    assert_eq!(back.id(), NodeId(4), "an id was given out twice");
    settled(&[&nodes[0], &back], &[1, 2, 4]).await;
    let deadline = soon();
    while nodes[0].members().iter().any(|info| info.id == NodeId(3)) {
        let catalog = nodes[0].catalog();
        let told = (&catalog.removed_nodes, catalog.nodes.keys().collect::<Vec<_>>());
        assert!(
            Instant::now() < deadline,
            "the old node stays in the cluster: {told:?}, {:?}",
            nodes[0].members()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sent = load.end().await;
    // It counts: with it and one other node everything is there.
    stop(nodes.remove(0)).await;
    let ids = drain(&back, &topic, &consumer, sent.len()).await;
    assert_eq!(ids, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_ends_and_can_only_come_back_as_another_node() {
    let crowd = Crowd::new();
    let nodes = crowd.found().await;
    let (topic, _) = topic(&nodes[0]).await;
    let load = Load::start(&nodes[0], &topic);
    let third = nodes[2].clone();
    while !nodes[1].remove_node(NodeId(3), soon()).await.expect("no refusal").done {}
    assert!(nodes[1].remove_node(NodeId(3), soon()).await.expect("again").done, "a repetition is no error");
    let told = tokio::time::timeout_at(soon(), third.failed()).await.expect("it ends");
    assert!(told.contains("the cluster removed this node"), "{told}");
    settled(&[&nodes[0]], &[1, 2]).await;
    stop(third).await;
    load.end().await;

    let mut nodes = nodes;
    drop(nodes.pop());
    let back = crowd.start(2).await;
    assert_eq!(back.id(), NodeId(4));
    settled(&[&nodes[0], &back], &[1, 2, 4]).await;
    assert!(!crowd.options(2).data.join("former").exists(), "what it had before is kept for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_groups_come_to_a_running_cluster() {
    let crowd = Crowd::new();
    let nodes = crowd.found().await;
    let (topic, consumer) = topic(&nodes[0]).await;
    let load = Load::start(&nodes[0], &topic);
    let new = nodes[2].add_groups(2, None, soon()).await.expect("no refusal");
    assert_eq!(new, [GroupId(2), GroupId(3)]);
    let wide = NewTopic {
        name: "wide".into(),
        kind: TopicType::Normal,
        queues: 6,
        if_not_exists: false,
        settings: Default::default(),
    };
    let wide = nodes[1].create_topic(wide, soon()).await.expect("the topic is made");
    assert_eq!(wide.groups(), [GroupId(1), GroupId(2), GroupId(3)]);
    for number in 0..6 {
        let sent = nodes[0].publish(vec![message(&wide, number, &format!("w{number}"), None)], soon()).await;
        sent[0].clone().expect("every group takes messages");
    }
    let came = drain(&nodes[2], &wide, &consumer, 6).await;
    assert_eq!(came.len(), 6);
    // Who joins gets them too, and who starts again has them.
    let fourth = crowd.start(3).await;
    settled(&[&nodes[0], &fourth], &[1, 2, 3]).await;
    assert_eq!(fourth.groups().len(), 4);
    stop(fourth).await;
    let fourth = crowd.start(3).await;
    assert_eq!((fourth.id(), fourth.groups().len()), (NodeId(4), 4));
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_becomes_three() {
    let crowd = Crowd::new();
    let seed = |place| {
        let seeds = crowd.options(0).seeds[..1].to_vec();
        NodeOptions { seeds, ..crowd.options(place) }
    };
    let first = Node::start(seed(0)).await.expect("it founds alone");
    first.ready(soon()).await.expect("it leads");
    let (topic, consumer) = topic(&first).await;
    let load = Load::start(&first, &topic);
    let second = Node::start(seed(1)).await.expect("it joins");
    settled(&[&first, &second], &[1]).await;
    let third = Node::start(seed(2)).await.expect("it joins");
    settled(&[&first, &second, &third], &[1, 2, 3]).await;
    let sent = load.end().await;
    stop(first).await;
    assert_eq!(drain(&third, &topic, &consumer, sent.len()).await, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namesake_that_runs_and_a_stranger_are_told_so() {
    let crowd = Crowd::new();
    let _nodes = crowd.found().await;
    let mut namesake = crowd.options(3);
    namesake.members[0].name = "a".into();
    let waits = tokio::time::timeout(Duration::from_secs(2), Node::start(namesake)).await;
    assert!(waits.is_err(), "two nodes have one name");
    let stranger = NodeOptions { cluster: "other".into(), ..crowd.options(4) };
    let waits = tokio::time::timeout(Duration::from_secs(2), Node::start(stranger)).await;
    assert!(waits.is_err(), "a node of another cluster came in");
    // Neither was given an id.
    let guest = crowd.start(5).await;
    assert_eq!(guest.id(), NodeId(4));
}
