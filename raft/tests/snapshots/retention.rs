//! Retention in a cluster: what is old goes from every disk, and what is pending stays.

use std::path::PathBuf;
use std::time::Duration;

use raft::catalog::{ConsumerGroup, Topic};
use raft::names::{GroupId, QueueKey, TopicId};
use raft::node::Tuning;
use raft::request::{Delivered, Filter, QueueState, Receive};
use raft::settings::TopicSettings;
use store::commit_log::Inspection;
use store::disk::RealDisk;
use store::record::MessageRecord;
use tokio::time::Instant;

use crate::cluster::{Cluster, GROUP, body, lease, read_all, soon};

const LOOK_EVERY: Duration = Duration::from_millis(50);

pub fn eager(tuning: &mut Tuning) {
    tuning.snapshot_log_bytes = 64 << 10;
    tuning.retention.look_every = Duration::from_millis(200);
}

fn first_segment(cluster: &Cluster, id: u64) -> PathBuf {
    cluster.group_dir(id, GROUP).join("log").join("00000000000000000000.log")
}

/// Waits until the first segment is gone from the disks of these nodes.
pub async fn until_deleted(cluster: &Cluster, ids: std::ops::RangeInclusive<u64>) {
    let deadline = soon();
    for id in ids {
        while first_segment(cluster, id).exists() {
            assert!(Instant::now() < deadline, "node {id} keeps its first segment");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn state(cluster: &Cluster, id: u64, topic: &Topic, consumer: &ConsumerGroup) -> QueueState {
    let states = cluster.node(id).places(topic, Some(consumer.id), soon()).await;
    states.expect("the states")[0].state
}

/// Lets go of a topic's messages that are there now.
pub async fn let_go(cluster: &Cluster, topic: &Topic) {
    let settings = TopicSettings { retention_ms: Some(1), ..TopicSettings::default() };
    cluster.node(1).update_topic(&topic.name, None, None, settings, soon()).await.expect("changed");
    let deadline = soon();
    loop {
        let states = cluster.node(1).places(topic, None, soon()).await.expect("the states");
        if states[0].state.first == states[0].state.end {
            break;
        }
        assert!(Instant::now() < deadline, "{states:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let settings = TopicSettings { retention_ms: Some(0), ..TopicSettings::default() };
    cluster.node(1).update_topic(&topic.name, None, None, settings, soon()).await.expect("changed");
}

pub fn number_of(delivered: &Delivered) -> u64 {
    let record = MessageRecord::decode(&delivered.record).expect("a record");
    let number = record.message_id[1..].parse().expect("a number");
    assert_eq!(record.body, body(number), "the body of message {number}");
    number
}

async fn dead_letters(
    cluster: &Cluster,
    id: u64,
    topic: TopicId,
    reader: &ConsumerGroup,
    attempt: u64,
) -> Vec<Delivered> {
    let receive = Receive {
        consumer: reader.id,
        topic,
        group: GROUP,
        queues: vec![0],
        max: 32,
        invisible_ms: 600_000,
        fifo: false,
        auto_renew: false,
        client: 7,
        attempt,
        filter: Filter::All,
        in_flight_max: None,
        rules: Default::default(),
        lite: None,
        max_attempts: 16,
        start: reader.start,
        dead_letters: QueueKey { topic: reader.dead_letters, number: 0 },
    };
    cluster.node(id).receive(receive, Instant::now(), soon()).await.expect("a batch")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pending_survives_the_deletion_of_its_segment() {
    let mut cluster = Cluster::start_with(3, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let (workers, lagging) = (cluster.consumer(1, "workers").await, cluster.consumer(1, "lagging").await);
    let undertaker = cluster.consumer(1, "undertaker").await;
    cluster.send(1, &topic, 0..20).await;
    let leased = lease(cluster.node(1), &topic, &workers, 5, 1).await;
    assert_eq!(leased.iter().map(number_of).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let dead = QueueKey { topic: workers.dead_letters, number: 0 };
    cluster.node(1).dead_letter(leased[1].receipt, dead, soon()).await.expect("buried");
    assert_eq!(lease(cluster.node(1), &topic, &lagging, 3, 2).await.len(), 3);
    cluster.send(1, &topic, 20..700).await;

    let leader = cluster.leader(GROUP);
    let_go(&cluster, &topic).await;
    until_deleted(&cluster, 1..=3).await;
    // The consumer group that had got 3 of 700 goes on behind the others, and one that had got 5 too.
    let skipped = (1..=3).map(|id| cluster.node(id).messages_skipped()).sum::<u64>();
    assert_eq!(skipped, 697 + 695);
    let after = state(&cluster, leader, &topic, &lagging).await;
    assert_eq!((after.first, after.next, after.settled), (700, 700, 0));

    for id in 1..=3 {
        cluster.stop(id).await;
        let log = cluster.group_dir(id, GROUP).join("log");
        let log = Inspection::open(std::sync::Arc::new(RealDisk), &log).expect("a log that begins later");
        assert!(log.segments[0].base.0 > 0, "{:?}", log.segments[0]);
        assert_eq!(log.check(|_| {}).expect("it is read").damages, []);
        cluster.start_node(id).await;
        cluster.node(id).ready(soon()).await.expect("leaders");
    }
    cluster.same_digest(1, 2, GROUP).await;
    cluster.same_digest(2, 3, GROUP).await;

    // A lease from before is as good as ever, and what is given back comes again, body and all.
    let node = cluster.node(2);
    for settled in node.acknowledge(vec![leased[0].receipt], soon()).await {
        settled.expect("the lease is live");
    }
    for kept in &leased[2..] {
        node.change_lease(kept.receipt, 0, soon()).await.expect("given back");
    }
    let again = lease(node, &topic, &workers, 32, 3).await;
    assert_eq!(again.iter().map(number_of).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(again.iter().all(|delivered| delivered.attempt == 2));
    let buried = dead_letters(&cluster, 3, workers.dead_letters, &undertaker, 4).await;
    assert_eq!(buried.iter().map(number_of).collect::<Vec<_>>(), [1]);
    // New messages go on behind the old offsets.
    cluster.send(1, &topic, 700..720).await;
    let fresh = lease(cluster.node(1), &topic, &workers, 32, 5).await;
    assert_eq!(
        fresh.iter().map(|it| it.receipt.offset.0).collect::<Vec<_>>(),
        (700..720).collect::<Vec<_>>()
    );
    // One whose leader has just gone may have been sent again, behind the others.
    let mut numbers = fresh.iter().map(number_of).collect::<Vec<_>>();
    numbers.sort_unstable();
    assert_eq!(numbers, (700..720).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_keeps_about_its_bytes() {
    let change = |tuning: &mut Tuning| {
        eager(tuning);
        tuning.retention.log_bytes = 2 << 20;
    };
    let cluster = Cluster::start_with(1, change).await;
    let topic = cluster.topic(1, "orders").await;
    let consumer = cluster.consumer(1, "workers").await;
    cluster.send(1, &topic, 0..1500).await;
    until_deleted(&cluster, 1..=1).await;
    let deadline = soon();
    let kept_bytes = || {
        let log = cluster.group_dir(1, GROUP).join("log");
        let segments = Inspection::open(std::sync::Arc::new(RealDisk), &log).expect("a log").segments;
        segments.last().expect("one").end.bytes_since(segments[0].base)
    };
    while kept_bytes() > 4 << 20 {
        assert!(Instant::now() < deadline, "{} bytes are kept", kept_bytes());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let kept = state(&cluster, 1, &topic, &consumer).await;
    assert!((100..1200).contains(&(kept.end - kept.first)), "{kept:?}");
    read_all(cluster.node(1), &topic, &consumer, kept.first..kept.end).await;
    assert_eq!(cluster.leader(GroupId::META), 1);
}

/// Stops a follower, has the others let go of everything that it lacks, and answers who it is.
pub async fn left_behind(cluster: &mut Cluster, topic: &Topic) -> u64 {
    let leader = cluster.leader(GROUP);
    let lagging = (1..=3).find(|id| *id != leader && *id != 1).expect("a follower");
    cluster.send(1, topic, 0..20).await;
    cluster.stop(lagging).await;
    cluster.send(1, topic, 20..700).await;
    let_go(cluster, topic).await;
    for id in (1..=3).filter(|id| *id != lagging) {
        until_deleted(cluster, id..=id).await;
    }
    cluster.send(1, topic, 700..720).await;
    lagging
}

pub async fn has_caught_up(cluster: &Cluster, id: u64, topic: &Topic) {
    let leader = cluster.leader(GROUP);
    let target = cluster.replica(leader, leader, GROUP).await.expect("it answers").applied_index;
    cluster.until("the same applied index", id, GROUP, |replica| replica.applied_index >= target).await;
    cluster.same_digest(id, leader, GROUP).await;
    // It can serve: everything that there is, is there.
    let mut live = cluster.node(leader).live_nodes();
    let seen = live.wait_for(|nodes| nodes.iter().any(|info| info.id.0 == id));
    tokio::time::timeout_at(soon(), seen).await.expect("in time").expect("the node runs");
    let to = Some(raft::names::NodeId(id));
    cluster.node(leader).transfer_leader(GROUP, to, soon()).await.expect("handed over");
    let reader = cluster.consumer(id, "reader").await;
    read_all(cluster.node(id), topic, &reader, 700..720).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_log_ends_before_the_others_begin_catches_up() {
    let mut cluster = Cluster::start_with(3, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let lagging = left_behind(&mut cluster, &topic).await;
    cluster.start_node(lagging).await;
    has_caught_up(&cluster, lagging, &topic).await;
    assert!(!cluster.group_dir(lagging, GROUP).join("rebuilding").exists());
    cluster.stop(lagging).await;
    cluster.start_node(lagging).await;
    cluster.node(lagging).ready(soon()).await.expect("leaders");
    cluster.same_digest(lagging, 1, GROUP).await;
    let log = cluster.group_dir(lagging, GROUP).join("log");
    let log = Inspection::open(std::sync::Arc::new(RealDisk), &log).expect("a log with a gap");
    assert!(log.segments.iter().any(|segment| segment.after_reset), "{:?}", log.segments);
    assert_eq!(log.check(|_| {}).expect("it is read").damages, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_its_disk_catches_up_with_logs_that_begin_later() {
    let mut cluster = Cluster::start_with(3, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let lagging = left_behind(&mut cluster, &topic).await;
    let groups = cluster.group_dir(lagging, GROUP).parent().expect("groups").to_owned();
    std::fs::remove_dir_all(groups).expect("removed");
    cluster.start_node(lagging).await;
    has_caught_up(&cluster, lagging, &topic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_crashed_while_it_was_rebuilt_begins_again() {
    let mut cluster = Cluster::start_with(3, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let lagging = left_behind(&mut cluster, &topic).await;
    let dir = cluster.group_dir(lagging, GROUP);
    let ballot = || Inspection::open(std::sync::Arc::new(RealDisk), &dir.join("log")).expect("a log").ballot;
    let before = ballot().expect("it has voted");
    // As a crash leaves it, when the log has gone on behind the gap and the snapshot is not installed.
    std::fs::write(dir.join("rebuilding"), "").expect("written");
    let identity =
        store::commit_log::LogIdentity { cluster: "test".to_owned(), node: lagging, group: GROUP.0 };
    let options =
        store::commit_log::LogOptions { segment_bytes: 1 << 20, ..store::commit_log::LogOptions::default() };
    let log = store::commit_log::CommitLog::open(
        std::sync::Arc::new(RealDisk),
        &dir.join("log"),
        identity,
        options,
    )
    .expect("the log");
    let (done, waits) = std::sync::mpsc::channel();
    let behind = store::commit_log::LogMark { term: 1, leader: 1, index: 500 };
    let at = store::position::LogPosition(1 << 30);
    log.reset_to(behind, at, Box::new(move |result| done.send(result).expect("it is awaited")));
    waits.recv().expect("answered").expect("it goes on behind the gap");
    log.close();

    cluster.start_node(lagging).await;
    let after = ballot().expect("it remembers its vote");
    assert!((after.term, after.node) >= (before.term, before.node), "{after:?} after {before:?}");
    has_caught_up(&cluster, lagging, &topic).await;
    assert!(!dir.join("rebuilding").exists());
}

/// The logs and tables of a node that is empty take about 12 MiB: what RocksDB reserves ahead is most of it.
const QUOTA_BYTES: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_messages_until_the_oldest_are_gone() {
    let change = |tuning: &mut Tuning| {
        eager(tuning);
        (tuning.disk.quota_bytes, tuning.disk.spare_bytes) = (QUOTA_BYTES, QUOTA_BYTES);
        tuning.disk.look_every = Duration::from_millis(50);
        // Filled faster than it is cleaned: what is refused is seen for sure.
        (tuning.disk.warn_percent, tuning.disk.clean_percent, tuning.disk.refuse_percent) = (40, 50, 60);
    };
    let cluster = Cluster::start_with(1, change).await;
    let topic = cluster.topic(1, "orders").await;
    let consumer = cluster.consumer(1, "workers").await;
    cluster.send(1, &topic, 0..20).await;
    let leased = lease(cluster.node(1), &topic, &consumer, 5, 1).await;
    assert_eq!(leased.len(), 5);
    let node = cluster.node(1);
    let (mut number, mut refused) = (20, None);
    while refused.is_none() {
        assert!(number < 100_000, "never refused: {:?}", node.disk());
        let batch = (number..number + 50).map(|number| crate::cluster::message(&topic, number)).collect();
        refused = node.publish(batch, soon()).await.into_iter().find_map(Result::err);
        number += 50;
    }
    let refused = refused.expect("refused").to_string();
    assert!(refused.contains("the disk of node 1 is") && refused.contains("% full"), "{refused}");
    // Consumers go on: what they have is settled, and comes.
    let settled = node.acknowledge(vec![leased[0].receipt], soon()).await;
    settled[0].as_ref().expect("the lease is live");
    let more = lease(node, &topic, &consumer, 5, 2).await;
    assert_eq!(more.len(), 5);
    more.iter().for_each(|delivered| _ = number_of(delivered));

    // It recovers by itself: the oldest messages go, and messages are taken again.
    let deadline = soon();
    loop {
        let batch = vec![crate::cluster::message(&topic, number)];
        match &node.publish(batch, soon()).await[0] {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < deadline, "{error}, {:?}", node.disk()),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let deadline = soon();
    while node.disk().level > raft::node::DiskLevel::Warn {
        assert!(Instant::now() < deadline, "{:?}", node.disk());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert!(state(&cluster, 1, &topic, &consumer).await.first > 0, "the oldest messages are gone");
    // What was leased is not.
    for kept in &leased[1..] {
        node.change_lease(kept.receipt, 0, soon()).await.expect("given back");
    }
    let again = lease(node, &topic, &consumer, 4, 3).await;
    assert_eq!(again.iter().map(number_of).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_keeps_about_its_bytes() {
    let cluster = Cluster::start_with(1, eager).await;
    let (topic, other) = (cluster.topic(1, "orders").await, cluster.topic(1, "other").await);
    let consumer = cluster.consumer(1, "workers").await;
    let settings = TopicSettings { retention_bytes: Some(400 << 10), ..TopicSettings::default() };
    cluster.node(1).update_topic("orders", None, None, settings, soon()).await.expect("changed");
    cluster.send(1, &other, 1000..1010).await;
    for from in [0, 300] {
        cluster.send(1, &topic, from..from + 300).await;
        let deadline = soon();
        // A record is a little longer than its body of 4 KiB.
        let mut kept = state(&cluster, 1, &topic, &consumer).await;
        while kept.end - kept.first > 100 {
            assert!(Instant::now() < deadline, "{kept:?}");
            tokio::time::sleep(LOOK_EVERY).await;
            kept = state(&cluster, 1, &topic, &consumer).await;
        }
        assert!(kept.end - kept.first >= 85, "{kept:?}");
        assert_eq!(kept.end, from + 300);
    }
    assert_eq!(state(&cluster, 1, &other, &consumer).await.first, 0, "the others keep theirs");
}
