//! What waits (a timer, a half message, a lease, a lite topic) where its part of the log is deleted, every node
//! restarts, or a replica that knew nothing of it gets a snapshot and leads.

use bytes::Bytes;
use raft::catalog::{ConsumerGroup, Topic, TopicType};
use raft::clock;
use raft::names::NodeId;
use raft::request::{
    Delivered, Extras, NewTopic, Place, Publish, Published, Receive, RequestError, Resolution, Timer,
    Transaction,
};
use store::record::MessageRecord;
use tokio::time::Instant;

use crate::cluster::{Cluster, GROUP, PATIENCE, body, lease, message, receive_of, soon};
use crate::retention::{eager, has_caught_up, left_behind, let_go, number_of, until_deleted};

/// The messages, by their number.
const LEASED: u64 = 10_000;
const DUE_SOON: u64 = 10_001;
const DUE_LATE: u64 = 10_002;
const COMMITTED: u64 = 10_003;
const DROPPED: u64 = 10_004;
const LITE: u64 = 10_005;
/// Longer than the deletion of a segment and the restart of three nodes take.
const DUE_SOON_MS: u64 = 15_000;
const DAY_MS: u64 = 86_400_000;

#[derive(Clone)]
pub struct Waiting {
    pub topic: Topic,
    consumer: ConsumerGroup,
    leased: Delivered,
    due_soon_ms: u64,
    due_late: Timer,
    committed: Transaction,
    dropped: Transaction,
}

async fn publish(cluster: &Cluster, topic: &Topic, number: u64, extras: Extras) -> Published {
    let message = Publish { extras, ..message(topic, number) };
    cluster.node(1).publish(vec![message], soon()).await.remove(0).expect("committed")
}

fn waits(published: Published) -> u64 {
    match published.place {
        Place::Waiting(number) => number,
        Place::Queued(offset) => panic!("it is visible at {offset:?}"),
    }
}

impl Waiting {
    pub async fn begin(cluster: &Cluster) -> Waiting {
        let topic = cluster.topic(1, "waiting").await;
        let consumer = cluster.consumer(1, "patient").await;
        publish(cluster, &topic, LEASED, Extras::default()).await;
        let leased = lease(cluster.node(1), &topic, &consumer, 1, 1).await.remove(0);
        // What is leased stays when its queue lets go of it.
        let_go(cluster, &topic).await;
        let now_ms = clock::now_ms();
        let due = |due_ms| Extras { due_ms: Some(due_ms), ..Extras::default() };
        publish(cluster, &topic, DUE_SOON, due(now_ms + DUE_SOON_MS)).await;
        let late = waits(publish(cluster, &topic, DUE_LATE, due(now_ms + DAY_MS)).await);
        let half = || Extras { check_after_ms: Some(DAY_MS), ..Extras::default() };
        let mut halves = Vec::new();
        for number in [COMMITTED, DROPPED] {
            let place = waits(publish(cluster, &topic, number, half()).await);
            let id = message(&topic, number).dedup;
            halves.push(Transaction { group: GROUP, topic: topic.id, number: place, id });
        }
        let id = message(&topic, DUE_LATE).dedup;
        let due_late = Timer { group: GROUP, topic: topic.id, due_ms: now_ms + DAY_MS, number: late, id };
        let due_soon_ms = now_ms + DUE_SOON_MS;
        let [committed, dropped] = halves[..] else { unreachable!("two halves") };
        Waiting { topic, consumer, leased, due_soon_ms, due_late, committed, dropped }
    }

    /// Everything is as it was, at this node, and goes on there.
    pub async fn goes_on(self, cluster: &Cluster, id: u64) {
        let node = cluster.node(id);
        let open = node.transactions(10, soon()).await.expect("answered");
        let bodies: Vec<Bytes> =
            open.iter().map(|half| MessageRecord::decode(&half.record).expect("a record").body).collect();
        assert_eq!(bodies, [body(COMMITTED), body(DROPPED)]);
        for _ in 0..2 {
            let end = node.end_transaction(self.committed, Resolution::Commit, soon()).await;
            assert!(matches!(end, Ok(Some(Published { place: Place::Queued(_), .. }))), "{end:?}");
            let end = node.end_transaction(self.dropped, Resolution::Rollback, soon()).await;
            assert_eq!(end.expect("rolled back"), None);
            node.recall(self.due_late, soon()).await.expect("it waits, or was recalled");
        }
        let other = node.end_transaction(self.dropped, Resolution::Commit, soon()).await;
        assert!(matches!(other, Err(RequestError::Rejected(_))), "{other:?}");
        node.change_lease(self.leased.receipt, 0, soon()).await.expect("the lease is live");

        let deadline = Instant::now() + PATIENCE;
        let (mut found, mut attempt) = (Vec::new(), 100);
        while found.len() < 3 {
            assert!(Instant::now() < deadline, "only {found:?} came");
            attempt += 1;
            for delivered in lease(node, &self.topic, &self.consumer, 8, attempt).await {
                let number = number_of(&delivered);
                assert_eq!(delivered.attempt, if number == LEASED { 2 } else { 1 }, "message {number}");
                assert!(number != DUE_SOON || clock::now_ms() >= self.due_soon_ms, "it is early");
                found.push(number);
            }
        }
        found.sort_unstable();
        assert_eq!(found, [LEASED, DUE_SOON, COMMITTED]);
        assert!(lease(node, &self.topic, &self.consumer, 8, 99).await.is_empty(), "nothing else comes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_the_deletion_of_its_segment_and_a_restart_of_all() {
    let mut cluster = Cluster::start_with(3, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let waiting = Waiting::begin(&cluster).await;
    cluster.send(1, &topic, 0..700).await;
    let_go(&cluster, &topic).await;
    until_deleted(&cluster, 1..=3).await;
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    for id in 1..=3 {
        cluster.start_node(id).await;
    }
    for id in 1..=3 {
        cluster.node(id).ready(soon()).await.expect("leaders");
    }
    waiting.goes_on(&cluster, 2).await;
    cluster.same_digest(1, 2, GROUP).await;
    cluster.same_digest(2, 3, GROUP).await;
}

async fn lite(cluster: &Cluster) -> (Topic, ConsumerGroup) {
    let topic = NewTopic {
        name: "devices".to_owned(),
        kind: TopicType::Lite,
        queues: 1,
        if_not_exists: false,
        settings: Default::default(),
    };
    let topic = cluster.node(1).create_topic(topic, soon()).await.expect("the topic is made");
    publish(cluster, &topic, LITE, Extras { lite_hash: Some(7), ..Extras::default() }).await;
    (topic, cluster.consumer(1, "listeners").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_served_by_a_replica_that_got_it_with_a_snapshot() {
    let mut cluster = Cluster::start_with(3, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let waiting = Waiting::begin(&cluster).await;
    let lagging = left_behind(&mut cluster, &topic).await;
    let (devices, listeners) = lite(&cluster).await;
    cluster.start_node(lagging).await;
    has_caught_up(&cluster, lagging, &topic).await;
    // It leads, and nobody else is asked.
    assert_eq!(cluster.node(lagging).leader_of(GROUP), Some(NodeId(lagging)));
    waiting.goes_on(&cluster, lagging).await;

    let subscribed = |hash| Receive {
        queues: vec![],
        lite: Some(vec![hash]),
        ..receive_of(&devices, &listeners, 1, hash)
    };
    let node = cluster.node(lagging);
    let other = node.receive(subscribed(8), Instant::now(), soon()).await.expect("a batch");
    assert!(other.is_empty(), "nothing is in the lite topic that nobody wrote to");
    let found = node.receive(subscribed(7), Instant::now(), soon()).await.expect("a batch");
    assert_eq!(found.iter().map(number_of).collect::<Vec<_>>(), [LITE]);
}
