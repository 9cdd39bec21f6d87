//! Three nodes in one process, over real sockets and real disks.

#[path = "in_process_cluster/sql.rs"]
mod sql;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::{ConsumerGroup, NodeInfo, StartFrom, Topic, TopicType};
use raft::hash::hash64;
use raft::names::{GroupId, NodeId, QueueKey};
use raft::node::{MessageQuery, Node, NodeOptions, Tuning};
use raft::question::{By, Pull};
use raft::request::{
    DeadLettersWanted, Delivered, Extras, Filter, NewConsumer, NewTopic, Publish, Receive, Rejection,
    RequestError, ResendResult, TopicRules,
};
use store::record::MessageRecord;
use tempfile::TempDir;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A port that is free at the moment. Kept below the range from which clients get theirs.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

struct Cluster {
    dir: TempDir,
    members: Vec<NodeInfo>,
    nodes: Vec<Option<Node>>,
    broker_groups: u32,
}

impl Cluster {
    async fn start(size: u64, broker_groups: u32) -> Cluster {
        // `RUST_LOG=debug` shows what the nodes do.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let members = (1..=size)
            .map(|id| NodeInfo {
                id: NodeId(id),
                name: format!("node{id}"),
                grpc: format!("127.0.0.1:{}", free_port()),
                http: String::new(),
                peer: format!("127.0.0.1:{}", free_port()),
            })
            .collect::<Vec<_>>();
        let dir = tempfile::tempdir().expect("a directory");
        let mut cluster = Cluster { dir, members, nodes: vec![None; size as usize], broker_groups };
        for id in 1..=size {
            cluster.start_node(id).await;
        }
        for node in cluster.nodes.iter().flatten() {
            node.ready(soon()).await.expect("a leader for each group");
        }
        cluster
    }

    fn options(&self, id: u64) -> NodeOptions {
        NodeOptions {
            cluster: "test".to_owned(),
            id: NodeId(id),
            members: self.members.clone(),
            peer_bind: self.members[id as usize - 1].peer.parse().expect("an address"),
            data: self.dir.path().join(id.to_string()),
            broker_groups: self.broker_groups,
            tuning: Tuning { segment_bytes: 8 << 20, ..Tuning::default() },
            transaction_checks: Default::default(),
        }
    }

    async fn start_node(&mut self, id: u64) {
        self.nodes[id as usize - 1] = Some(Node::start(self.options(id)).await.expect("the node starts"));
    }

    fn node(&self, id: u64) -> &Node {
        self.nodes[id as usize - 1].as_ref().expect("the node runs")
    }

    fn any(&self) -> &Node {
        self.nodes.iter().flatten().next().expect("a node runs")
    }

    async fn stop(&mut self, id: u64) {
        let node = self.nodes[id as usize - 1].take().expect("the node runs");
        node.drain(soon()).await;
    }

    async fn topic(&self, name: &str, kind: TopicType, queues: u32) -> Topic {
        let topic = NewTopic {
            name: name.to_owned(),
            kind,
            queues,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.any().create_topic(topic, soon()).await.expect("the topic is made")
    }

    async fn consumer(&self, name: &str, fifo: bool) -> ConsumerGroup {
        let consumer = NewConsumer {
            name: name.to_owned(),
            fifo,
            max_attempts: 16,
            start: StartFrom::First,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.any().create_consumer(consumer, soon()).await.expect("the consumer group is made")
    }
}

fn message(topic: &Topic, number: u32, id: &str, order: Option<&str>) -> Publish {
    let record = MessageRecord {
        topic: topic.name.clone(),
        message_id: id.to_owned(),
        message_group: order.map(str::to_owned),
        body: Bytes::from(format!("body of {id}")),
        ..MessageRecord::default()
    };
    Publish {
        queue: QueueKey { topic: topic.id, number },
        group: topic.queues[number as usize],
        dedup: (u128::from(hash64(id.as_bytes())) << 64) | u128::from(hash64(id.to_uppercase().as_bytes())),
        tag_hash: 0,
        order_hash: order.map_or(0, |order| hash64(order.as_bytes())),
        extras: Extras::default(),
        record: record.encode(),
    }
}

fn receive(topic: &Topic, consumer: &ConsumerGroup, group: GroupId, attempt: u64) -> Receive {
    Receive {
        consumer: consumer.id,
        topic: topic.id,
        group,
        queues: topic.queues_of(group).map(|queue| queue.number).collect(),
        max: 32,
        invisible_ms: 30_000,
        fifo: consumer.fifo,
        auto_renew: false,
        client: 7,
        attempt,
        filter: Filter::All,
        max_attempts: consumer.max_attempts,
        start: consumer.start,
        dead_letters: QueueKey { topic: consumer.dead_letters, number: group.0 - 1 },
        in_flight_max: None,
        rules: TopicRules::default(),
        lite: None,
    }
}

fn id_of(delivered: &Delivered) -> String {
    MessageRecord::decode(&delivered.record).expect("a record").message_id
}

/// Receives and settles until `count` messages have come.
async fn drain(node: &Node, topic: &Topic, consumer: &ConsumerGroup, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let deadline = soon();
    let mut attempt = 1;
    while ids.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} messages came", ids.len());
        for group in topic.groups() {
            attempt += 1;
            let request = receive(topic, consumer, group, attempt);
            let wait = Instant::now() + Duration::from_millis(50);
            let batch = node.receive(request, wait, deadline).await.expect("a batch");
            ids.extend(batch.iter().map(id_of));
            let receipts = batch.iter().map(|delivered| delivered.receipt).collect();
            for settled in node.acknowledge(receipts, deadline).await {
                settled.expect("the lease is live");
            }
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_back_on_any_node_and_a_retry_is_stored_once() {
    let cluster = Cluster::start(3, 2).await;
    let topic = cluster.topic("orders", TopicType::Normal, 4).await;
    let consumer = cluster.consumer("workers", false).await;
    assert_eq!(topic.groups(), vec![GroupId(1), GroupId(2)], "queues are spread over the groups");

    let first = cluster.node(1).publish(vec![message(&topic, 0, "a", None)], soon()).await;
    let again = cluster.node(2).publish(vec![message(&topic, 0, "a", None)], soon()).await;
    let (first, again) = (first[0].clone().unwrap(), again[0].clone().unwrap());
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.queue, first.place), (again.queue, again.place));

    let batch = (1..4).map(|number| message(&topic, number, &format!("b{number}"), None)).collect();
    for published in cluster.node(3).publish(batch, soon()).await {
        published.expect("committed");
    }
    let mut ids = drain(cluster.node(3), &topic, &consumer, 4).await;
    ids.sort();
    assert_eq!(ids, ["a", "b1", "b2", "b3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_waits_is_woken_by_the_commit() {
    let cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let consumer = cluster.consumer("workers", false).await;
    let waiting: Vec<_> = (1..=3u64)
        .map(|id| {
            let node = cluster.node(id).clone();
            let request = receive(&topic, &consumer, GroupId(1), 100 + id);
            tokio::spawn(async move { node.receive(request, soon(), soon()).await })
        })
        .collect();
    let sends = (0..3).map(|i| message(&topic, 0, &format!("m{i}"), None));
    for send in sends {
        cluster.node(2).publish(vec![send], soon()).await[0].clone().expect("committed");
    }
    let mut seen = BTreeSet::new();
    let mut taken = 0;
    for poll in waiting {
        // One poll may take several messages, and then another waits on: three are enough for all.
        if taken == 3 {
            poll.abort();
            continue;
        }
        let batch = poll.await.expect("no panic").expect("a batch");
        taken += batch.len();
        seen.extend(batch.iter().map(id_of));
    }
    assert_eq!(seen.len(), 3, "each message to one poll");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Fifo, 2).await;
    let consumer = cluster.consumer("workers", true).await;
    let mut sent = Vec::new();
    for round in 0..4u64 {
        // The node that came back may not have heard from the leader yet.
        cluster.any().ready(soon()).await.expect("leaders");
        let leader = cluster.any().leader_of(GroupId(1)).expect("a leader");
        let from =
            cluster.nodes.iter().flatten().find(|node| node.id() != leader).expect("a follower").clone();
        let topic_ = topic.clone();
        let sender = tokio::spawn(async move {
            let mut ids = Vec::new();
            for i in 0..25 {
                let id = format!("r{round}m{i}");
                from.publish(vec![message(&topic_, 0, &id, Some("g"))], soon()).await[0]
                    .clone()
                    .expect("no error reaches the sender");
                ids.push(id);
            }
            ids
        });
        match round % 2 {
            0 => {
                cluster.stop(leader.0).await;
                sent.extend(sender.await.expect("no panic"));
                cluster.start_node(leader.0).await;
            }
            _ => {
                let next =
                    cluster.any().transfer_leader(GroupId(1), None, soon()).await.expect("handed over");
                assert_ne!(next, leader);
                sent.extend(sender.await.expect("no panic"));
            }
        }
    }
    let ids = drain(cluster.node(2), &topic, &consumer, sent.len()).await;
    assert_eq!(ids, sent, "order within the message group holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_restart_of_everything() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let consumer = cluster.consumer("workers", false).await;
    for i in 0..10 {
        let sent = cluster.any().publish(vec![message(&topic, 0, &format!("m{i}"), None)], soon()).await;
        sent[0].clone().expect("committed");
    }
    drain(cluster.node(1), &topic, &consumer, 4).await;
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    for id in 1..=3 {
        cluster.start_node(id).await;
    }
    cluster.node(1).ready(soon()).await.expect("leaders");
    let states = cluster.node(1).places(&topic, Some(consumer.id), soon()).await.expect("states");
    assert_eq!(states[0].state.end, 10);
    let again = cluster.any().publish(vec![message(&topic, 0, "m3", None)], soon()).await;
    assert!(again[0].clone().expect("answered").duplicate, "the window of ids survives a restart");
}

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
async fn publish(node: &Node, topic: &Topic, id: &str, deadline: Instant) -> Result<u64, RequestError> {
    let answers = node.publish(vec![message(topic, 0, id, None)], deadline).await;
    answers
        .into_iter()
        .next()
        .expect("an answer for each message")
        .map(|published| published.offset().expect("it is visible at once").0)
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_serves_pulls_of_what_it_has_applied_and_of_nothing_else() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    for i in 0..3 {
        publish(cluster.any(), &topic, &format!("m{i}"), soon()).await.expect("committed");
    }
    let queue = QueueKey { topic: topic.id, number: 0 };
    let pull = |offset, from_replica| Pull {
        queue,
        group: GroupId(1),
        offset,
        max: 32,
        filter: Filter::All,
        from_replica,
    };
    for id in 1..=3 {
        let mut ids = Vec::new();
        while ids.len() < 3 {
            let found =
                cluster.node(id).pull(pull(ids.len() as u64, true), soon(), soon()).await.expect("served");
            ids.extend(
                found
                    .records
                    .iter()
                    .map(|record| MessageRecord::decode(record).expect("a record").message_id),
            );
        }
        assert_eq!(ids, ["m0", "m1", "m2"], "node {id}");
        let led = cluster.node(id).pull(pull(0, false), soon(), soon()).await.expect("the leader answers");
        assert_eq!((led.found.next, led.records.len()), (3, 3), "through node {id}");
    }
    let leader = cluster.any().leader_of(GroupId(1)).expect("a leader").0;
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.stop(id).await;
    }
    let soon_over = Instant::now() + Duration::from_millis(300);
    publish(cluster.node(leader), &topic, "doubtful", soon_over).await.expect_err("no quorum");
    // It is in this node's log, but not committed.
    let soon_over = Instant::now() + Duration::from_millis(200);
    let found = cluster.node(leader).pull(pull(3, true), soon_over, soon()).await.expect("served");
    assert_eq!((found.found.end, found.records.len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_tells_when_it_was_made_is_found_by_the_time_of_storage() {
    let cluster = Cluster::start(1, 2).await;
    let topic = cluster.topic("orders", TopicType::Normal, 4).await;
    for i in 0..40 {
        // The window of ids does not know of them.
        let unknown = Publish { dedup: 0, ..message(&topic, i % 4, &format!("m{i}"), None) };
        cluster.any().publish(vec![unknown], soon()).await[0].clone().expect("committed");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let born_ms = now.as_secs() * 1000 - 2000;
    let query = |id: &str, born_ms| MessageQuery {
        topic: topic.clone(),
        by: By::Id { id: id.to_owned(), dedup: 1, hash: 1, born_ms },
        after: None,
        limit: 10,
        from_replica: false,
    };
    for i in 0..40 {
        let id = format!("m{i}");
        let page = cluster.any().query_messages(query(&id, Some(born_ms)), soon()).await.expect("found");
        assert_eq!((page.messages.len(), page.cut), (1, false), "{id}");
        assert_eq!(page.messages[0].place.queue.number, i % 4);
        assert_eq!(MessageRecord::peek_id(&page.messages[0].record), Some(id.as_str()));
    }
    for (id, born_ms) in [("m3", None), ("m3", Some(born_ms - 3_600_000)), ("m99", Some(born_ms))] {
        let page = cluster.any().query_messages(query(id, born_ms), soon()).await.expect("answered");
        assert_eq!((page.messages.len(), page.cut), (0, false), "{id} {born_ms:?}");
    }
    let at = cluster
        .any()
        .query_messages(query("m3", Some(born_ms)), soon())
        .await
        .expect("found")
        .messages
        .remove(0);
    let frame =
        cluster.any().frame_of(at.group, at.place.position, soon()).await.expect("answered").expect("held");
    assert_eq!((frame.leader, frame.stamp_ms), (1, at.place.stored_ms));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_go_back_once_while_the_leader_leaves() {
    let mut cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 2).await;
    let consumer = cluster.consumer("workers", false).await;
    let sent: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    let messages = sent.iter().enumerate().map(|(at, id)| message(&topic, at as u32 % 2, id, None));
    for published in cluster.node(1).publish(messages.collect(), soon()).await {
        published.expect("committed");
    }
    let graves = QueueKey { topic: consumer.dead_letters, number: 0 };
    let mut buried = 0;
    while buried < sent.len() {
        let request = receive(&topic, &consumer, GroupId(1), 1_000 + buried as u64);
        for delivered in cluster.node(2).receive(request, soon(), soon()).await.expect("a batch") {
            cluster.node(2).dead_letter(delivered.receipt, graves, soon()).await.expect("buried");
            buried += 1;
        }
    }

    let leader = cluster.any().leader_of(GroupId(1)).expect("a leader");
    let from = cluster.nodes.iter().flatten().find(|node| node.id() != leader).expect("a follower").clone();
    let resending = tokio::spawn(async move {
        let mut results = Vec::new();
        for first in (0..200u64).step_by(10) {
            let offsets: Vec<u64> = (first..first + 10).collect();
            // The second time as if the first answer had been lost.
            for _ in 0..2 {
                let resent = from.resend_dead_letters(GroupId(1), graves, &offsets, soon()).await;
                results.extend(resent.expect("no error reaches who sends again"));
            }
        }
        results
    });
    cluster.stop(leader.0).await;
    let results = resending.await.expect("no panic");
    cluster.start_node(leader.0).await;
    let resent = results.iter().filter(|result| matches!(result, ResendResult::Resent { .. })).count();
    let already = results.iter().filter(|result| matches!(result, ResendResult::Already { .. })).count();
    // A command that an election left in doubt is tried again, and then its first answer is "already".
    assert_eq!((resent + already, already >= 200), (400, true), "{resent} resent, {already} already");

    let mut ids = drain(cluster.any(), &topic, &consumer, sent.len()).await;
    ids.sort();
    let mut wanted = sent.clone();
    wanted.sort();
    assert_eq!(ids, wanted, "each once");
    cluster.any().ready(soon()).await.expect("leaders");
    let states = cluster.any().places(&topic, Some(consumer.id), soon()).await.expect("states");
    assert_eq!(states.iter().map(|place| place.state.end).sum::<u64>(), 400, "nothing came twice");
    let wanted =
        DeadLettersWanted { group: GroupId(1), queue: graves, from: 0, max: 1_000, with_records: true };
    let letters = cluster.any().dead_letters(&wanted, soon()).await.expect("dead letters");
    assert_eq!(letters.len(), 200);
    assert!(letters.iter().all(|letter| letter.resent.is_some() && letter.attempts == 1));
}
