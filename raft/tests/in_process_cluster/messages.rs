//! Messages go in at any node and come out at any other, by receives, pulls and searches.

use std::collections::BTreeSet;
use std::time::Duration;

use raft::catalog::TopicType;
use raft::names::{GroupId, QueueKey};
use raft::node::MessageQuery;
use raft::question::{By, Pull};
use raft::request::{Filter, Publish};
use store::record::MessageRecord;
use tokio::time::Instant;

use crate::cluster::{Cluster, drain, id_of, message, publish, receive, soon};

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

    // The others may have another leader by now, for all that this node knows: it answers for itself only.
    let (soon_over, led) = (Instant::now() + Duration::from_secs(1), pull(0, false));
    let refused = cluster.node(leader).pull(led.clone(), soon_over, soon_over).await;
    assert!(refused.is_err(), "a leader without a quorum answered for all: {refused:?}");
    let back = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.start_node(back).await;
    let led = cluster.node(leader).pull(led, soon(), soon()).await.expect("a quorum is enough");
    assert!(led.records.len() >= 3, "{} of 3 messages", led.records.len());
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
