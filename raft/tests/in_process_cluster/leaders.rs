//! Leaders that leave, and nodes that start again.

use std::time::Duration;

use raft::catalog::TopicType;
use raft::names::{GroupId, QueueKey};
use raft::request::{DeadLettersWanted, ResendResult};
use tokio::time::Instant;

use crate::cluster::{Cluster, drain, message, receive, soon};

const LOOK_EVERY: Duration = Duration::from_millis(20);

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
async fn who_has_lost_its_quorum_is_not_told_as_a_leader() {
    let mut cluster = Cluster::start(3, 1).await;
    let leader = cluster.any().leader_of(GroupId(1)).expect("a leader");
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader.0).collect();
    for id in &others {
        cluster.stop(*id).await;
    }
    let told = async |cluster: &Cluster| {
        let status = cluster.node(leader.0).status().await;
        status.groups.into_iter().find(|it| it.group == GroupId(1)).expect("the group").leader
    };
    let deadline = soon();
    while let Some(id) = told(&cluster).await {
        assert!(Instant::now() < deadline, "{id} leads nobody any more");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for id in others {
        cluster.start_node(id).await;
    }
    while told(&cluster).await.is_none() {
        assert!(Instant::now() < deadline, "nobody leads, though all are back");
        tokio::time::sleep(LOOK_EVERY).await;
    }
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
